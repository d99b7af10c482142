import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { loadServeConfig, SERVE_OPTIONS } from "../../src/config.js";
import { withFolder } from "./cli-process.js";

const load = (flags: Record<string, unknown> = {}, environment: Record<string, string> = {}) =>
  loadServeConfig({ flags, environment });

const camel = (name: string) => name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
const variable = (name: string) => `EXECUTION_STORE_${name.toUpperCase().replaceAll("-", "_")}`;

async function loadFile(content: string, flags: Record<string, unknown> = {}, environment = {}) {
  return withFolder(async (folder) => {
    const path = join(folder, "server.yaml");
    await writeFile(path, content);
    return load({ ...flags, config: path }, environment);
  });
}

describe("the configuration of serve", () => {
  it("has defaults that serve this machine only", async () => {
    expect(await load()).toEqual({
      store: { engine: "lmdb", path: resolve("execution-store.lmdb") },
      storeWaitMs: 60_000,
      listen: [{ text: "127.0.0.1:50051", local: true }],
      allowRemote: false,
      collections: [],
      historyTimeMs: 3_600_000,
      historyBytes: 256_000_000,
      watchProgressMs: 1000,
      watchStallMs: 30_000,
      watchBytes: 256_000_000,
      mongodbImages: "auto",
      drainDelayMs: 0,
      shutdownGraceMs: 10_000,
      logLevel: "info",
      configFile: undefined,
    });
  });

  it("takes every option from a flag, from the environment and from a file", async () => {
    const texts = {
      store: "lmdb:/x",
      "store-wait": "2m",
      listen: "127.0.0.1:1,unix:/x.sock",
      "allow-remote": "true",
      collections: "a, b",
      "history-time": "2h",
      "history-size": "1GB",
      "watch-progress": "2s",
      "watch-stall": "3s",
      "watch-memory": "2GB",
      "mongodb-images": "off",
      "drain-delay": "1s",
      "shutdown-grace": "2s",
      "log-level": "debug",
    };
    const names = Object.values(SERVE_OPTIONS)
      .map(({ name }) => name)
      .filter((name) => name !== "config");
    expect(Object.keys(texts)).toEqual(names);
    const expected = {
      store: { engine: "lmdb", path: "/x" },
      storeWaitMs: 120_000,
      listen: [
        { text: "127.0.0.1:1", local: true },
        { text: "unix:/x.sock", local: true },
      ],
      allowRemote: true,
      collections: ["a", "b"],
      historyTimeMs: 7_200_000,
      historyBytes: 1e9,
      watchProgressMs: 2000,
      watchStallMs: 3000,
      watchBytes: 2e9,
      mongodbImages: "off",
      drainDelayMs: 1000,
      shutdownGraceMs: 2000,
      logLevel: "debug",
    };
    const entries = Object.entries(texts);
    expect(await load(Object.fromEntries(entries.map(([name, text]) => [camel(name), text])))).toMatchObject(
      expected,
    );
    expect(
      await load({}, Object.fromEntries(entries.map(([name, text]) => [variable(name), text]))),
    ).toMatchObject(expected);
    expect(
      await loadFile(entries.map(([name, text]) => `${name}: ${JSON.stringify(text)}`).join("\n")),
    ).toMatchObject(expected);
    expect(await loadFile(JSON.stringify(texts))).toMatchObject(expected);
  });

  it("prefers the flag to the environment, that to the file, and that to the default", async () => {
    const file = "shutdown-grace: 3s\ndrain-delay: 3s\nhistory-time: 3s";
    const environment = { EXECUTION_STORE_SHUTDOWN_GRACE: "2s", EXECUTION_STORE_DRAIN_DELAY: "2s" };
    expect(await loadFile(file, { shutdownGrace: "1s" }, environment)).toMatchObject({
      shutdownGraceMs: 1000,
      drainDelayMs: 2000,
      historyTimeMs: 3000,
      historyBytes: 256_000_000,
    });
  });

  it("waits for a MongoDB for ever if told so", async () => {
    expect(await load({ storeWait: "forever" })).toMatchObject({ storeWaitMs: undefined });
  });

  it("takes an empty variable as unset", async () => {
    expect(await load({}, { EXECUTION_STORE_SHUTDOWN_GRACE: "", EXECUTION_STORE_LISTEN: "" })).toMatchObject({
      shutdownGraceMs: 10_000,
      listen: [{ text: "127.0.0.1:50051" }],
    });
  });

  it("takes lists and plain values as YAML has them, and an empty file", async () => {
    expect(await loadFile("listen:\n  - 127.0.0.1:1\n  - 127.0.0.1:2\nallow-remote: true\n")).toMatchObject({
      listen: [{ text: "127.0.0.1:1" }, { text: "127.0.0.1:2" }],
      allowRemote: true,
    });
    expect(await loadFile("# nothing\n")).toMatchObject({ logLevel: "info" });
  });

  it("takes the file's name from the environment, too", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "server.json");
      await writeFile(path, '{"log-level": "warn"}');
      expect(await load({}, { EXECUTION_STORE_CONFIG: path })).toMatchObject({ logLevel: "warn" });
    });
  });

  it.each<[Record<string, unknown>, RegExp]>([
    [{ historyTime: "10" }, /^--history-time "10" has no unit; expected /],
    [{ historyTime: "366d" }, /^--history-time "366d" is out of range; expected from 1s to 365d$/],
    [{ historySize: "1KB" }, /^--history-size "1KB" is out of range; expected from 1MB to 1TB$/],
    [{ watchStall: "1ms" }, /^--watch-stall "1ms" is out of range; expected from 100ms to 1h$/],
    [{ mongodbImages: "on" }, /^--mongodb-images "on" is not known; expected auto, off$/],
    [{ shutdownGrace: "2h" }, /^--shutdown-grace "2h" is out of range/],
    [{ store: "data" }, /^--store "data" names no engine; expected lmdb:PATH/],
    [{ store: "mongodb:h" }, /^--store has no "\/\/" after "mongodb:"; expected mongodb:\/\/HOST/],
    [{ storeWait: "0s" }, /^--store-wait "0s" is out of range; expected from 1s to 30d$/],
    [{ listen: ["50051"] }, /^--listen "50051" is not an address; expected HOST:PORT/],
    [{ listen: ["127.0.0.1:1", "127.0.0.1:1"] }, /^--listen names 127.0.0.1:1 twice/],
    [{ listen: [","] }, /^--listen names no address/],
    [{ logLevel: "loud" }, /^--log-level "loud" is not known; expected debug, info, warn, error, silent$/],
    [{ collections: ["a$b"] }, /^--collections "a\$b" cannot name a collection; expected /],
    [{ collections: ["system.x"] }, /^--collections "system.x" cannot name a collection/],
    [{ collections: ["é".repeat(61)] }, /cannot name a collection/],
  ])("refuses %j in a sentence", async (flags, message) => {
    await expect(load(flags)).rejects.toThrow(message);
  });

  it("allows port 0 more than once", async () => {
    expect((await load({ listen: ["127.0.0.1:0", "127.0.0.1:0"] })).listen).toHaveLength(2);
  });

  it("refuses addresses beyond this machine without the explicit flag", async () => {
    const message = /names 0\.0\.0\.0:1, which other machines may reach, .*--allow-remote/;
    await expect(load({ listen: ["127.0.0.1:1", "0.0.0.0:1"] })).rejects.toThrow(message);
    await expect(load({ listen: ["0.0.0.0:1"] }, { EXECUTION_STORE_ALLOW_REMOTE: "false" })).rejects.toThrow(
      message,
    );
    expect(await load({ listen: ["0.0.0.0:1"], allowRemote: true })).toMatchObject({ allowRemote: true });
    expect(await load({ listen: ["0.0.0.0:1"] }, { EXECUTION_STORE_ALLOW_REMOTE: "1" })).toMatchObject({
      allowRemote: true,
    });
  });

  it("names the variable", async () => {
    await expect(load({}, { EXECUTION_STORE_DRAIN_DELAY: "5" })).rejects.toThrow(
      /^the variable EXECUTION_STORE_DRAIN_DELAY "5" has no unit/,
    );
    await expect(load({}, { EXECUTION_STORE_ALLOW_REMOTE: "yes" })).rejects.toThrow(
      /^the variable EXECUTION_STORE_ALLOW_REMOTE "yes" is neither on nor off; expected true or false$/,
    );
  });

  it.each<[string, RegExp]>([
    ["history_time: 1h", /^"history_time" in .*server\.yaml is no option; did you mean history-time\?$/],
    ["colour: red", /^"colour" in .* is no option; expected one of store, store-wait, listen, /],
    ["config: other.yaml", /^"config" in .* is no option/],
    ["history-time: 10", /^in .*server\.yaml, history-time "10" has no unit; expected /],
    ["history-time:", /^in .*server\.yaml, history-time has no value; expected a single value$/],
    ["history-time: [1h]", /^in .*server\.yaml, history-time is a list; expected a single value$/],
    ["listen: {a: 1}", /^in .*server\.yaml, listen is not a plain value; expected text or a list of texts$/],
    ["store: a\nstore: b", /is neither YAML nor JSON: line 2, column 1: /],
    ['{"store": "a"', /is neither YAML nor JSON: line 1, column \d+: /],
    ["store: *nowhere", /is neither YAML nor JSON: .*nowhere/],
    ["- store", /holds no options/],
    ["just text", /holds no options/],
  ])("refuses the file %j in a sentence", async (content, message) => {
    await expect(loadFile(content)).rejects.toThrow(message);
    await expect(loadFile(content)).rejects.toThrow(/^[^\n]*$/);
  });

  it("repeats no password, wherever a URI was put by mistake", async () => {
    const uri = "mongodb://me:hun/ter2@db/x";
    const attempts = [
      ...Object.values(SERVE_OPTIONS)
        .filter((option) => option.placeholder !== undefined && option.name !== "listen")
        .map((option) => load({ [camel(option.name)]: uri })),
      load({ listen: [uri] }),
      load({ collections: [`$${uri}`] }),
      load({ store: `lmdb:${uri}` }),
      load({ store: uri.replace("mongodb", "lmdb") }),
      load({ store: "me:hun/ter2@db" }),
      load({}, { EXECUTION_STORE_ALLOW_REMOTE: uri }),
      loadFile(`"${uri}": 1`),
      loadFile(`? ${uri}`),
      loadFile(`log-level: ${uri}`),
      loadFile(`store: *${uri}`),
      loadFile(`store: !${uri} x`),
    ];
    const outcomes = await Promise.allSettled(attempts);
    const messages = outcomes.flatMap((outcome) =>
      outcome.status === "rejected" ? [String(outcome.reason)] : [],
    );
    // A URI may name a collection; all else is refused.
    expect(messages.length).toBeGreaterThanOrEqual(attempts.length - 2);
    for (const message of messages) expect(message).not.toContain("ter2");
  });

  it("says why a file cannot be read", async () => {
    await withFolder(async (folder) => {
      await expect(load({ config: join(folder, "none.yaml") })).rejects.toThrow(/which does not exist/);
      await expect(load({ config: folder })).rejects.toThrow(/which is a directory/);
      const binary = join(folder, "binary");
      await writeFile(binary, Buffer.from([0xff, 0xfe]));
      await expect(load({ config: binary })).rejects.toThrow(/which is not UTF-8 text/);
    });
  });
});
