import { serialize } from "bson";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ValueEncoding } from "../../gen/ts/execution_store/v1/execution_store.js";
import { MAX_TTL_MS, MAX_VALUE_BYTES } from "../../src/store/limits.js";
import { startTestServer, type TestServer } from "../support/test-server.js";
import { encodeJson, encodeStruct, nested } from "./json-value.js";
import { createWireClient, type WireClient } from "./wire-client.js";

let server: TestServer;
let client: WireClient;
beforeAll(async () => {
  server = await startTestServer({ collections: ["execution_store", "other"] });
  client = createWireClient(server.address);
});
afterAll(async () => {
  client.close();
  await server.close();
});

const json = encodeJson("v");
const bson = (value: unknown): Buffer => Buffer.from(serialize({ value }));
const set = { storeName: "s", key: "k", value: json };
const seconds = (count: number | bigint, nanos = 0) => ({ seconds: BigInt(count), nanos });
const maxSeconds = MAX_TTL_MS / 1000;
/** The longest value: a document with one string. */
const longest = "x".repeat(MAX_VALUE_BYTES - bson("").length);

const ms = (time: { seconds: bigint; nanos: number } | undefined) =>
  time && Number(time.seconds) * 1000 + time.nanos / 1e6;
const metadata = (length: number) => encodeStruct(new Map([["m", "x".repeat(length)]]));

describe("what lies within the limits", () => {
  it.each([
    ["a store name of 255 bytes and a key of 1,024", { storeName: "s".repeat(255), key: "k".repeat(1024) }],
    ["names of several bytes a character", { storeName: "é".repeat(127), key: "\u{1F600}".repeat(256) }],
    ["a dataset id in upper case", { storeName: "s", key: "k", datasetId: "ABCDEFABCDEFABCDEFABCDEF" }],
    ["the longest ttl", { storeName: "s", key: "k", ttl: seconds(maxSeconds) }],
    ["the longest ttl in nanos", { storeName: "s", key: "k", ttl: seconds(maxSeconds - 1, 999_999_999) }],
    ["a ttl of a nanosecond", { storeName: "s", key: "k", ttl: seconds(0, 1) }],
    ["30 levels of JSON", { storeName: "s", key: "k", value: encodeJson(nested(30)) }],
  ])("is taken: %s", async (_title, request) => {
    const { document, created } = await client.call("setKey", { value: json, ...request });
    expect(created).toBe(true);
    expect(document?.storeName).toBe(request.storeName);
    expect(document?.key).toBe(request.key);
    expect(document?.value).toBeUndefined();
    expect(document?.valueBson).toBeUndefined();
    await client.call("cleanup", { datasetId: document?.datasetId ?? "" });
  });

  it("rounds a ttl up to a whole millisecond", async () => {
    const { document } = await client.call("setKey", { ...set, ttl: seconds(1, 1) });
    expect(Number(ms(document?.expiresAt)) - Number(ms(document?.updatedAt))).toBe(1001);
    expect(document?.policy).toBe(2);
  });

  it("takes a dataset id in lower case", async () => {
    const datasetId = "ABCDEFABCDEFABCDEFABCDEF";
    const { document } = await client.call("setKey", { ...set, datasetId });
    expect(document?.datasetId).toBe(datasetId.toLowerCase());
    expect(
      (await client.call("hasKey", { storeName: "s", key: "k", datasetId: datasetId.toLowerCase() })).exists,
    ).toBe(true);
  });

  it("takes 1,000 entries and 1,000 keys", async () => {
    const keys = Array.from({ length: 1000 }, (_, index) => `key-${index}`);
    const entries = keys.map((key) => ({ key, value: json, ttl: undefined, policy: 0 }));
    const { results } = await client.call("batchSetKeys", { storeName: "batch", entries });
    expect(results.map((result) => result.document?.key)).toEqual(keys);
    expect(results.every((result) => result.created)).toBe(true);
    expect((await client.call("batchGetKeys", { storeName: "batch", keys })).documents).toHaveLength(1000);
    expect(
      await client.call("batchDeleteKeys", { storeName: "batch", keys: [...keys.slice(1), "key-1"] }),
    ).toEqual({ deletedCount: 999n });
    expect(await client.call("batchDeleteKeys", { storeName: "batch", keys: [] })).toEqual({
      deletedCount: 0n,
    });
  });
});

describe("sizes", () => {
  it("takes a value of 15 MiB and gives it back", async () => {
    const valueBson = bson(longest);
    expect(valueBson.length).toBe(MAX_VALUE_BYTES);
    await client.call("setKey", { storeName: "s", key: "big", valueBson });
    const { document } = await client.call("getKey", {
      storeName: "s",
      key: "big",
      encoding: ValueEncoding.VALUE_ENCODING_BSON,
    });
    expect(document?.valueBson?.equals(valueBson)).toBe(true);
  });

  it("refuses a value of 15 MiB and a byte", async () => {
    const error = await client.fail("setKey", {
      storeName: "s",
      key: "more",
      valueBson: bson(`${longest}x`),
    });
    expect(error).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "VALUE_TOO_LARGE",
      metadata: { outcome: "NOT_APPLIED" },
    });
    expect((await client.call("hasKey", { storeName: "s", key: "more" })).exists).toBe(false);
  });

  it("limits the expected and the new value together", async () => {
    const half = bson("y".repeat(MAX_VALUE_BYTES / 2 - bson("").length));
    await client.call("setKey", { storeName: "s", key: "half", valueBson: half });
    const request = { storeName: "s", key: "half", expectedBson: half };
    const over = bson("y".repeat(MAX_VALUE_BYTES / 2 - bson("").length + 1));
    expect(await client.fail("compareAndSetKey", { ...request, valueBson: over })).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "VALUE_TOO_LARGE",
      metadata: { outcome: "NOT_APPLIED" },
    });
    expect((await client.call("compareAndSetKey", { ...request, valueBson: half })).set).toBe(true);
  });

  it("limits metadata to 1 MiB", async () => {
    const overhead = serialize({ m: "" }).length;
    await client.call("createStore", { storeName: "full", metadata: metadata(1024 * 1024 - overhead) });
    const error = await client.fail("createStore", {
      storeName: "over",
      metadata: metadata(1024 * 1024 - overhead + 1),
    });
    expect(error).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "METADATA_TOO_LARGE",
      metadata: { outcome: "NOT_APPLIED" },
    });
  });
});

describe("collections", () => {
  it("serves those that are configured", async () => {
    await client.call("setKey", { ...set, collectionName: "other" });
    expect((await client.call("hasKey", { storeName: "s", key: "k", collectionName: "other" })).exists).toBe(
      true,
    );
    await client.call("setKey", { ...set, key: "named", collectionName: "execution_store" });
    expect((await client.call("hasKey", { storeName: "s", key: "named" })).exists).toBe(true);
  });

  it.each(["getKey", "countStores", "countStoresGlobal", "cleanup"] as const)(
    "refuses others: %s",
    async (method) => {
      const error = await client.fail(method, {
        collectionName: "secret",
        storeName: "s",
        key: "k",
      });
      expect(error).toMatchObject({ code: "PERMISSION_DENIED", reason: "COLLECTION_NOT_ALLOWED" });
      expect(error.message).not.toContain("secret");
      expect(error.message).toContain("--collections (EXECUTION_STORE_COLLECTIONS)");
    },
  );
});
