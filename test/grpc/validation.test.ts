import { serialize } from "bson";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MAX_KEY_BYTES, MAX_STORE_NAME_BYTES, MAX_TTL_MS } from "../../src/store/limits.js";
import { startTestServer, type TestServer } from "../support/test-server.js";
import { encodeJson, nested } from "./json-value.js";
import { createWireClient, type UnaryMethod, type WireClient } from "./wire-client.js";

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
const cas = { storeName: "s", key: "k", value: json, expected: json };
const seconds = (count: number | bigint, nanos = 0) => ({ seconds: BigInt(count), nanos });
const maxSeconds = MAX_TTL_MS / 1000;

type Case = [title: string, method: UnaryMethod, request: object, reason: string, field: string];

const cases: Case[] = [
  [
    "a dataset id that is no ObjectId",
    "getKey",
    { storeName: "s", key: "k", datasetId: "x" },
    "DATASET_ID_INVALID",
    "dataset_id",
  ],
  [
    "a dataset id of 23 digits",
    "countStores",
    { datasetId: "a".repeat(23) },
    "DATASET_ID_INVALID",
    "dataset_id",
  ],
  ["an empty store name", "hasStore", {}, "STORE_NAME_INVALID", "store_name"],
  [
    "a store name of 256 bytes",
    "createStore",
    { storeName: "é".repeat(128) },
    "STORE_NAME_INVALID",
    "store_name",
  ],
  ["an empty global store name", "deleteStoreGlobal", {}, "STORE_NAME_INVALID", "store_name"],
  ["an empty key", "hasKey", { storeName: "s" }, "KEY_INVALID", "key"],
  ["a key of 1,025 bytes", "setKey", { ...set, key: "k".repeat(1025) }, "KEY_INVALID", "key"],
  ["a key with NUL", "updateTtl", { storeName: "s", key: "\0", ttl: seconds(1) }, "KEY_INVALID", "key"],
  ["the reserved key", "deleteKey", { storeName: "s", key: "__store__" }, "KEY_RESERVED", "key"],
  [
    "the reserved key in a batch",
    "batchGetKeys",
    { storeName: "s", keys: ["a", "__store__"] },
    "KEY_RESERVED",
    "keys[1]",
  ],
  [
    "a bad key in a batch to delete",
    "batchDeleteKeys",
    { storeName: "s", keys: ["a", "b", ""] },
    "KEY_INVALID",
    "keys[2]",
  ],
  ["no value", "setKey", { storeName: "s", key: "k" }, "VALUE_MISSING", "value"],
  ["no value for a cache key", "setCacheKey", { storeName: "s", key: "k" }, "VALUE_MISSING", "value"],
  ["two values", "setKeyIfAbsent", { ...set, valueBson: bson(1) }, "VALUE_AMBIGUOUS", "value"],
  [
    "an empty value_bson",
    "setKey",
    { storeName: "s", key: "k", valueBson: Buffer.alloc(0) },
    "VALUE_INVALID",
    "value_bson",
  ],
  [
    "a value_bson of two fields",
    "setKey",
    { storeName: "s", key: "k", valueBson: Buffer.from(serialize({ value: 1, x: 1 })) },
    "VALUE_INVALID",
    "value_bson",
  ],
  [
    "a value without a kind",
    "setKey",
    { storeName: "s", key: "k", value: new Uint8Array(0) },
    "VALUE_INVALID",
    "value",
  ],
  [
    "a value of 31 levels",
    "setKey",
    { storeName: "s", key: "k", value: encodeJson(nested(31)) },
    "VALUE_TOO_DEEP",
    "value",
  ],
  [
    "a value_bson of 101 levels",
    "setKey",
    { storeName: "s", key: "k", valueBson: bson(nested(101)) },
    "VALUE_TOO_DEEP",
    "value_bson",
  ],
  ["an unknown policy", "setKey", { ...set, policy: 7 }, "POLICY_INVALID", "policy"],
  ["a negative policy", "createStore", { storeName: "s", policy: -1 }, "POLICY_INVALID", "policy"],
  ["no policy to update", "updatePolicy", { storeName: "s", key: "k" }, "POLICY_INVALID", "policy"],
  [
    "an unknown policy to update",
    "updatePolicy",
    { storeName: "s", key: "k", policy: 3 },
    "POLICY_INVALID",
    "policy",
  ],
  [
    "an unknown encoding",
    "getKey",
    { storeName: "s", key: "k", encoding: 4 },
    "ENCODING_INVALID",
    "encoding",
  ],
  [
    "an unknown encoding in a list",
    "listValues",
    { storeName: "s", encoding: -1 },
    "ENCODING_INVALID",
    "encoding",
  ],
  ["no ttl to update", "updateTtl", { storeName: "s", key: "k" }, "TTL_MISSING", "ttl"],
  ["a ttl of 0", "setKey", { ...set, ttl: seconds(0) }, "TTL_NOT_POSITIVE", "ttl"],
  ["a negative ttl", "updateTtl", { storeName: "s", key: "k", ttl: seconds(-1) }, "TTL_NOT_POSITIVE", "ttl"],
  ["a ttl of minus a nanosecond", "setCacheKey", { ...set, ttl: seconds(0, -1) }, "TTL_NOT_POSITIVE", "ttl"],
  [
    "a ttl of 100 years and a nanosecond",
    "setKey",
    { ...set, ttl: seconds(maxSeconds, 1) },
    "TTL_TOO_LONG",
    "ttl",
  ],
  ["a ttl of 2^63 - 1 seconds", "setKey", { ...set, ttl: seconds(2n ** 63n - 1n) }, "TTL_TOO_LONG", "ttl"],
  ["a ttl with too many nanos", "setKey", { ...set, ttl: seconds(1, 1e9) }, "TTL_INVALID", "ttl"],
  ["a ttl of two signs", "setKey", { ...set, ttl: seconds(1, -1) }, "TTL_INVALID", "ttl"],
  ["a ttl of two signs, the other way", "setKey", { ...set, ttl: seconds(-1, 1) }, "TTL_INVALID", "ttl"],
  ["no expectation", "compareAndSetKey", { ...cas, expected: undefined }, "EXPECTED_MISSING", "expected"],
  ["two expectations", "compareAndSetKey", { ...cas, etag: "e" }, "EXPECTED_AMBIGUOUS", "expected"],
  [
    "an expectation and an empty etag",
    "compareAndSetKey",
    { ...cas, etag: "" },
    "EXPECTED_AMBIGUOUS",
    "expected",
  ],
  [
    "an empty etag to expect",
    "compareAndSetKey",
    { ...cas, expected: undefined, etag: "" },
    "ETAG_EMPTY",
    "etag",
  ],
  ["an empty etag to delete", "deleteKey", { storeName: "s", key: "k", etag: "" }, "ETAG_EMPTY", "etag"],
  [
    "a malformed expectation",
    "compareAndSetKey",
    { ...cas, expected: undefined, expectedBson: Buffer.from("x") },
    "VALUE_INVALID",
    "expected_bson",
  ],
  [
    "malformed metadata",
    "createStore",
    { storeName: "s", metadata: Buffer.from([0xff]) },
    "METADATA_INVALID",
    "metadata",
  ],
  ["a negative page size", "listStores", { pageSize: -1 }, "PAGE_SIZE_INVALID", "page_size"],
  ["a page of 10,001", "listKeys", { storeName: "s", pageSize: 10_001 }, "PAGE_SIZE_INVALID", "page_size"],
  ["a global page of 10,001", "listStoresGlobal", { pageSize: 10_001 }, "PAGE_SIZE_INVALID", "page_size"],
  [
    "a page token from nowhere",
    "listValues",
    { storeName: "s", pageToken: "hello" },
    "PAGE_TOKEN_INVALID",
    "page_token",
  ],
  [
    "a prefix over 1 MiB",
    "countKeys",
    { storeName: "s", prefix: "é".repeat(512 * 1024 + 1) },
    "PREFIX_INVALID",
    "prefix",
  ],
  ["a prefix of ages", "listStores", { prefix: "x".repeat(16_000_000) }, "PREFIX_INVALID", "prefix"],
  [
    "1,001 keys",
    "batchGetKeys",
    { storeName: "s", keys: Array.from({ length: 1001 }, () => "k") },
    "BATCH_TOO_LARGE",
    "keys",
  ],
  [
    "1,001 keys to delete",
    "batchDeleteKeys",
    { storeName: "s", keys: Array.from({ length: 1001 }, (_, i) => `${i}`) },
    "BATCH_TOO_LARGE",
    "keys",
  ],
  [
    "1,001 entries",
    "batchSetKeys",
    {
      storeName: "s",
      entries: Array.from({ length: 1001 }, (_, i) => ({ key: `${i}`, value: json, policy: 0 })),
    },
    "BATCH_TOO_LARGE",
    "entries",
  ],
];

/** Names that may be found, since other writers may have made them, and not be written. */
const UNWRITABLE = { long: (bytes: number) => "é".repeat(Math.floor(bytes / 2) + 1), NUL: () => "a\0" };
const WRITES: [method: UnaryMethod, request: { storeName: string; key?: string }][] = [
  ["createStore", { storeName: "s" }],
  ["setKey", set],
  ["setCacheKey", set],
  ["setKeyIfAbsent", set],
  ["compareAndSetKey", cas],
  ["updateTtl", { storeName: "s", key: "k", ttl: seconds(1) } as object as typeof set],
  ["updatePolicy", { storeName: "s", key: "k", policy: 1 } as object as typeof set],
];
for (const [kind, nameOf] of Object.entries(UNWRITABLE)) {
  for (const [method, request] of WRITES) {
    const storeName = nameOf(MAX_STORE_NAME_BYTES);
    cases.push([
      `a ${kind} store name`,
      method,
      { ...request, storeName },
      "STORE_NAME_INVALID",
      "store_name",
    ]);
    if (request.key === undefined) continue;
    const key = nameOf(MAX_KEY_BYTES);
    cases.push([`a ${kind} key`, method, { ...request, key }, "KEY_INVALID", "key"]);
  }
  const entries = [{ key: nameOf(MAX_KEY_BYTES), value: json, policy: 0 }];
  cases.push(
    [`a ${kind} store name`, "batchSetKeys", { storeName: nameOf(255) }, "STORE_NAME_INVALID", "store_name"],
    [`a ${kind} key`, "batchSetKeys", { storeName: "s", entries }, "KEY_INVALID", "entries[0].key"],
  );
}

const READS = /^(get|has|list|count|batchGet)/;

describe("a request that is at fault", () => {
  it.each(cases)("names %s (%s)", async (_title, method, request, reason, field) => {
    const error = await client.fail(method, request);
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", reason, domain: "execution-store" });
    expect(error.violations.map((violation) => violation.field)).toEqual([field]);
    expect(error.message).toContain(error.violations[0]?.description);
    expect(error.message).toContain(field.replace(/\[.*/, ""));
    expect(error.metadata["outcome"]).toBe(READS.test(method) ? undefined : "NOT_APPLIED");
  });

  it("wrote nothing in any of these cases", async () => {
    expect(await client.call("countStoresGlobal")).toEqual({ count: 0n });
  });

  it("hears of all its fields at once", async () => {
    const error = await client.fail("setKey", {
      datasetId: "z",
      policy: 9,
      ttl: seconds(0),
      valueBson: Buffer.of(1),
    });
    expect(error.reason).toBe("DATASET_ID_INVALID");
    const fields = error.violations.map((violation) => violation.field);
    expect(fields).toEqual(["dataset_id", "store_name", "key", "value_bson", "ttl", "policy"]);
    expect(error.message).toContain("also at fault: store_name, key, value_bson, ttl, policy");
  });

  it("hears of the path of every bad entry", async () => {
    const entries = [
      { key: "a", value: json, ttl: undefined, policy: 0 },
      { key: "", value: undefined, ttl: undefined, policy: 0 },
      { key: "b", value: json, ttl: seconds(0), policy: 5 },
      { key: "a", value: json, ttl: undefined, policy: 0 },
    ];
    const error = await client.fail("batchSetKeys", { storeName: "s", entries });
    expect(error.code).toBe("INVALID_ARGUMENT");
    const fields = error.violations.map((violation) => violation.field);
    expect(fields).toEqual([
      "entries[1].key",
      "entries[1].value",
      "entries[2].ttl",
      "entries[2].policy",
      "entries[3].key",
    ]);
    expect(await client.call("countKeys", { storeName: "s" })).toEqual({ count: 0n });
  });

  it("is answered within the 8 KiB of headers that C-based clients take", async () => {
    const keys = Array.from({ length: 1000 }, () => "");
    const many = await client.fail("batchGetKeys", { storeName: "s", keys });
    expect(many.reason).toBe("KEY_INVALID");
    expect(many.violations.length).toBeGreaterThan(10);
    expect(many.violations.at(-1)?.description).toContain("more fields at fault");
    expect(many.trailerBytes).toBeLessThan(7_500);
    for (const character of ["\u0001", "%", "é", "\u{1F600}"]) {
      const key = character.repeat(1024 / Buffer.byteLength(character));
      const storeName = character.repeat(Math.floor(255 / Buffer.byteLength(character)));
      const missing = await client.fail("getKey", { storeName, key });
      expect(missing).toMatchObject({ code: "NOT_FOUND", reason: "KEY_NOT_FOUND" });
      expect(missing.resource).toEqual({ type: "key", name: `${storeName}/${key}` });
      expect(missing.trailerBytes).toBeLessThan(7_500);
    }
    for (const character of ["x", "\0", "é", "\u{1F600}"]) {
      const key = character.repeat(200_000);
      const missing = await client.fail("getKey", { storeName: "s", key });
      expect(missing).toMatchObject({ code: "NOT_FOUND", reason: "KEY_NOT_FOUND" });
      expect(missing.resource?.name).toMatch(/^s\/[^…\uFFFD]{300,}…$/s);
      expect(missing.trailerBytes).toBeLessThan(7_500);
    }
  });
});
