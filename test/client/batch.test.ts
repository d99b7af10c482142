import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  BatchDeleteKeysRequest,
  BatchDeleteKeysResponse,
  BatchGetKeysRequest,
  BatchGetKeysResponse,
  BatchSetKeysRequest,
} from "../../gen/ts/execution_store/v1/execution_store.js";
import { ExecutionStore } from "../../src/client/execution-store.js";
import type { SetEntry } from "../../src/client/options.js";
import { RawValue } from "../../src/client/raw-value.js";
import { ExecutionStoreService } from "../../src/client/service.js";
import { StoreError } from "../../src/store/errors.js";
import { MAX_REQUEST_BYTES, MAX_VALUE_BYTES } from "../../src/store/limits.js";
import { startScriptedServer } from "../support/scripted-server.js";
import { startTestServer, type TestServer } from "../support/test-server.js";

let server: TestServer;
let service: ExecutionStoreService;

beforeAll(async () => {
  server = await startTestServer();
  service = new ExecutionStoreService({ address: server.address });
});

beforeEach(async () => {
  await service.cleanup();
});

afterAll(async () => {
  await service.close();
  await server.close();
});

function keys(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `key-${index}`);
}

test("sets, reads and deletes any number of keys", async () => {
  const names = keys(2345);
  const results = await service.batchSetKeys("s", new Set(names.map((key, value) => ({ key, value }))));
  expect(results.map(({ document }) => document.key)).toEqual(names);
  expect(results.every(({ created }) => created)).toBe(true);
  const asked = [...names.toReversed(), "missing", "key-0"];
  const documents = await service.batchGetKeys<number>("s", asked.values());
  expect([...documents.keys()]).toEqual(names.toReversed());
  expect(documents.get("key-2000")?.value).toBe(2000);
  expect(await service.batchDeleteKeys("s", [...names, "missing", "key-0"])).toBe(2345);
  expect(await service.countKeys("s")).toBe(0);
});

test("sets each entry with its own ttl and policy", async () => {
  const [first, second, third] = await service.batchSetKeys("s", [
    { key: "a", value: null, ttl: 10 },
    { key: "b", value: 1, policy: "evict" },
    { key: "a2", value: 1 },
  ]);
  expect(first?.document).toMatchObject({ policy: "evict", expiresAt: expect.any(Date) });
  expect(second?.document).toMatchObject({ policy: "evict", expiresAt: undefined });
  expect(third?.document.policy).toBe("persist");
});

test("sends nothing for nothing", async () => {
  expect(await service.batchSetKeys("s", [])).toEqual([]);
  expect(await service.batchGetKeys("s", [])).toEqual(new Map());
  expect(await service.batchDeleteKeys("s", [])).toBe(0);
});

test.each([
  ["", "STORE_NAME_INVALID"],
  [undefined as unknown as string, "STORE_NAME_INVALID"],
])("refuses the store name %j, also for nothing", async (name, reason) => {
  await expect(service.batchSetKeys(name, [])).rejects.toMatchObject({ reason, outcome: "NOT_APPLIED" });
  await expect(service.batchGetKeys(name, [])).rejects.toMatchObject({ reason, outcome: undefined });
  await expect(service.batchDeleteKeys(name, [])).rejects.toMatchObject({ reason, outcome: "NOT_APPLIED" });
});

test("refuses a store name over the limit to write, and finds nothing by it", async () => {
  const name = "s".repeat(256);
  const refused = { reason: "STORE_NAME_INVALID", outcome: "NOT_APPLIED" };
  await expect(service.batchSetKeys(name, [])).rejects.toMatchObject(refused);
  expect(await service.batchGetKeys(name, ["a"])).toEqual(new Map());
  expect(await service.batchDeleteKeys(name, ["a"])).toBe(0);
  expect(await service.clearCache(name)).toBe(0);
});

test("asks for keys that no single request could hold", async () => {
  const long = Array.from({ length: 30 }, (_, index) => String(index).padStart(1_500_000, "k"));
  await service.batchSetKeys("s", [{ key: "a", value: 1 }]);
  expect([...(await service.batchGetKeys("s", [...long, "a"])).keys()]).toEqual(["a"]);
  expect(await service.batchDeleteKeys("s", [...long, "a"])).toBe(1);
});

test.each(["abc", undefined, null, 5, { a: 1 }])("refuses %o in place of a list", async (items) => {
  const refused = {
    reason: "CLIENT_OPTION_INVALID",
    message: expect.stringMatching(/^(?:keys|entries) is not a list; expected/),
  };
  const wrong = items as unknown as never[];
  const written = { ...refused, outcome: "NOT_APPLIED" };
  await expect(service.batchGetKeys("s", wrong)).rejects.toMatchObject(refused);
  await expect(service.batchDeleteKeys("s", wrong)).rejects.toMatchObject(written);
  await expect(service.batchSetKeys("s", wrong)).rejects.toMatchObject(written);
  const store = ExecutionStore.create("s", { service });
  await expect(store.setMany(wrong)).rejects.toMatchObject(written);
  await expect(store.getMany(wrong)).rejects.toMatchObject(refused);
});

test("refuses an entry that is no object", async () => {
  await expect(service.batchSetKeys("s", [null as unknown as SetEntry])).rejects.toMatchObject({
    reason: "CLIENT_OPTION_INVALID",
    violations: [{ field: "entries[0]" }],
    outcome: "NOT_APPLIED",
  });
});

test("reads more than one answer holds, in every encoding", async () => {
  const large = "x".repeat(600_000);
  await service.batchSetKeys(
    "s",
    keys(60).map((key) => ({ key, value: large })),
  );
  const documents = await service.batchGetKeys("s", keys(61));
  expect([...documents.keys()]).toEqual(keys(60));
  expect([...documents.values()].every(({ value }) => value === large)).toBe(true);
  const raw = await service.batchGetKeys("s", keys(2), { encoding: "raw" });
  expect(raw.get("key-1")?.value.bytes.length).toBeGreaterThan(600_000);
  const none = await service.batchGetKeys("s", keys(2), { encoding: "none" });
  expect(none.get("key-1")).not.toHaveProperty("value");
});

const tooLarge = new RawValue(new Uint8Array(MAX_VALUE_BYTES + 1));

test.each([
  ["a key named twice, far apart", { key: "key-0", value: 1 }, "KEY_REPEATED", "entries[1500].key"],
  ["an empty key", { key: "", value: 1 }, "KEY_INVALID", "entries[1500].key"],
  ["a key of 1,025 bytes", { key: "k".repeat(1025), value: 1 }, "KEY_INVALID", "entries[1500].key"],
  ["a key with NUL", { key: "a\0", value: 1 }, "KEY_INVALID", "entries[1500].key"],
  ["a reserved key", { key: "__store__", value: 1 }, "KEY_RESERVED", "entries[1500].key"],
  ["half a surrogate pair", { key: "\udc00", value: 1 }, "KEY_INVALID", "entries[1500].key"],
  ["no value", { key: "a", value: undefined }, "VALUE_INVALID", "entries[1500].value"],
  ["a raw value over the limit", { key: "a", value: tooLarge }, "VALUE_TOO_LARGE", "entries[1500].value"],
  ["a ttl of nothing", { key: "a", value: 1, ttl: 0 }, "TTL_NOT_POSITIVE", "entries[1500].ttl"],
  ["a ttl of ages", { key: "a", value: 1, ttl: 4e9 }, "TTL_TOO_LONG", "entries[1500].ttl"],
  ["a ttl that is no number", { key: "a", value: 1, ttl: Number.NaN }, "TTL_INVALID", "entries[1500].ttl"],
  [
    "a policy of its own",
    { key: "a", value: 1, policy: "keep" as "evict" },
    "POLICY_INVALID",
    "entries[1500].policy",
  ],
])("writes nothing for %s, and names it", async (_name, bad, reason, field) => {
  const entries = [...keys(1500).map((key) => ({ key, value: 1 })), bad];
  await expect(service.batchSetKeys("s", entries)).rejects.toMatchObject({
    reason,
    outcome: "NOT_APPLIED",
    message: expect.stringContaining(field),
  });
  expect(await service.countKeys("s")).toBe(0);
});

describe("in parts", () => {
  test("keeps every request within its limits", async () => {
    const requests: { count: number; bytes: number }[] = [];
    const counting = await startScriptedServer(({ request }) => {
      requests.push({ count: BatchSetKeysRequest.decode(request).entries.length, bytes: request.length });
      return new StoreError("SHUTTING_DOWN", "not today", { outcome: "NOT_APPLIED" });
    });
    const client = new ExecutionStoreService({ address: counting.address, retry: false });
    const value = new Uint8Array(5 * 1024 * 1024);
    await expect(
      client.batchSetKeys(
        "s",
        keys(4).map((key) => ({ key, value })),
      ),
    ).rejects.toMatchObject({ reason: "SHUTTING_DOWN" });
    await expect(
      client.batchSetKeys(
        "s",
        keys(1001).map((key) => ({ key, value: 1 })),
      ),
    ).rejects.toMatchObject({ reason: "SHUTTING_DOWN" });
    expect(requests.map(({ count }) => count)).toEqual([3, 1000]);
    expect(Math.max(...requests.map(({ bytes }) => bytes))).toBeLessThanOrEqual(MAX_REQUEST_BYTES);
    await client.close();
    counting.close();
  });

  test("brings entries over 16 MiB in, in order", async () => {
    const value = new Uint8Array(6 * 1024 * 1024);
    const results = await service.batchSetKeys(
      "s",
      keys(6).map((key) => ({ key, value })),
    );
    expect(results.map(({ document }) => document.key)).toEqual(keys(6));
    expect(await service.countKeys("s")).toBe(6);
  });

  test("says after an error what is done, and that the outcome is open", async () => {
    const full = new StoreError("STORAGE_FULL", "the disk is full", { outcome: "NOT_APPLIED" });
    const failing = await startScriptedServer(({ request }, index) => {
      const { keys: asked } = BatchDeleteKeysRequest.decode(request);
      return index === 2
        ? full
        : BatchDeleteKeysResponse.encode({ deletedCount: BigInt(asked.length) }).finish();
    });
    const client = new ExecutionStoreService({ address: failing.address });
    await expect(client.batchDeleteKeys("s", keys(2500))).rejects.toMatchObject({
      reason: "STORAGE_FULL",
      outcome: "UNKNOWN",
      message: "the disk is full (the first 2000 of 2500 are done)",
    });
    await expect(client.batchDeleteKeys("s", keys(1))).resolves.toBe(1);
    await client.close();
    failing.close();
  });

  test("does not ask for ever", async () => {
    const stubborn = await startScriptedServer(({ request }) => {
      const unprocessedKeys = BatchGetKeysRequest.decode(request).keys;
      return BatchGetKeysResponse.encode({ documents: [], missingKeys: [], unprocessedKeys }).finish();
    });
    const client = new ExecutionStoreService({ address: stubborn.address });
    await expect(client.batchGetKeys("s", keys(3))).rejects.toMatchObject({ kind: "INTERNAL" });
    expect(stubborn.calls.length).toBe(1);
    await client.close();
    stubborn.close();
  });
});
