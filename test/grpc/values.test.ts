import { serialize } from "bson";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ValueEncoding } from "../../gen/ts/execution_store/v1/execution_store.js";
import { startTestServer, type TestServer } from "../support/test-server.js";
import { decodeJson, decodeStruct, encodeJson, encodeStruct, type Json, nested } from "./json-value.js";
import { createWireClient, type WireClient } from "./wire-client.js";

const { VALUE_ENCODING_BSON: BSON, VALUE_ENCODING_NONE: NONE } = ValueEncoding;

let server: TestServer;
let client: WireClient;
beforeAll(async () => {
  server = await startTestServer();
  client = createWireClient(server.address);
});
afterAll(async () => {
  client.close();
  await server.close();
});

function bson(value: unknown): Buffer {
  return Buffer.from(serialize({ value }));
}

const object = (...fields: [string, Json][]): Json => new Map(fields);

describe("a JSON value", () => {
  it.each<[string, Json]>([
    ["null", null],
    ["false", false],
    ["an empty string", ""],
    ["-0", -0],
    ["a fraction", 0.1],
    ["2^53", 2 ** 53],
    [
      "names that are hard to keep",
      object(["__proto__", 1], ["", 2], ["a.b", 3], ["$x", 4], ["constructor", null]),
    ],
    ["an empty object", object()],
    ["an empty list", []],
    ["nulls in a list", [null, [null], object(["x", null])]],
    ["30 levels", nested(30)],
    ["text of all planes", "aé\u{1F600}\uFFFF"],
  ])("comes back as it went: %s", async (_title, value) => {
    await client.call("setKey", { storeName: "json", key: "k", value: encodeJson(value) });
    const { document } = await client.call("getKey", { storeName: "json", key: "k" });
    expect(decodeJson(document?.value)).toStrictEqual(value);
    expect(document?.valueBson).toBeUndefined();
    const listed = await client.call("listValues", { storeName: "json" });
    expect(decodeJson(listed.documents[0]?.value)).toStrictEqual(value);
    const batch = await client.call("batchGetKeys", { storeName: "json", keys: ["k"] });
    expect(decodeJson(batch.documents[0]?.value)).toStrictEqual(value);
  });

  it("holds what JSON has no form for as Extended JSON", async () => {
    for (const value of [
      object(["$numberDouble", "NaN"]),
      object(["$numberLong", "9223372036854775807"]),
      object(["$oid", "0123456789abcdef01234567"]),
    ]) {
      await client.call("setKey", { storeName: "extended", key: "k", value: encodeJson(value) });
      const { document } = await client.call("getKey", { storeName: "extended", key: "k" });
      expect(decodeJson(document?.value)).toStrictEqual(value);
    }
    const nan = await client.call("getKey", { storeName: "extended", key: "k", encoding: BSON });
    expect(nan.document?.valueBson?.[4]).toBe(7);
  });
});

describe("encodings", () => {
  it("answer the stored bytes, JSON, or nothing", async () => {
    const valueBson = bson({ a: 1, b: [true, null] });
    await client.call("setKey", { storeName: "forms", key: "k", valueBson });
    const request = { storeName: "forms", key: "k" };
    const asBson = await client.call("getKey", { ...request, encoding: BSON });
    expect(asBson.document?.valueBson).toEqual(valueBson);
    expect(asBson.document?.value).toBeUndefined();
    const asNothing = await client.call("getKey", { ...request, encoding: NONE });
    expect(asNothing.document?.valueBson).toBeUndefined();
    expect(asNothing.document?.value).toBeUndefined();
    expect(asNothing.document).toEqual({ ...asBson.document, valueBson: undefined });
  });

  it("say so where JSON cannot hold a value, alone", async () => {
    await client.call("setKey", { storeName: "deep", key: "k", valueBson: bson(nested(31)) });
    const error = await client.fail("getKey", { storeName: "deep", key: "k" });
    expect(error).toMatchObject({ code: "FAILED_PRECONDITION", reason: "VALUE_TOO_DEEP_FOR_JSON" });
    expect(error.metadata).toEqual({});
    expect((await client.call("getKey", { storeName: "deep", key: "k", encoding: NONE })).document?.key).toBe(
      "k",
    );
  });

  it("give BSON where JSON cannot hold a value, in company", async () => {
    const deep = bson(nested(100));
    await client.call("setKey", { storeName: "mixed", key: "deep", valueBson: deep });
    await client.call("setKey", { storeName: "mixed", key: "flat", valueBson: bson("x") });
    const listed = await client.call("listValues", { storeName: "mixed" });
    const batch = await client.call("batchGetKeys", { storeName: "mixed", keys: ["deep", "flat"] });
    for (const { documents } of [listed, batch]) {
      expect(documents.map(({ valueBson }) => valueBson)).toEqual([deep, undefined]);
      expect(documents[0]?.value).toBeUndefined();
      expect(decodeJson(documents[1]?.value)).toBe("x");
    }
  });

  it("give BSON where JSON would be larger than a response", { timeout: 60_000 }, async () => {
    const dates = bson(Array.from({ length: 900_000 }, () => new Date(1.7e12 + 1)));
    await client.call("setKey", { storeName: "dates", key: "k", valueBson: dates });
    const error = await client.fail("getKey", { storeName: "dates", key: "k" });
    expect(error).toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "VALUE_TOO_LARGE" });
    expect(error.message).toContain("BSON");
    const listed = await client.call("listValues", { storeName: "dates" });
    expect(listed.documents[0]?.valueBson?.equals(dates)).toBe(true);
  });
});

describe("metadata", () => {
  it("comes back as it went", async () => {
    const fields = new Map<string, Json>([
      ["__proto__", -0],
      ["", null],
      ["n", [1, 0.5, "x"]],
    ]);
    const { store } = await client.call("createStore", { storeName: "meta", metadata: encodeStruct(fields) });
    const read = await client.call("getStore", { storeName: "meta" });
    expect(decodeStruct(read.store?.metadata)).toStrictEqual(fields);
    expect(read.store).toEqual(store);
    expect(store?.policy).toBe(1);
    expect(store?.etag).not.toBe("");
  });

  it("is unset where there is none", async () => {
    const { store } = await client.call("createStore", { storeName: "bare", policy: 2 });
    expect(store).toMatchObject({ metadata: undefined, policy: 2, expiresAt: undefined });
    await client.call("setKey", { storeName: "implied", key: "k", value: encodeJson(1) });
    const implied = await client.call("getStore", { storeName: "implied" });
    expect(implied.store).toEqual({
      storeName: "implied",
      datasetId: "",
      metadata: undefined,
      createdAt: undefined,
      updatedAt: undefined,
      expiresAt: undefined,
      policy: 0,
      etag: "",
    });
  });
});
