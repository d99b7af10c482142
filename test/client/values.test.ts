import { Binary, BSONRegExp, Decimal128, ObjectId, Timestamp, UUID } from "bson";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RawValue } from "../../src/client/raw-value.js";
import { ExecutionStoreService } from "../../src/client/service.js";
import { MAX_VALUE_BYTES } from "../../src/store/limits.js";
import { toValueBson } from "../../src/value/plain.js";
import { startTestServer, type TestServer } from "../support/test-server.js";

let server: TestServer;
let service: ExecutionStoreService;

beforeAll(async () => {
  server = await startTestServer();
  service = new ExecutionStoreService({ address: server.address });
});

afterAll(async () => {
  await service.close();
  await server.close();
});

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = [value];
  return value;
}

const proto: unknown = JSON.parse(
  '{"__proto__": {"a": 1}, "": 2, "$oid": "no id", "a.b": 3, "_bsontype": "ObjectId"}',
);

const values: [string, unknown][] = [
  ["null", null],
  ["false", false],
  ["a text with every kind of character", "a\0ß€😀"],
  ["minus zero", -0],
  ["a fraction", 0.1],
  ["NaN", Number.NaN],
  ["infinity", Number.NEGATIVE_INFINITY],
  ["the largest safe number", Number.MAX_SAFE_INTEGER],
  ["a bigint", 2n ** 63n - 1n],
  ["a date", new Date(-1)],
  ["bytes", new Uint8Array([0, 255])],
  ["an ObjectId", new ObjectId()],
  ["a UUID", new UUID()],
  ["a decimal", new Decimal128(Uint8Array.from(Decimal128.fromString("0.10").bytes))],
  ["a timestamp", new Timestamp({ t: 1, i: 2 })],
  ["a regular expression", new BSONRegExp("^a", "i")],
  ["a binary of another subtype", new Binary(new Uint8Array([1]), 128)],
  ["an empty array", []],
  ["an empty object", {}],
  ["awkward names", proto],
  ["100 levels", nested(100)],
];

test.each(values)("brings %s there and back", async (name, value) => {
  await service.setKey("values", name, value);
  expect((await service.getKey("values", name))?.value).toStrictEqual(value);
  const { set } = await service.compareAndSetKey("values", name, { expected: value }, "swapped");
  expect(set).toBe(true);
});

test("brings small bigints back as numbers, and leaves undefined members out", async () => {
  await service.setKey("values", "k", { a: 5n, b: undefined, c: [undefined] });
  expect((await service.getKey("values", "k"))?.value).toStrictEqual({ a: 5, c: [null] });
});

test.each([
  ["undefined", undefined, "VALUE_INVALID"],
  ["a function", { a: () => 1 }, "VALUE_INVALID"],
  ["an invalid date", new Date(Number.NaN), "VALUE_INVALID"],
  ["a bigint over 64 bits", 2n ** 63n, "VALUE_INVALID"],
  ["half a surrogate pair", "\ud800", "VALUE_INVALID"],
  ["101 levels", nested(101), "VALUE_TOO_DEEP"],
  ["a raw value that is no BSON", new RawValue(new Uint8Array([1, 2, 3])), "VALUE_INVALID"],
])("refuses %s, with the field and the outcome", async (_name, value, reason) => {
  await expect(service.setKey("values", "refused", value)).rejects.toMatchObject({
    name: "StoreError",
    reason,
    kind: "INVALID_ARGUMENT",
    outcome: "NOT_APPLIED",
    violations: [{ field: expect.stringMatching(/^value/) }],
  });
  expect(await service.hasKey("values", "refused")).toBe(false);
});

test("takes a value of exactly 15 MiB, and none larger", async () => {
  const room = MAX_VALUE_BYTES - toValueBson("").length;
  const largest = "x".repeat(room);
  await service.setKey("values", "large", largest);
  expect((await service.getKey("values", "large"))?.value === largest).toBe(true);
  await expect(service.setKey("values", "large", `${largest}x`)).rejects.toMatchObject({
    reason: "VALUE_TOO_LARGE",
    kind: "RESOURCE_EXHAUSTED",
    outcome: "NOT_APPLIED",
  });
  const raw = new RawValue(new Uint8Array(MAX_VALUE_BYTES + 1));
  await expect(service.setKey("values", "large", raw)).rejects.toMatchObject({ reason: "VALUE_TOO_LARGE" });
});

test("refuses a RawValue that holds no bytes", () => {
  expect(() => new RawValue("text" as unknown as Uint8Array)).toThrow(/Uint8Array/);
});

test("refuses an expected and a new value that do not fit into one request", async () => {
  const half = "x".repeat(9_000_000);
  await service.setKey("values", "k", 1);
  await expect(service.compareAndSetKey("values", "k", { expected: half }, half)).rejects.toMatchObject({
    reason: "VALUE_TOO_LARGE",
    outcome: "NOT_APPLIED",
    message: expect.stringMatching(/^expected and value take \d+ bytes together/),
  });
});

test("refuses an expected and a new value over 15 MiB together without sending them", async () => {
  const nobody = new ExecutionStoreService({ address: "127.0.0.1:1", retry: false });
  const half = "x".repeat(7_900_000);
  await expect(nobody.compareAndSetKey("values", "k", { expected: half }, half)).rejects.toMatchObject({
    reason: "VALUE_TOO_LARGE",
    outcome: "NOT_APPLIED",
  });
  await nobody.close();
});

test.each([
  ["a key", (client: ExecutionStoreService) => client.hasKey("s", 5 as unknown as string)],
  ["a store name", (client: ExecutionStoreService) => client.hasStore(undefined as unknown as string)],
  ["a policy", (client: ExecutionStoreService) => client.updatePolicy("s", "k", "keep" as "evict")],
  ["a page size", (client: ExecutionStoreService) => client.listKeys("s", { pageSize: 0.5 }).page()],
  [
    "an encoding",
    (client: ExecutionStoreService) => client.getKey("s", "k", { encoding: "json" as "plain" }),
  ],
])("says what it expected in place of %s", async (_name, call) => {
  await expect(call(service)).rejects.toMatchObject({
    kind: "INVALID_ARGUMENT",
    message: expect.stringMatching(/^(?:key|store_name|policy|page_size|encoding) is .*; expected /),
  });
});
