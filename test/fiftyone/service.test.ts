import { ObjectId } from "mongodb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openMongoEngine } from "../../src/engines/mongo/engine.js";
import { LIST_INDEX } from "../../src/engines/mongo/index-definitions.js";
import type { ExecutionStoreService } from "../../src/index.js";
import { ExecutionStore, ExecutionStoreService as Service } from "../../src/index.js";
import { leavesOut } from "../support/left-out.js";
import {
  type BothSides,
  FIELDS,
  openBothSides,
  type Place,
  type PythonDocument,
  SETUP_LIMIT_MS,
} from "./both-sides.js";

const HOUR = 3600;
/** Collections of their own for the tests that look at all stores. */
const WHOLE = { none: "whole_none", dataset: "whole_dataset", all: "all_contexts" };
/** A collection that the service does not know. */
const PYTHONS = "made_by_python";

let sides: BothSides;
let lastStore = 0;

beforeAll(async () => {
  if (leavesOut("fiftyone") || leavesOut("mongodb")) return;
  sides = await openBothSides({ collections: Object.values(WHOLE) });
}, SETUP_LIMIT_MS);
afterAll(() => sides?.close());

function newStore(): string {
  lastStore += 1;
  return `store-${lastStore}`;
}

/** Python's snake_case in TypeScript's form. */
function camelCase(name: string): string {
  return name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

describe.skipIf(leavesOut("fiftyone") || leavesOut("mongodb"))("FiftyOne and the service", () => {
  const contexts: [string, Place][] = [
    ["no dataset", { datasetId: undefined }],
    ["a dataset", { datasetId: new ObjectId() }],
  ];

  describe.each(contexts)("in the context of %s", (_, place) => {
    const service = (): ExecutionStoreService => sides.serviceIn(place);
    const python = <T = unknown>(method: string, ...args: unknown[]): Promise<T> =>
      sides.python<T>(place, method, ...args);
    const pythonKey = (store: string, key: string) => python<PythonDocument | null>("get_key", store, key);

    test("set_key: each reads what the other wrote", async () => {
      const store = newStore();
      await python("set_key", store, "theirs", { from: "python" }, HOUR);
      await python("set_key", store, "theirs for good", 1);
      const ours = await service().setKey(store, "ours", { from: "us" }, { ttl: HOUR });

      const [expiring] = await sides.documents({ store_name: store, key: "theirs" });
      expect(await service().getKey(store, "theirs")).toMatchObject({
        storeName: store,
        key: "theirs",
        value: { from: "python" },
        datasetId: place.datasetId?.toHexString(),
        createdAt: expiring?.["created_at"],
        updatedAt: expiring?.["updated_at"],
        expiresAt: expiring?.["expires_at"],
        policy: "evict",
      });
      expect(await service().getKey(store, "theirs for good")).toMatchObject({
        expiresAt: undefined,
        policy: "persist",
      });
      expect(await pythonKey(store, "ours")).toEqual({
        _id: expect.anything(),
        store_name: store,
        key: "ours",
        value: { from: "us" },
        dataset_id: place.datasetId ?? null,
        created_at: ours.document.createdAt,
        updated_at: ours.document.updatedAt,
        expires_at: ours.document.expiresAt,
        policy: "evict",
      });
    });

    test("set_key: each overwrites what the other wrote, and one document stays", async () => {
      const store = newStore();
      await python("set_key", store, "a", 1);
      const { created, document } = await service().setKey(store, "a", 2);
      expect(created).toBe(false);
      expect((await pythonKey(store, "a"))?.value).toBe(2);
      await python("set_key", store, "a", 3);
      expect((await service().getKey(store, "a"))?.value).toBe(3);
      expect((await service().getKey(store, "a"))?.createdAt).toEqual(document.createdAt);
      expect(await sides.documents({ store_name: store })).toHaveLength(1);
    });

    test("set_cache_key", async () => {
      const store = newStore();
      await python("set_cache_key", store, "theirs", [1]);
      await service().setCacheKey(store, "ours", [2]);
      expect(await service().getKey(store, "theirs")).toMatchObject({ value: [1], policy: "evict" });
      expect(await pythonKey(store, "ours")).toMatchObject({ value: [2], policy: "evict", expires_at: null });
    });

    test("set_key_if_absent: who comes second loses, on both sides", async () => {
      const store = newStore();
      expect(await python("set_key_if_absent", store, "theirs", 1, HOUR)).toBe(true);
      expect((await service().setKeyIfAbsent(store, "ours", 2, { ttl: HOUR })).set).toBe(true);

      const lost = await service().setKeyIfAbsent(store, "theirs", 3);
      expect(lost).toMatchObject({ set: false, document: { policy: "evict", expiresAt: expect.any(Date) } });
      expect(await python("set_key_if_absent", store, "ours", 4)).toBe(false);
      expect((await service().getKey(store, "theirs"))?.value).toBe(1);
      expect((await pythonKey(store, "ours"))?.value).toBe(2);
    });

    test("compare_and_set_key: each compares with what the other wrote", async () => {
      const store = newStore();
      await python("set_key", store, "a", { n: 1, list: [1, null] }, HOUR);
      expect((await service().compareAndSetKey(store, "a", { expected: { n: 2 } }, 0)).set).toBe(false);
      const expected = { list: [1, null], n: 1 };
      expect((await service().compareAndSetKey(store, "a", { expected }, { n: 2 })).set).toBe(true);
      expect(await pythonKey(store, "a")).toMatchObject({ value: { n: 2 }, policy: "evict" });
      expect(await python("compare_and_set_key", store, "a", { n: 1 }, 0)).toBe(false);
      expect(await python("compare_and_set_key", store, "a", { n: 2 }, { n: 3 })).toBe(true);
      expect(await service().getKey(store, "a")).toMatchObject({ value: { n: 3 }, policy: "evict" });
    });

    test("compare_and_set_key: an etag no longer fits once the other wrote", async () => {
      const store = newStore();
      const { document } = await service().setKey(store, "a", 1);
      await python("set_key", store, "a", 1);
      const { set } = await service().compareAndSetKey(store, "a", { etag: document.etag }, 2);
      expect(set).toBe(false);
      expect(await service().deleteKey(store, "a", { etag: document.etag })).toBe(false);
    });

    test("has_key and delete_key", async () => {
      const store = newStore();
      await python("set_key", store, "theirs", 1);
      await service().setKey(store, "ours", 2);
      expect(await service().hasKey(store, "theirs")).toBe(true);
      expect(await python("has_key", store, "ours")).toBe(true);
      expect(await service().deleteKey(store, "theirs")).toBe(true);
      expect(await python("delete_key", store, "ours")).toBe(true);
      expect(await python("has_key", store, "theirs")).toBe(false);
      expect(await service().hasKey(store, "ours")).toBe(false);
      expect(await python("delete_key", store, "theirs")).toBe(false);
      expect(await service().deleteKey(store, "ours")).toBe(false);
    });

    test("update_ttl", async () => {
      const store = newStore();
      await python("set_key", store, "theirs", 1);
      await service().setKey(store, "ours", 2);
      const updated = await service().updateTtl(store, "theirs", HOUR);
      expect((await pythonKey(store, "theirs"))?.expires_at).toEqual(updated.expiresAt);
      expect(await python("update_ttl", store, "ours", HOUR)).toBe(true);
      const [stored] = await sides.documents({ store_name: store, key: "ours" });
      expect((await service().getKey(store, "ours"))?.expiresAt).toEqual(stored?.["expires_at"]);
      expect(stored?.["expires_at"]).toBeInstanceOf(Date);
    });

    test("list_keys and count_keys", async () => {
      const store = newStore();
      await python("create_store", store);
      await python("set_key", store, "b", 1);
      await service().batchSetKeys(store, [
        { key: "c", value: 2 },
        { key: "a", value: 3 },
      ]);
      expect(await service().listKeys(store).toArray()).toEqual(["a", "b", "c"]);
      expect((await python<string[]>("list_keys", store)).toSorted()).toEqual(["a", "b", "c"]);
      expect(await service().countKeys(store)).toBe(3);
      expect(await python("count_keys", store)).toBe(3);
      const values = await service().listValues(store).toArray();
      expect(values.map(({ value }) => value)).toEqual([3, 1, 2]);
      const read = await service().batchGetKeys(store, ["b", "none", "c"]);
      expect([...read.values()].map(({ value }) => value)).toEqual([1, 2]);
      expect(await service().batchDeleteKeys(store, ["a", "b"])).toBe(2);
      expect(await python("list_keys", store)).toEqual(["c"]);
    });

    test("create_store, get_store and has_store", async () => {
      const theirs = newStore();
      const ours = newStore();
      const metadata = { owner: "someone", tags: ["a"], at: new Date(1.7e12), big: 2n ** 60n };
      await python("create_store", theirs, { owner: "someone" }, "evict");
      await service().createStore(ours, { metadata, policy: "evict" });

      expect(await service().getStore(theirs)).toMatchObject({
        storeName: theirs,
        datasetId: place.datasetId?.toHexString(),
        metadata: { owner: "someone" },
        policy: "evict",
        createdAt: expect.any(Date),
        updatedAt: expect.any(Date),
      });
      expect(await python("get_store", ours)).toMatchObject({
        store_name: ours,
        key: "__store__",
        value: { owner: "someone", tags: ["a"], at: new Date(1.7e12) },
        dataset_id: place.datasetId ?? null,
        policy: "evict",
      });
      expect(await service().hasStore(theirs)).toBe(true);
      expect(await python("has_store", ours)).toBe(true);
      expect(await service().hasStore("nobody's")).toBe(false);
      expect(await python("get_store", "nobody's")).toBeNull();
    });

    test("create_store without metadata", async () => {
      const theirs = newStore();
      const ours = newStore();
      await python("create_store", theirs);
      await service().createStore(ours);
      expect((await service().getStore(theirs))?.metadata).toBeUndefined();
      expect(await python("get_store", ours)).toMatchObject({ value: null, policy: "persist" });
    });

    test("delete_store", async () => {
      const theirs = newStore();
      const ours = newStore();
      for (const store of [theirs, ours]) {
        await python("create_store", store);
        await python("set_key", store, "theirs", 1);
        await service().setKey(store, "ours", 2);
      }
      expect(await python("delete_store", ours)).toBe(3);
      expect(await service().deleteStore(theirs)).toBe(3);
      expect(await service().hasStore(ours)).toBe(false);
      expect(await python("has_store", theirs)).toBe(false);
    });

    test("clear_cache of one store", async () => {
      for (const clear of [
        (store: string) => service().clearCache(store),
        (store: string) => python("clear_cache", store),
      ]) {
        const store = newStore();
        await python("set_key", store, "kept by them", 1);
        await python("set_cache_key", store, "cached by them", 1);
        await python("set_key", store, "timed by them", 1, HOUR);
        await service().setKey(store, "kept by us", 1);
        await service().setCacheKey(store, "cached by us", 1);
        await service().setKey(store, "timed by us", 1, { ttl: HOUR });
        await clear(store);
        expect(await service().listKeys(store).toArray()).toEqual(["kept by them", "kept by us"]);
      }
    });

    test("list_stores, count_stores, clear_cache of all, and cleanup", async () => {
      const collection = place.datasetId === undefined ? WHOLE.none : WHOLE.dataset;
      const own: Place = { ...place, collection };
      const elsewhere: Place = { datasetId: new ObjectId(), collection };
      const ours = sides.serviceIn(own);
      for (const cleanup of [() => ours.cleanup(), () => sides.python(own, "cleanup")]) {
        await sides.python(own, "set_key", "by them", "k", 1);
        await sides.python(own, "create_store", "empty, by them");
        await ours.setKey("by us", "k", 1);
        await ours.setCacheKey("cached by us", "k", 1);
        await sides.python(elsewhere, "set_cache_key", "elsewhere", "k", 1);
        const all = ["by them", "by us", "cached by us", "empty, by them"];
        expect(await ours.listStores().toArray()).toEqual(all);
        expect((await sides.python<string[]>(own, "list_stores")).toSorted()).toEqual(all);
        expect(await ours.countStores()).toBe(4);
        expect(await sides.python(own, "count_stores")).toBe(4);
        await ours.clearCache();
        expect(await sides.python(own, "count_stores")).toBe(3);
        await ours.setCacheKey("cached by us", "k", 1);
        await sides.python(own, "clear_cache");
        expect(await ours.countStores()).toBe(3);
        await cleanup();
        expect(await ours.countStores()).toBe(0);
        expect(await sides.python(own, "list_stores")).toEqual([]);
        expect(await sides.serviceIn(elsewhere).listStores().toArray()).toEqual(["elsewhere"]);
      }
    });

    test("every document of ours has exactly the fields of FiftyOne's, in their types", async () => {
      const store = newStore();
      const ours = service();
      await ours.createStore(store, { metadata: { a: 1 } });
      await ours.setKey(store, "set", 1);
      await ours.setKey(store, "set", 2, { ttl: HOUR });
      await ours.setKey(store, "large", new Uint8Array(1_000_000));
      await ours.setCacheKey(store, "cached", 1);
      await ours.setKeyIfAbsent(store, "absent", 1);
      await ours.batchSetKeys(
        store,
        Array.from({ length: 50 }, (__, n) => ({ key: `batch-${n}`, value: n })),
      );
      await python("set_key", store, "updated", 1);
      await ours.updateTtl(store, "updated", HOUR);
      await python("set_key", store, "compared", 1, HOUR);
      await ours.compareAndSetKey(store, "compared", { expected: 1 }, 2, { policy: "persist" });
      const documents = await sides.documents({ store_name: store });
      expect(documents).toHaveLength(57);
      for (const document of documents) {
        expect(Object.keys(document).toSorted()).toEqual(FIELDS);
        expect(document["dataset_id"]).toEqual(place.datasetId ?? null);
        expect(["persist", "evict"]).toContain(document["policy"]);
        expect(document["created_at"]).toBeInstanceOf(Date);
        expect(document["updated_at"]).toBeInstanceOf(Date);
        expect(document["expires_at"] === null || document["expires_at"] instanceof Date).toBe(true);
      }
    });
  });

  test("the methods of all contexts", async () => {
    const collection = WHOLE.all;
    const [none, one, other] = [undefined, new ObjectId(), new ObjectId()].map((datasetId) => ({
      datasetId,
      collection,
    })) as [Place, Place, Place];
    const ours = sides.serviceIn(none);
    for (const place of [none, one]) await sides.python(place, "set_key", "shared", "k", 1);
    await sides.serviceIn(other).setKey("shared", "k", 1);
    await sides.serviceIn(one).createStore("only here");
    const pairs = [
      ["shared", undefined],
      ["only here", one.datasetId],
      ["shared", one.datasetId],
      ["shared", other.datasetId],
    ].map(([store, dataset]) => `${String(store)} ${String(dataset)}`);

    const listed = await ours.listStoresGlobal().toArray();
    expect(listed.map(({ storeName, datasetId }) => `${storeName} ${datasetId}`)).toEqual(pairs);
    const theirs = await sides.python<PythonDocument[]>(none, "list_stores_global");
    expect(
      theirs.map(({ store_name, dataset_id }) => `${store_name} ${dataset_id?.toHexString()}`).toSorted(),
    ).toEqual(pairs.toSorted());
    expect(await ours.countStoresGlobal()).toBe(4);
    expect(await sides.python(none, "count_stores_global")).toBe(4);
    expect(await ours.hasStoreGlobal("only here")).toBe(true);
    expect(await sides.python(none, "has_store_global", "only here")).toBe(true);
    await sides.python(none, "delete_store_global", "only here");
    expect(await ours.hasStoreGlobal("only here")).toBe(false);
    expect(await ours.deleteStoreGlobal("shared")).toEqual({ stores: 3, documents: 3 });
    expect(await sides.python(none, "has_store_global", "shared")).toBe(false);
  });

  test("the indexes are FiftyOne's by name and definition, and one more", async () => {
    await sides.python({ datasetId: undefined, collection: PYTHONS }, "count_stores");
    const indexesOf = async (collection: string) =>
      (await sides.database.collection(collection).indexes()).toSorted((a, b) =>
        String(a.name).localeCompare(String(b.name)),
      );
    const ours = await indexesOf(WHOLE.all);
    const theirs = await indexesOf(PYTHONS);
    expect(ours.map(({ name }) => name)).toContain(LIST_INDEX);
    expect(ours.filter(({ name }) => name !== LIST_INDEX)).toEqual(theirs);

    // The service finds theirs in order, and adds its own.
    const events: unknown[] = [];
    const engine = await openMongoEngine({
      uri: sides.uri,
      collections: [PYTHONS],
      onEvent: (event) => events.push(event),
    });
    await engine.close();
    expect(await indexesOf(PYTHONS)).toEqual(ours);
    expect(events.filter((event) => JSON.stringify(event).includes("index"))).toEqual([]);
  });

  test("every method of FiftyOne's two classes has the same name here", async () => {
    const { service, store } = await sides.fiftyOne.call<{ service: string[]; store: string[] }>(
      "method_names",
    );
    // Watching is not part of this version.
    const later = new Set(["subscribe", "unsubscribe"]);
    const missing = (names: readonly string[], type: object): string[] =>
      names.filter((name) => !later.has(name) && !(camelCase(name) in type));
    expect(service.length).toBeGreaterThan(20);
    expect(missing(service, Service.prototype)).toEqual([]);
    // Python's `create` is static here, too.
    expect(missing(store, ExecutionStore.prototype)).toEqual(["create"]);
    expect(ExecutionStore).toHaveProperty("create");
  });
});
