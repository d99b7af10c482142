import { expect } from "vitest";
import { DEFAULT_COLLECTION, MAX_TTL_MS } from "../../src/store/limits.js";
import {
  type Check,
  documentsOf,
  expiring,
  FIRST,
  globalStoresOf,
  keysOf,
  NONE,
  persist,
  plain,
  present,
  readValue,
  SECOND,
  storesOf,
  valueOf,
} from "./world.js";

const WRITE = { value: valueOf("new"), ttlMs: undefined, policy: undefined };

/** A document whose time has come is gone for every method at once. */
export function expiry(check: Check): void {
  check(
    "is there until the millisecond of its expiry",
    async ({ engine, clock }) => {
      const { document } = await engine.setKey(FIRST, "jobs", "key", expiring(1000));
      expect(document.expiresAt).toEqual(clock.at(1000));
      clock.advance(999);
      expect(await engine.hasKey(FIRST, "jobs", "key")).toBe(true);
      expect(await readValue(engine, FIRST, "jobs", "key")).toBeDefined();
      clock.advance(1);
      expect(await engine.hasKey(FIRST, "jobs", "key")).toBe(false);
      expect(await readValue(engine, FIRST, "jobs", "key")).toBeUndefined();
    },
    "clock",
  );

  check("is gone for every reading method at once", async ({ engine, clock }) => {
    await engine.setKey(FIRST, "jobs", "gone", expiring(1_000_000));
    await engine.setKey(FIRST, "jobs", "kept", persist());
    await engine.setKey(FIRST, "brief", "gone", expiring(1_000_000));
    clock.advance(1_000_000);
    expect(await engine.countStores(FIRST)).toBe(1);
    expect(await engine.countStoresGlobal(DEFAULT_COLLECTION)).toBe(1);
    expect(await storesOf(engine, FIRST)).toEqual(["jobs"]);
    expect(await globalStoresOf(engine)).toEqual([`${FIRST.datasetId}/jobs`]);
    expect(await engine.hasStore(FIRST, "brief")).toBe(false);
    expect(await engine.hasStoreGlobal(DEFAULT_COLLECTION, "brief")).toBe(false);
    expect(await engine.getStore(FIRST, "brief")).toBeUndefined();
    expect(await engine.countKeys(FIRST, "jobs", "")).toBe(1);
    expect(await engine.countKeys(FIRST, "jobs", "g")).toBe(0);
    expect(await keysOf(engine, FIRST, "jobs")).toEqual(["kept"]);
    expect((await documentsOf(engine, FIRST, "jobs")).map(({ key }) => key)).toEqual(["kept"]);
    const batch = await engine.batchGetKeys(FIRST, "jobs", ["gone", "kept"], {
      withValue: true,
      maxBytes: 1e6,
    });
    expect(batch.documents.map((document) => document?.key)).toEqual([undefined, "kept"]);
    expect(await engine.getKey(FIRST, "jobs", "gone", true)).toBeUndefined();
    expect(await engine.hasKey(FIRST, "jobs", "gone")).toBe(false);
  });

  check("is gone for every changing method, and nothing revives it", async ({ engine, clock }) => {
    const { document } = await engine.setKey(FIRST, "jobs", "key", expiring(1_000_000, "old"));
    clock.advance(1_000_000);
    expect(await engine.updateTtl(FIRST, "jobs", "key", 5_000_000)).toBeUndefined();
    expect(await engine.updatePolicy(FIRST, "jobs", "key", "persist")).toBeUndefined();
    const lost = { set: false, document: undefined };
    expect(await engine.compareAndSetKey(FIRST, "jobs", "key", { value: valueOf("old") }, WRITE)).toEqual(
      lost,
    );
    expect(await engine.compareAndSetKey(FIRST, "jobs", "key", { etag: document.etag }, WRITE)).toEqual(lost);
    expect(await engine.deleteKey(FIRST, "jobs", "key", undefined)).toBe(false);
    expect(await engine.deleteKey(FIRST, "jobs", "key", document.etag)).toBe(false);
    expect(await engine.batchDeleteKeys(FIRST, "jobs", ["key"])).toBe(0);
    expect(await engine.hasKey(FIRST, "jobs", "key")).toBe(false);
  });

  check("is counted by no deletion", async ({ engine, clock }) => {
    for (const key of ["a", "b", "c"]) {
      await engine.setKey(FIRST, "jobs", key, expiring(1_000_000));
      await engine.setKey(SECOND, "jobs", key, expiring(1_000_000));
    }
    await engine.setKey(FIRST, "jobs", "kept", persist());
    clock.advance(1_000_000);
    expect(await engine.clearCache(FIRST, "jobs")).toBe(0);
    expect(await engine.clearCache(SECOND, undefined)).toBe(0);
    expect(await engine.cleanup(SECOND)).toBe(0);
    expect(await engine.deleteStore(SECOND, "jobs")).toBe(0);
    expect(await engine.deleteStoreGlobal(DEFAULT_COLLECTION, "jobs")).toEqual({ stores: 1, documents: 1 });
  });

  for (const method of ["setKey", "setKeyIfAbsent", "batchSetKeys"] as const) {
    check(`creates anew by ${method} after the expiry`, async ({ engine, clock }) => {
      const { document: old } = await engine.setKey(FIRST, "jobs", "key", expiring(1_000_000, "old"));
      clock.advance(1_000_000);
      const result = {
        setKey: () => engine.setKey(FIRST, "jobs", "key", persist("new")),
        setKeyIfAbsent: () => engine.setKeyIfAbsent(FIRST, "jobs", "key", persist("new")),
        batchSetKeys: async () =>
          present((await engine.batchSetKeys(FIRST, "jobs", [{ key: "key", ...persist("new") }]))[0]),
      }[method];
      const answer = await result();
      expect("created" in answer ? answer.created : answer.set).toBe(true);
      expect(answer.document).toMatchObject({
        createdAt: clock.at(1_000_000),
        updatedAt: clock.at(1_000_000),
        expiresAt: undefined,
        policy: "persist",
      });
      expect(answer.document?.etag).not.toBe(old.etag);
      expect(plain(await readValue(engine, FIRST, "jobs", "key"))).toEqual(plain(valueOf("new")));
      expect(await engine.countKeys(FIRST, "jobs", "")).toBe(1);
      clock.advance(1_000_000_000);
      expect(await engine.hasKey(FIRST, "jobs", "key")).toBe(true);
    });
  }

  check("ends a store with its last key's expiry and no earlier", async ({ engine, clock }) => {
    await engine.setKey(FIRST, "jobs", "first", expiring(100_000));
    await engine.setKey(FIRST, "jobs", "last", expiring(300_000));
    await engine.setKey(FIRST, "jobs", "deleted", expiring(900_000));
    await engine.deleteKey(FIRST, "jobs", "deleted", undefined);
    for (const [advance, stores] of [
      [100_000, 1],
      [100_000, 1],
      [100_000, 0],
    ] as const) {
      clock.advance(advance);
      expect(await engine.countStores(FIRST)).toBe(stores);
      expect(await engine.countStoresGlobal(DEFAULT_COLLECTION)).toBe(stores);
      expect(await storesOf(engine, FIRST)).toEqual(stores === 1 ? ["jobs"] : []);
      expect(await globalStoresOf(engine)).toHaveLength(stores);
      expect(await engine.hasStore(FIRST, "jobs")).toBe(stores === 1);
      expect((await engine.getStore(FIRST, "jobs")) === undefined).toBe(stores === 0);
      expect(await engine.hasStoreGlobal(DEFAULT_COLLECTION, "jobs")).toBe(stores === 1);
    }
    await engine.setKey(FIRST, "jobs", "again", persist());
    expect(await storesOf(engine, FIRST)).toEqual(["jobs"]);
  });

  check("ends a store whose lasting key was made to expire", async ({ engine, clock }) => {
    await engine.setKey(NONE, "updated", "key", persist());
    await engine.updateTtl(NONE, "updated", "key", 100_000);
    await engine.setKey(NONE, "swapped", "key", persist("old"));
    const expected = { value: valueOf("old") };
    await engine.compareAndSetKey(NONE, "swapped", "key", expected, { ...WRITE, ttlMs: 100_000 });
    await engine.setKey(NONE, "saved", "key", expiring(100_000));
    await engine.updatePolicy(NONE, "saved", "key", "persist");
    await engine.setKey(NONE, "deleted", "lasting", persist());
    await engine.setKey(NONE, "deleted", "brief", expiring(100_000));
    await engine.deleteKey(NONE, "deleted", "lasting", undefined);
    expect(await engine.countStores(NONE)).toBe(4);
    clock.advance(200_000);
    expect(await storesOf(engine, NONE)).toEqual(["saved"]);
    expect(await engine.countStores(NONE)).toBe(1);
  });

  check("keeps a store with a document of its own when its keys expire", async ({ engine, clock }) => {
    await engine.createStore(FIRST, "jobs", undefined, "evict");
    await engine.setKey(FIRST, "jobs", "key", expiring(100_000));
    clock.advance(100_000);
    expect(await engine.hasStore(FIRST, "jobs")).toBe(true);
    expect(await engine.countKeys(FIRST, "jobs", "")).toBe(0);
    expect(await engine.deleteStore(FIRST, "jobs")).toBe(1);
  });

  check("takes the shortest and the longest ttl", async ({ engine, clock }) => {
    const { document: short } = await engine.setKey(FIRST, "jobs", "short", expiring(1));
    expect(present(short.expiresAt) - short.updatedAt).toBe(1);
    const { document: long } = await engine.setKey(FIRST, "jobs", "long", expiring(MAX_TTL_MS));
    expect(long.expiresAt).toEqual(clock.at(MAX_TTL_MS));
    clock.advance(1000);
    expect(await keysOf(engine, FIRST, "jobs")).toEqual(["long"]);
    clock.advance(MAX_TTL_MS - 101_000);
    expect(await keysOf(engine, FIRST, "jobs")).toEqual(["long"]);
    clock.advance(100_000);
    expect(await keysOf(engine, FIRST, "jobs")).toEqual([]);
    expect(await engine.countStores(FIRST)).toBe(0);
  });

  check(
    "ends at the very millisecond, for the shortest and the longest ttl",
    async ({ engine, clock }) => {
      await engine.setKey(FIRST, "jobs", "short", expiring(1));
      await engine.setKey(FIRST, "jobs", "long", expiring(MAX_TTL_MS));
      expect(await keysOf(engine, FIRST, "jobs")).toEqual(["long", "short"]);
      clock.advance(1);
      expect(await keysOf(engine, FIRST, "jobs")).toEqual(["long"]);
      clock.advance(MAX_TTL_MS - 2);
      expect(await keysOf(engine, FIRST, "jobs")).toEqual(["long"]);
      clock.advance(1);
      expect(await keysOf(engine, FIRST, "jobs")).toEqual([]);
    },
    "clock",
  );

  check("expires thousands at once and counts the rest", async ({ engine, clock }) => {
    for (let batch = 0; batch < 4; batch += 1) {
      const entries = Array.from({ length: 500 }, (_, index) => ({
        key: `key-${String(batch * 500 + index).padStart(5, "0")}`,
        ...(index % 10 === 0 ? persist() : expiring(100_000 + (index % 3) * 100_000)),
      }));
      await engine.batchSetKeys(FIRST, "jobs", entries);
    }
    expect(await engine.countKeys(FIRST, "jobs", "")).toBe(2000);
    clock.advance(300_000);
    expect(await engine.countKeys(FIRST, "jobs", "")).toBe(200);
    const keys = await keysOf(engine, FIRST, "jobs", { limit: 7 });
    expect(keys).toHaveLength(200);
    expect(keys.every((key) => key.endsWith("0"))).toBe(true);
    expect(await engine.deleteStore(FIRST, "jobs")).toBe(200);
  });
}
