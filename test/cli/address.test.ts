import { homedir } from "node:os";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { parseAddress } from "../../src/config/address.js";
import { maskUri } from "../../src/config/mask-uri.js";
import { nearest } from "../../src/config/nearest.js";
import { quote } from "../../src/config/quote.js";
import { parseStoreUri, shownStore } from "../../src/config/store-uri.js";

describe("parseAddress", () => {
  it.each([
    "127.0.0.1:50051",
    "127.9.9.9:0",
    "localhost:65535",
    "LOCALHOST:1",
    "[::1]:50051",
    "[::ffff:127.0.0.1]:1",
  ])("takes %s as this machine's own", (text) => {
    expect(parseAddress(text)).toEqual({ text, local: true });
  });

  it.each([
    "0.0.0.0:50051",
    "[::]:50051",
    "10.0.0.1:1",
    "128.0.0.1:1",
    "example.org:1",
    "0:1",
    "127.1:1",
    "localhost.example.org:1",
    "[::ffff:10.0.0.1]:1",
  ])("takes %s as one that others may reach", (text) => {
    expect(parseAddress(text).local).toBe(false);
  });

  it.each([
    "",
    "50051",
    ":50051",
    "127.0.0.1",
    "127.0.0.1:",
    "::1:50051",
    "[::1]",
    "[1.2.3.4]:1",
    "[]:1",
    "http://h:1",
    "h:1/x",
    "h :1",
    "u@h:1",
    "h:-1",
    "h:123456",
  ])("refuses %j and says what is expected", (text) => {
    expect(() => parseAddress(text)).toThrow(/expected HOST:PORT/);
  });

  it("repeats no password", () => {
    expect(() => parseAddress("me:hunter2@h:1")).toThrow('"***@h:1" is not an address');
  });

  it("bounds the port", () => {
    expect(() => parseAddress("127.0.0.1:65536")).toThrow("expected 0 to 65535");
  });

  it("makes socket paths absolute", () => {
    expect(parseAddress("unix:/run/a.sock")).toEqual({ text: "unix:/run/a.sock", local: true });
    expect(parseAddress("unix:///run/a.sock").text).toBe("unix:/run/a.sock");
    expect(parseAddress("unix:a.sock").text).toBe(`unix:${resolve("a.sock")}`);
  });

  it.each(["unix:", "unix://run/a.sock"])("refuses %j", (text) => {
    expect(() => parseAddress(text)).toThrow("expected unix:PATH");
  });

  it("refuses a socket path that the system would cut", () => {
    expect(parseAddress(`unix:/${"a".repeat(102)}`).local).toBe(true);
    expect(() => parseAddress(`unix:/${"a".repeat(103)}`)).toThrow("expected at most 103");
  });
});

describe("parseStoreUri", () => {
  it("takes relative, absolute and home paths", () => {
    expect(parseStoreUri("lmdb:/var/x")).toEqual({ engine: "lmdb", path: "/var/x" });
    expect(parseStoreUri("lmdb:./x")).toEqual({ engine: "lmdb", path: resolve("x") });
    expect(parseStoreUri("lmdb:~/x")).toEqual({ engine: "lmdb", path: resolve(homedir(), "x") });
    expect(shownStore(parseStoreUri("lmdb:/var/x"))).toBe("lmdb:/var/x");
  });

  it.each(["lmdb:", "lmdb://x", "lmdb:///x", "lmdb:a\0b", "lmdb:mongodb://h/x"])("refuses %j", (text) => {
    expect(() => parseStoreUri(text)).toThrow("expected lmdb:PATH");
  });

  it.each([
    ["mongodb://h", "execution_store", "mongodb://h/execution_store"],
    ["mongodb://h/", "execution_store", "mongodb://h/execution_store"],
    ["mongodb://h/?tls=true", "execution_store", "mongodb://h/execution_store"],
    ["mongodb://h?tls=true", "execution_store", "mongodb://h/execution_store"],
    ["mongodb://h1:1,h2:2/things?replicaSet=rs0", "things", "mongodb://h1:1,h2:2/things"],
    ["mongodb+srv://me:hunter2@db/x%2Dy", "x-y", "mongodb+srv://***@db/x-y"],
    ["MongoDB://hunter2@db", "execution_store", "mongodb://***@db/execution_store"],
    ["mongodb://me:hun%2Fter2@[::1]:1/x", "x", "mongodb://***@[::1]:1/x"],
    ["mongodb://h/x?proxyPassword=hunter2", "x", "mongodb://h/x"],
  ])("takes the database of %j", (uri, database, shown) => {
    const location = parseStoreUri(uri);
    expect(location).toEqual({
      engine: "mongodb",
      uri: uri.replace("MongoDB", "mongodb"),
      database,
      shown,
    });
    expect(shownStore(location)).toBe(shown);
    expect(shown).not.toContain("ter2");
  });

  it.each([
    ["mongodb:h", /^has no "\/\/" after "mongodb:"; expected mongodb:\/\/HOST/],
    ["mongodb://", /^names no host/],
    ["mongodb:///x", /^names no host/],
    ["mongodb://me:hunter2@/x", /^names no host/],
    ["mongodb://me:hun/ter2@h/x", /^has an "@" after .* percent-encode/],
    ["mongodb://me:hun?ter2@h/x", /^has an "@" after/],
    ["mongodb://me:hun@ter2@h/x", /^has an "@" after/],
    ["mongodb://me:hun ter2@h/x", /^has an "@" after .* or a space before it/],
    ["mongodb://me:hunter2@h/admin", /^names the database admin, .* add authSource=admin/],
    ["mongodb://me:hunter2@h/a.b", /^names the database "a.b", which cannot be/],
    ["mongodb://me:hunter2@h/%", /^names the database "%", which cannot be/],
    [`mongodb://h/${"x".repeat(64)}`, /expected 1 to 63 bytes/],
  ])("refuses %j in a sentence without its password", (uri, message) => {
    expect(() => parseStoreUri(uri)).toThrow(message);
    expect(() => parseStoreUri(uri)).not.toThrow(/ter2/);
  });

  it("names an unknown engine without its password", () => {
    expect(() => parseStoreUri("./data")).toThrow('"./data" names no engine');
    expect(() => parseStoreUri("redis://me:hunter2@db/x")).toThrow('"redis://***@db/x" names no engine');
  });
});

describe("maskUri", () => {
  it("masks the credentials of every URI in a text", () => {
    expect(maskUri("a mongodb://me:p@ss@db1,db2/x and http://u@h b")).toBe(
      "a mongodb://***@db1,db2/x and http://***@h b",
    );
    expect(maskUri("lmdb:/var/x@y")).toBe("lmdb:/var/x@y");
    expect(maskUri("at mongo://u:p/w?#@h/x now")).toBe("at mongo://***@h/x now");
  });
});

describe("quote", () => {
  it.each([
    ["mongodb://u:hunter2@h/x", "mongodb://***@h/x"],
    ["mongodb://u:hun/ter2 hunter2@h", "mongodb://***@h"],
    ["lmdb:mongodb://u:hunter2@h", "lmdb:mongodb://***@h"],
    ["u:hunter2@h", "***@h"],
    ["./data@home", "./data@home"],
    ["10", "10"],
  ])("shows %s as %s", (text, shown) => {
    expect(quote(text)).toBe(JSON.stringify(shown));
  });
});

describe("nearest", () => {
  const known = ["store", "listen", "history-time", "history-size", "allow-remote"];

  it.each([
    ["history_time", "history-time"],
    ["historySize", "history-size"],
    ["listn", "listen"],
    ["stroe", "store"],
    ["colour", undefined],
  ])("takes %s for %s", (name, expected) => {
    expect(nearest(name, known)).toBe(expected);
  });
});
