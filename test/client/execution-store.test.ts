import { ObjectId } from "bson";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ExecutionStore } from "../../src/client/execution-store.js";
import { ExecutionStoreService } from "../../src/client/service.js";
import { createModelEngine } from "../support/model-engine.js";
import { startTestServer, type TestServer } from "../support/test-server.js";

let now: number;
let server: TestServer;
let store: ExecutionStore;

beforeEach(async () => {
  now = Date.UTC(2030, 0, 1);
  server = await startTestServer({
    engine: createModelEngine({ now: () => now }),
    collections: ["execution_store", "other"],
  });
  store = ExecutionStore.create("jobs", { address: server.address });
});

afterEach(async () => {
  await store.close();
  await server.close();
});

async function policyOf(key: string): Promise<string | undefined> {
  return (await store.getMetadata(key))?.policy;
}

test("gets, sets, has and deletes", async () => {
  expect(await store.get("k")).toBeUndefined();
  const metadata = await store.set("k", { n: null });
  expect(metadata).toMatchObject({ storeName: "jobs", key: "k", policy: "persist", expiresAt: undefined });
  expect(await store.get<{ n: null }>("k")).toEqual({ n: null });
  expect(await store.has("k")).toBe(true);
  expect(await store.delete("k", { etag: "stale" })).toBe(false);
  expect(await store.delete("k")).toBe(true);
  expect(await store.delete("k")).toBe(false);
  expect(await store.has("k")).toBe(false);
});

test("tells null from a missing key", async () => {
  await store.set("k", null);
  expect(await store.get("k")).toBeNull();
});

test("expires and clears the cache", async () => {
  await store.set("kept", 1);
  await store.set("brief", 1, { ttl: 2 });
  await store.setCache("cached", 1);
  await store.setCache("cached briefly", 1, { ttl: 1 });
  expect((await store.getMetadata("brief"))?.expiresAt).toEqual(new Date(now + 2000));
  now += 1000;
  expect(await store.listKeys().toArray()).toEqual(["brief", "cached", "kept"]);
  expect(await store.clearCache()).toBe(2);
  expect(await store.listKeys({ prefix: "k" }).toArray()).toEqual(["kept"]);
  expect(await store.count()).toBe(1);
  expect(await store.clear()).toBe(1);
  expect(await store.listStores().toArray()).toEqual([]);
});

test("updates ttl and policy", async () => {
  await store.set("k", 1);
  expect(await store.updateTtl("k", 5)).toMatchObject({ policy: "evict", expiresAt: new Date(now + 5000) });
  expect(await store.updatePolicy("k", "persist")).toMatchObject({ policy: "persist", expiresAt: undefined });
  await expect(store.updateTtl("missing", 5)).rejects.toMatchObject({ reason: "KEY_NOT_FOUND" });
  await expect(store.updatePolicy("missing", "evict")).rejects.toMatchObject({ reason: "KEY_NOT_FOUND" });
});

test("tells what is known of a key, without its value", async () => {
  expect(await store.getMetadata("k")).toBeUndefined();
  const metadata = await store.set("k", "value");
  expect(await store.getMetadata("k")).toEqual(metadata);
  expect(metadata).not.toHaveProperty("value");
});

test("sets if absent, and compares and sets", async () => {
  expect(await store.setIfAbsent("k", 1, { ttl: 9 })).toBe(true);
  expect(await store.setIfAbsent("k", 2)).toBe(false);
  expect(await store.compareAndSet("k", { expected: 2 }, 3)).toBe(false);
  expect(await store.compareAndSet("k", { expected: 1 }, 3)).toBe(true);
  const etag = (await store.getMetadata("k"))?.etag ?? "";
  expect(await store.compareAndSet("k", { etag }, 4, { policy: "persist" })).toBe(true);
  expect(await store.compareAndSet("k", { etag }, 5)).toBe(false);
  expect(await store.get("k")).toBe(4);
});

test("reads, sets and deletes many", async () => {
  await store.setMany(
    new Map<string, unknown>([
      ["a", 1],
      ["b", "two"],
    ]),
  );
  await store.setMany(Object.entries({ c: null }), { ttl: 3 });
  expect(await store.getMany(["c", "a", "missing"])).toEqual(
    new Map<string, unknown>([
      ["c", null],
      ["a", 1],
    ]),
  );
  expect((await store.getMetadata("c"))?.expiresAt).toEqual(new Date(now + 3000));
  const values = await store.listValues({ prefix: "b" }).toArray();
  expect(values).toMatchObject([{ key: "b", value: "two", policy: "persist" }]);
  expect(await store.deleteMany(["a", "missing"])).toBe(1);
});

describe("the default policy", () => {
  test("applies where a setting call names none, but never to compare-and-set", async () => {
    store = ExecutionStore.create("jobs", { address: server.address, defaultPolicy: "evict" });
    expect(store.defaultPolicy).toBe("evict");
    await store.set("set", 1);
    await store.setIfAbsent("absent", 1);
    await store.setMany([["many", 1]]);
    for (const key of ["set", "absent", "many"]) expect(await policyOf(key), key).toBe("evict");
    await store.set("set", 1, { policy: "persist" });
    await store.setIfAbsent("absent2", 1, { policy: "persist" });
    await store.setMany([["many", 1]], { policy: "persist" });
    for (const key of ["set", "absent2", "many"]) expect(await policyOf(key), key).toBe("persist");
    await store.compareAndSet("set", { expected: 1 }, 2);
    expect(await policyOf("set")).toBe("persist");
    await store.compareAndSet("set", { expected: 2 }, 3, { policy: "evict" });
    expect(await policyOf("set")).toBe("evict");
  });

  test("is persist, and nothing else than a policy", async () => {
    await store.set("k", 1);
    expect(await policyOf("k")).toBe("persist");
    expect(() => ExecutionStore.create("jobs", { defaultPolicy: "keep" as "evict" })).toThrow(
      expect.objectContaining({ reason: "POLICY_INVALID" }),
    );
  });
});

describe("its service", () => {
  test("is its own, in the context asked for, and closes with it", async () => {
    const datasetId = new ObjectId();
    const scoped = ExecutionStore.create("jobs", {
      address: server.address,
      datasetId,
      collectionName: "other",
    });
    await scoped.set("k", 1);
    expect(scoped.datasetId).toBe(datasetId.toHexString());
    expect(scoped.storeName).toBe("jobs");
    expect(await store.has("k")).toBe(false);
    const other = store.service.withContext({ datasetId, collectionName: "other" });
    expect(await other.hasKey("jobs", "k")).toBe(true);
    await scoped.close();
    await scoped.close();
    await expect(scoped.get("k")).rejects.toMatchObject({ reason: "CLIENT_CLOSED" });
  });

  test("may be shared, and then stays open", async () => {
    const service = new ExecutionStoreService({ address: server.address });
    const datasetId = new ObjectId();
    {
      await using shared = ExecutionStore.create("jobs", { service, datasetId });
      await shared.set("k", 1);
    }
    expect(await service.withContext({ datasetId }).hasKey("jobs", "k")).toBe(true);
    await service.close();
  });

  test("ends calls for a signal and a timeout", async () => {
    const signal = AbortSignal.abort();
    const calls: (() => Promise<unknown>)[] = [
      () => store.get("k", { signal }),
      () => store.set("k", 1, { signal }),
      () => store.setCache("k", 1, { signal }),
      () => store.setIfAbsent("k", 1, { signal }),
      () => store.compareAndSet("k", { expected: 1 }, 1, { signal }),
      () => store.delete("k", { signal }),
      () => store.has("k", { signal }),
      () => store.clear({ signal }),
      () => store.clearCache({ signal }),
      () => store.updateTtl("k", 1, { signal }),
      () => store.updatePolicy("k", "evict", { signal }),
      () => store.getMetadata("k", { signal }),
      () => store.listKeys({ signal }).toArray(),
      () => store.listStores({ signal }).toArray(),
      () => store.listValues({ signal }).toArray(),
      () => store.count({ signal }),
      () => store.getMany(["k"], { signal }),
      () => store.setMany([["k", 1]], { signal }),
      () => store.deleteMany(["k"], { signal }),
    ];
    for (const call of calls)
      await expect(call(), String(call)).rejects.toMatchObject({ reason: "CANCELLED" });
    await expect(store.get("k", { timeoutMs: 0 })).rejects.toMatchObject({ reason: "CLIENT_OPTION_INVALID" });
  });
});
