import { ObjectId } from "bson";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { StoreServiceDefinition } from "../../gen/ts/execution_store/v1/execution_store.js";
import { RawValue } from "../../src/client/raw-value.js";
import { ExecutionStoreService } from "../../src/client/service.js";
import { toValueBson } from "../../src/value/plain.js";
import { createModelEngine } from "../support/model-engine.js";
import { startTestServer, type TestServer } from "../support/test-server.js";

const START = Date.UTC(2030, 0, 1);
const DATASET = "65f0c1d2e3a4b5c6d7e8f901";

let now = START;
let server: TestServer;
let service: ExecutionStoreService;

beforeAll(async () => {
  server = await startTestServer({
    engine: createModelEngine({ now: () => now }),
    collections: ["execution_store", "other"],
  });
  service = new ExecutionStoreService({ address: server.address });
});

beforeEach(async () => {
  now += 1000;
  for (const collectionName of ["execution_store", "other"]) {
    for (const datasetId of [undefined, DATASET])
      await service.withContext({ datasetId, collectionName }).cleanup();
  }
});

afterAll(async () => {
  await service.close();
  await server.close();
});

describe("stores", () => {
  test("has a method for every RPC, under its name in camelCase", () => {
    const names = Object.keys(StoreServiceDefinition.methods);
    const missing = names.filter((name) => !(name in service));
    expect(names.length).toBe(28);
    expect(missing).toEqual([]);
  });

  test("creates and reads a store with metadata of every kind that JSON and Extended JSON carry", async () => {
    const id = new ObjectId();
    const metadata = {
      owner: "ann",
      tags: ["a", null],
      at: new Date(START),
      id,
      big: 2n ** 60n,
      blob: new Uint8Array([1]),
    };
    const created = await service.createStore("s", { metadata, policy: "evict" });
    expect(created).toEqual({
      storeName: "s",
      datasetId: undefined,
      metadata,
      createdAt: new Date(now),
      updatedAt: new Date(now),
      expiresAt: undefined,
      policy: "evict",
      etag: expect.stringMatching(/./),
    });
    expect(await service.getStore("s")).toEqual(created);
  });

  test("creates a store without metadata, as persistent", async () => {
    expect(await service.createStore("s")).toMatchObject({ metadata: undefined, policy: "persist" });
  });

  test("answers a store that exists only through its keys without a document of its own", async () => {
    await service.setKey("s", "k", 1);
    expect(await service.getStore("s")).toEqual({
      storeName: "s",
      datasetId: undefined,
      metadata: undefined,
      createdAt: undefined,
      updatedAt: undefined,
      expiresAt: undefined,
      policy: undefined,
      etag: undefined,
    });
  });

  test("answers undefined and false for a store that is not there", async () => {
    expect(await service.getStore("s")).toBeUndefined();
    expect(await service.hasStore("s")).toBe(false);
    expect(await service.deleteStore("s")).toBe(0);
  });

  test("lists, counts, finds and deletes stores", async () => {
    for (const name of ["b", "a", "ab"]) await service.setKey(name, "k", 1);
    await service.createStore("b");
    expect(await service.listStores().toArray()).toEqual(["a", "ab", "b"]);
    expect(await service.listStores({ prefix: "a", pageSize: 1 }).toArray()).toEqual(["a", "ab"]);
    expect(await service.countStores()).toBe(3);
    expect(await service.hasStore("b")).toBe(true);
    expect(await service.deleteStore("b")).toBe(2);
    expect(await service.hasStore("b")).toBe(false);
    expect(await service.cleanup()).toBe(2);
    expect(await service.countStores()).toBe(0);
  });

  test("clears the cache of one store, or of all, but of none for an empty name", async () => {
    for (const name of ["a", "b"]) {
      await service.setKey(name, "kept", 1);
      await service.setCacheKey(name, "cached", 1);
    }
    await expect(service.clearCache("")).rejects.toMatchObject({
      reason: "STORE_NAME_INVALID",
      outcome: "NOT_APPLIED",
    });
    expect(await service.clearCache("a")).toBe(1);
    expect(await service.hasKey("b", "cached")).toBe(true);
    expect(await service.clearCache()).toBe(1);
    expect(await service.countKeys("a")).toBe(1);
  });
});

describe("keys", () => {
  test("sets and reads a key", async () => {
    const { document, created } = await service.setKey("s", "k", { a: [1, null] });
    expect(created).toBe(true);
    expect(document).toEqual({
      storeName: "s",
      key: "k",
      datasetId: undefined,
      createdAt: new Date(now),
      updatedAt: new Date(now),
      expiresAt: undefined,
      policy: "persist",
      etag: expect.stringMatching(/./),
    });
    expect(await service.getKey("s", "k")).toEqual({ ...document, value: { a: [1, null] } });
    now += 5;
    const again = await service.setKey("s", "k", 2, { policy: "evict" });
    expect(again.created).toBe(false);
    expect(again.document).toMatchObject({
      createdAt: document.createdAt,
      updatedAt: new Date(now),
      policy: "evict",
    });
    expect(again.document.etag).not.toBe(document.etag);
  });

  test("reads in three encodings, and writes what it read raw", async () => {
    await service.setKey("s", "k", { a: 1.5 });
    const raw = await service.getKey("s", "k", { encoding: "raw" });
    expect(raw?.value).toBeInstanceOf(RawValue);
    expect(Buffer.from(raw?.value.bytes ?? [])).toEqual(Buffer.from(toValueBson({ a: 1.5 })));
    await service.setKey("s", "copy", raw?.value);
    expect((await service.getKey("s", "copy", { encoding: "plain" }))?.value).toEqual({ a: 1.5 });
    const none = await service.getKey("s", "k", { encoding: "none" });
    expect(none).toBeDefined();
    expect(none).not.toHaveProperty("value");
  });

  test("answers undefined and false for a key that is not there", async () => {
    expect(await service.getKey("s", "k")).toBeUndefined();
    expect(await service.hasKey("s", "k")).toBe(false);
    expect(await service.deleteKey("s", "k")).toBe(false);
    await expect(service.updateTtl("s", "k", 1)).rejects.toMatchObject({
      reason: "KEY_NOT_FOUND",
      resource: { type: "key", name: "s/k" },
      outcome: "NOT_APPLIED",
    });
    await expect(service.updatePolicy("s", "k", "evict")).rejects.toMatchObject({ kind: "NOT_FOUND" });
  });

  test("takes a ttl in seconds, fractions included, and to the millisecond", async () => {
    for (const [ttl, ms] of [
      [1.1, 1100],
      [0.0001, 1],
      [1e-9, 1],
      [0.9999999, 1000],
      [2.5, 2500],
      [1_000_000_000.1, 1_000_000_000_100],
      [36_525 * 86_400, 36_525 * 86_400_000],
    ] as const) {
      const { document } = await service.setKey("s", "k", 1, { ttl, policy: "persist" });
      expect(document.expiresAt, String(ttl)).toEqual(new Date(now + ms));
      expect(document.policy).toBe("evict");
    }
    now += 2;
    await service.setCacheKey("s", "cache", 1, { ttl: 3 });
    expect((await service.getKey("s", "cache"))?.expiresAt).toEqual(new Date(now + 3000));
    now += 3000;
    expect(await service.getKey("s", "cache")).toBeUndefined();
  });

  test("updates ttl and policy", async () => {
    await service.setKey("s", "k", 1);
    expect(await service.updateTtl("s", "k", 0.5)).toMatchObject({
      expiresAt: new Date(now + 500),
      policy: "evict",
    });
    expect(await service.updatePolicy("s", "k", "persist")).toMatchObject({
      expiresAt: undefined,
      policy: "persist",
    });
  });

  test("sets if absent", async () => {
    const won = await service.setKeyIfAbsent("s", "k", "first", { ttl: 9 });
    expect(won).toMatchObject({ set: true, document: { policy: "evict", expiresAt: new Date(now + 9000) } });
    const lost = await service.setKeyIfAbsent("s", "k", "second");
    expect(lost).toEqual({ set: false, document: won.document });
    expect((await service.getKey("s", "k"))?.value).toBe("first");
  });

  test("compares and sets by value and by version", async () => {
    const { document } = await service.setKey("s", "k", { n: 1 }, { ttl: 60 });
    expect(await service.compareAndSetKey("s", "k", { expected: { n: 2 } }, 3)).toEqual({
      set: false,
      document,
    });
    const set = await service.compareAndSetKey("s", "k", { expected: { n: 1n } }, null);
    expect(set).toMatchObject({ set: true, document: { expiresAt: document.expiresAt, policy: "evict" } });
    const byNull = await service.compareAndSetKey("s", "k", { expected: null }, 4, { policy: "persist" });
    expect(byNull).toMatchObject({ set: true, document: { expiresAt: undefined, policy: "persist" } });
    expect(await service.compareAndSetKey("s", "k", { etag: document.etag }, 5)).toMatchObject({
      set: false,
    });
    const etag = byNull.document?.etag ?? "";
    expect(await service.compareAndSetKey("s", "k", { etag }, 6, { ttl: 1 })).toMatchObject({ set: true });
    expect(await service.compareAndSetKey("s", "none", { etag }, 6)).toEqual({
      set: false,
      document: undefined,
    });
  });

  test("deletes a key, or one version of it", async () => {
    const { document } = await service.setKey("s", "k", 1);
    await service.setKey("s", "k", 2);
    expect(await service.deleteKey("s", "k", { etag: document.etag })).toBe(false);
    // A version that got lost on the way is no permission to delete any.
    for (const etag of ["", undefined as unknown as string]) {
      await expect(service.deleteKey("s", "k", { etag })).rejects.toMatchObject({ reason: "ETAG_EMPTY" });
    }
    expect(await service.deleteKey("s", "k")).toBe(true);
    expect(await service.hasKey("s", "k")).toBe(false);
  });

  test("lists and counts keys and values", async () => {
    for (const key of ["b1", "a2", "a1"]) await service.setKey("s", key, key);
    expect(await service.listKeys("s").toArray()).toEqual(["a1", "a2", "b1"]);
    expect(await service.listKeys("s", { prefix: "a" }).toArray()).toEqual(["a1", "a2"]);
    expect(await service.countKeys("s")).toBe(3);
    expect(await service.countKeys("s", { prefix: "b" })).toBe(1);
    const values = await service.listValues<string>("s", { pageSize: 2 }).toArray();
    expect(values.map(({ key, value }) => [key, value])).toEqual([
      ["a1", "a1"],
      ["a2", "a2"],
      ["b1", "b1"],
    ]);
    const [raw] = await service.listValues("s", { encoding: "raw", prefix: "b" }).toArray();
    expect(raw?.value.bytes).toBeInstanceOf(Uint8Array);
    const [none] = await service.listValues("s", { encoding: "none" }).toArray();
    expect(none).toMatchObject({ key: "a1" });
    expect(none).not.toHaveProperty("value");
  });
});

describe("contexts", () => {
  test("keeps datasets and collections apart, and names them", async () => {
    const dataset = service.withContext({ datasetId: new ObjectId(DATASET) });
    const other = new ExecutionStoreService({ address: server.address, collectionName: "other" });
    await dataset.setKey("s", "k", "of the dataset");
    expect(await service.hasKey("s", "k")).toBe(false);
    expect(dataset.datasetId).toBe(DATASET);
    expect((await dataset.getKey("s", "k"))?.datasetId).toBe(DATASET);
    expect(await service.withContext({ datasetId: DATASET.toUpperCase() }).hasKey("s", "k")).toBe(true);
    await other.setKey("s", "k", "elsewhere");
    expect(other.collectionName).toBe("other");
    expect((await other.getKey("s", "k"))?.value).toBe("elsewhere");
    expect(service.collectionName).toBeUndefined();
    expect(service.datasetId).toBeUndefined();
    expect(service.address).toBe(server.address);
    await other.close();
  });

  test("goes across all contexts with the Global methods", async () => {
    const dataset = service.withContext({ datasetId: DATASET });
    await service.setKey("s", "k", 1);
    await service.setKey("t", "k", 1);
    await dataset.setKey("s", "k", 1);
    await dataset.createStore("s", { metadata: { a: 1 } });
    expect(await service.hasStoreGlobal("s")).toBe(true);
    expect(await service.hasStoreGlobal("u")).toBe(false);
    expect(await service.countStoresGlobal()).toBe(3);
    const stores = await service.listStoresGlobal({ pageSize: 1 }).toArray();
    expect(
      stores.map(({ datasetId, storeName, metadata, policy }) => [datasetId, storeName, metadata, policy]),
    ).toEqual([
      [undefined, "s", undefined, undefined],
      [undefined, "t", undefined, undefined],
      [DATASET, "s", undefined, "persist"],
    ]);
    expect(await service.listStoresGlobal({ prefix: "t" }).toArray()).toHaveLength(1);
    expect(await service.deleteStoreGlobal("s")).toEqual({ stores: 2, documents: 3 });
    expect(await service.countStoresGlobal()).toBe(1);
  });
});
