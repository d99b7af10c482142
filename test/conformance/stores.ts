import { deserialize, serialize } from "bson";
import { expect } from "vitest";
import { type Check, evict, expiring, FIRST, NONE, persist, present, storesOf } from "./world.js";

/** A store with a document of its own, or only with keys. */
export function stores(check: Check): void {
  check("creates a store's own document", async ({ engine, clock }) => {
    const metadata = serialize({ owner: "worker", retries: 3, tags: ["a", null], nested: { deep: true } });
    const created = await engine.createStore(FIRST, "jobs", metadata, "persist");
    expect(created).toMatchObject({ datasetId: FIRST.datasetId, storeName: "jobs" });
    const own = present(created.own);
    expect(own).toMatchObject({
      createdAt: clock.at(0),
      updatedAt: clock.at(0),
      expiresAt: undefined,
      policy: "persist",
    });
    expect(own.etag).not.toBe("");

    const found = present(await engine.getStore(FIRST, "jobs"));
    expect({ ...found.own, metadata: undefined }).toEqual({ ...own, metadata: undefined });
    expect(deserialize(present(found.own?.metadata))).toEqual(deserialize(metadata));
    expect(await engine.hasStore(FIRST, "jobs")).toBe(true);
    expect(await engine.countStores(FIRST)).toBe(1);
    expect(await storesOf(engine, FIRST)).toEqual(["jobs"]);
  });

  check("keeps no metadata apart from empty metadata, and both policies", async ({ engine }) => {
    await engine.createStore(NONE, "without", undefined, "evict");
    await engine.createStore(NONE, "empty", serialize({}), "persist");
    const without = present(await engine.getStore(NONE, "without"));
    expect(present(without.own).metadata).toBeUndefined();
    expect(without.own?.policy).toBe("evict");
    const empty = present(await engine.getStore(NONE, "empty"));
    expect(deserialize(present(empty.own?.metadata))).toEqual({});
    expect(empty.own?.policy).toBe("persist");
  });

  check("refuses to create a store twice and leaves the first as it is", async ({ engine }) => {
    await engine.createStore(FIRST, "jobs", serialize({ version: 1 }), "persist");
    const before = present(await engine.getStore(FIRST, "jobs"));
    await expect(engine.createStore(FIRST, "jobs", serialize({ version: 2 }), "evict")).rejects.toMatchObject(
      {
        kind: "ALREADY_EXISTS",
        reason: "STORE_ALREADY_EXISTS",
        resource: { type: "store", name: "jobs" },
        outcome: "NOT_APPLIED",
      },
    );
    expect(await engine.getStore(FIRST, "jobs")).toEqual(before);
  });

  check("has no store before it is made", async ({ engine }) => {
    expect(await engine.getStore(FIRST, "jobs")).toBeUndefined();
    expect(await engine.hasStore(FIRST, "jobs")).toBe(false);
    expect(await engine.countStores(FIRST)).toBe(0);
    expect(await storesOf(engine, FIRST)).toEqual([]);
    expect(await engine.deleteStore(FIRST, "jobs")).toBe(0);
    expect(await engine.clearCache(FIRST, "jobs")).toBe(0);
    expect(await engine.cleanup(FIRST)).toBe(0);
  });

  check("makes a store of its first key and ends it with the last", async ({ engine }) => {
    await engine.setKey(FIRST, "jobs", "one", persist());
    await engine.setKey(FIRST, "jobs", "two", persist());
    expect(await engine.getStore(FIRST, "jobs")).toEqual({
      datasetId: FIRST.datasetId,
      storeName: "jobs",
      own: undefined,
    });
    expect(await engine.countStores(FIRST)).toBe(1);
    await engine.deleteKey(FIRST, "jobs", "one", undefined);
    expect(await engine.hasStore(FIRST, "jobs")).toBe(true);
    await engine.deleteKey(FIRST, "jobs", "two", undefined);
    expect(await engine.hasStore(FIRST, "jobs")).toBe(false);
    expect(await engine.getStore(FIRST, "jobs")).toBeUndefined();
    expect(await engine.countStores(FIRST)).toBe(0);
    expect(await storesOf(engine, FIRST)).toEqual([]);
  });

  check("gives a store that exists only through keys its document", async ({ engine, clock }) => {
    await engine.setKey(FIRST, "jobs", "one", persist());
    clock.advance(5000);
    const { own } = await engine.createStore(FIRST, "jobs", undefined, "persist");
    expect(own?.createdAt).toEqual(clock.at(5000));
    expect(await engine.countStores(FIRST)).toBe(1);
    expect(await engine.countKeys(FIRST, "jobs", "")).toBe(1);
    await engine.deleteKey(FIRST, "jobs", "one", undefined);
    expect(await engine.hasStore(FIRST, "jobs")).toBe(true);
    expect(await engine.deleteStore(FIRST, "jobs")).toBe(1);
    expect(await engine.hasStore(FIRST, "jobs")).toBe(false);
  });

  check("never lists or counts a store's document as a key", async ({ engine }) => {
    await engine.createStore(FIRST, "jobs", serialize({ a: 1 }), "persist");
    await engine.setKey(FIRST, "jobs", "key", persist());
    expect(await engine.countKeys(FIRST, "jobs", "")).toBe(1);
    expect((await engine.listKeys(FIRST, "jobs", { prefix: "", after: undefined, limit: 10 })).items).toEqual(
      ["key"],
    );
    expect(await engine.countKeys(FIRST, "jobs", "__")).toBe(0);
  });

  check("makes a new document after a deletion", async ({ engine }) => {
    const first = present((await engine.createStore(FIRST, "jobs", serialize({ a: 1 }), "evict")).own);
    expect(await engine.deleteStore(FIRST, "jobs")).toBe(1);
    const second = present((await engine.createStore(FIRST, "jobs", undefined, "persist")).own);
    expect(second.updatedAt).toBeGreaterThan(first.updatedAt);
    expect(second.createdAt).toBeGreaterThan(first.createdAt);
    expect(second.etag).not.toBe(first.etag);
    expect(present((await engine.getStore(FIRST, "jobs"))?.own).metadata).toBeUndefined();
  });

  check("keeps a store's document apart from what happens to its keys", async ({ engine, clock }) => {
    const before = present((await engine.createStore(FIRST, "jobs", undefined, "persist")).own);
    clock.advance(10_000);
    await engine.setKey(FIRST, "jobs", "key", expiring(100_000));
    await engine.updatePolicy(FIRST, "jobs", "key", "evict");
    await engine.deleteKey(FIRST, "jobs", "key", undefined);
    expect((await engine.getStore(FIRST, "jobs"))?.own).toEqual(before);
  });

  check("clears a store's document that may be evicted, and no other", async ({ engine }) => {
    await engine.createStore(FIRST, "cache", undefined, "evict");
    await engine.setKey(FIRST, "cache", "kept", persist());
    await engine.createStore(FIRST, "jobs", undefined, "persist");
    await engine.setKey(FIRST, "jobs", "gone", evict());
    expect(await engine.clearCache(FIRST, "cache")).toBe(1);
    expect((await engine.getStore(FIRST, "cache"))?.own).toBeUndefined();
    expect(await engine.hasKey(FIRST, "cache", "kept")).toBe(true);
    expect(await engine.clearCache(FIRST, "jobs")).toBe(1);
    expect((await engine.getStore(FIRST, "jobs"))?.own?.policy).toBe("persist");
    await engine.createStore(FIRST, "alone", undefined, "evict");
    expect(await engine.clearCache(FIRST, undefined)).toBe(1);
    expect(await storesOf(engine, FIRST)).toEqual(["cache", "jobs"]);
  });
}
