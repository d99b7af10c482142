import { serialize } from "bson";
import { expect } from "vitest";
import type { GlobalCursor, PageRequest } from "../../src/store/engine.js";
import { DEFAULT_COLLECTION } from "../../src/store/limits.js";
import {
  type Check,
  ELSEWHERE,
  expiring,
  FIRST,
  globalStoresOf,
  NONE,
  OTHER_COLLECTION,
  pagesOf,
  persist,
  SECOND,
  storesOf,
} from "./world.js";

function inBoth(names: readonly string[]): string[] {
  return ["", FIRST.datasetId].flatMap((id) => names.map((name) => `${id}/${name}`));
}

/** What goes across all contexts of a collection. */
export function global(check: Check): void {
  check("finds nothing in an empty collection", async ({ engine }) => {
    await engine.setKey(ELSEWHERE, "jobs", "key", persist());
    expect(await engine.hasStoreGlobal(DEFAULT_COLLECTION, "jobs")).toBe(false);
    expect(await engine.countStoresGlobal(DEFAULT_COLLECTION)).toBe(0);
    expect(await globalStoresOf(engine)).toEqual([]);
    const none = { stores: 0, documents: 0 };
    expect(await engine.deleteStoreGlobal(DEFAULT_COLLECTION, "jobs")).toEqual(none);
    expect(await globalStoresOf(engine, OTHER_COLLECTION)).toEqual([`${FIRST.datasetId}/jobs`]);
  });

  check("lists stores by context, then by name, without metadata", async ({ engine }) => {
    await engine.createStore(SECOND, "a", serialize({ hidden: 1 }), "evict");
    await engine.setKey(SECOND, "a", "key", persist());
    await engine.setKey(FIRST, "b", "key", persist());
    await engine.setKey(FIRST, "\u{1F600}", "key", persist());
    await engine.setKey(FIRST, "\uFF61", "key", persist());
    await engine.setKey(NONE, "z", "key", persist());
    const pages = await pagesOf(
      (page: PageRequest<GlobalCursor>) => engine.listStoresGlobal(DEFAULT_COLLECTION, page),
      { limit: 2 },
    );
    const { own } = (await engine.getStore(SECOND, "a")) ?? {};
    expect(pages.flat()).toEqual([
      { datasetId: "", storeName: "z", own: undefined },
      { datasetId: FIRST.datasetId, storeName: "b", own: undefined },
      { datasetId: FIRST.datasetId, storeName: "\uFF61", own: undefined },
      { datasetId: FIRST.datasetId, storeName: "\u{1F600}", own: undefined },
      { datasetId: SECOND.datasetId, storeName: "a", own: { ...own, metadata: undefined } },
    ]);
    expect(await engine.countStoresGlobal(DEFAULT_COLLECTION)).toBe(5);
  });

  check("finds a store in any context until the last is gone", async ({ engine, clock }) => {
    await engine.setKey(FIRST, "jobs", "key", persist());
    await engine.setKey(SECOND, "jobs", "key", expiring(10_000));
    await engine.createStore(NONE, "jobs", undefined, "persist");
    for (const [end, left] of [
      [() => engine.deleteKey(FIRST, "jobs", "key", undefined), 2],
      [() => engine.deleteStore(NONE, "jobs"), 1],
      [() => Promise.resolve(clock.advance(10_000)), 0],
    ] as const) {
      expect(await engine.hasStoreGlobal(DEFAULT_COLLECTION, "jobs")).toBe(true);
      await end();
      expect(await engine.countStoresGlobal(DEFAULT_COLLECTION)).toBe(left);
      expect(await globalStoresOf(engine)).toHaveLength(left);
    }
    expect(await engine.hasStoreGlobal(DEFAULT_COLLECTION, "jobs")).toBe(false);
  });

  check("deletes a store everywhere and counts stores and documents", async ({ engine, clock }) => {
    for (const scope of [NONE, FIRST, SECOND, ELSEWHERE]) {
      for (const key of ["a", "b"]) await engine.setKey(scope, "jobs", key, persist());
      for (const name of ["job", "jobs2", "jobs\u0001"]) await engine.setKey(scope, name, "a", persist());
    }
    await engine.createStore(SECOND, "jobs", undefined, "persist");
    const third = { ...FIRST, datasetId: "ffffffffffffffffffffffff" };
    await engine.setKey(third, "jobs", "expired", expiring(10_000));
    const fourth = { ...FIRST, datasetId: "000000000000000000000000" };
    await engine.createStore(fourth, "jobs", undefined, "evict");
    clock.advance(10_000);
    const all = { stores: 4, documents: 8 };
    expect(await engine.deleteStoreGlobal(DEFAULT_COLLECTION, "jobs")).toEqual(all);
    const none = { stores: 0, documents: 0 };
    expect(await engine.deleteStoreGlobal(DEFAULT_COLLECTION, "jobs")).toEqual(none);
    expect(await storesOf(engine, SECOND)).toEqual(["job", "jobs\u0001", "jobs2"]);
    expect(await engine.countKeys(ELSEWHERE, "jobs", "")).toBe(2);
    expect(await engine.countStoresGlobal(DEFAULT_COLLECTION)).toBe(9);
  });

  check("filters by the prefix of the store's name", async ({ engine }) => {
    for (const scope of [NONE, FIRST]) {
      for (const name of ["a", "ab", "a\u{10FFFF}", "b"]) await engine.setKey(scope, name, "key", persist());
    }
    const list = (prefix: string) => globalStoresOf(engine, DEFAULT_COLLECTION, { prefix, limit: 1 });
    expect(await list("a")).toEqual(inBoth(["a", "ab", "a\u{10FFFF}"]));
    expect(await list("ab")).toEqual(inBoth(["ab"]));
    expect(await list("")).toEqual(inBoth(["a", "ab", "a\u{10FFFF}", "b"]));
    expect(await list("c")).toEqual([]);
    expect(await list(FIRST.datasetId)).toEqual([]);
  });

  check(
    "starts behind any place, whether a store is there or not",
    async ({ engine }) => {
      for (const scope of [NONE, FIRST, SECOND]) {
        for (const name of ["b", "d"]) await engine.setKey(scope, name, "key", persist());
      }
      const behind = async (after: GlobalCursor): Promise<number> =>
        (await engine.listStoresGlobal(DEFAULT_COLLECTION, { prefix: "", after, limit: 100 })).items.length;
      expect(await behind({ datasetId: "", storeName: "a" })).toBe(6);
      expect(await behind({ datasetId: "", storeName: "b" })).toBe(5);
      expect(await behind({ datasetId: "", storeName: "c" })).toBe(5);
      expect(await behind({ datasetId: "", storeName: "z" })).toBe(4);
      expect(await behind({ datasetId: FIRST.datasetId, storeName: "b\u0001" })).toBe(3);
      expect(await behind({ datasetId: "0123456789abcdef01234567", storeName: "z" })).toBe(2);
      expect(await behind({ datasetId: "ffffffffffffffffffffffff", storeName: "a" })).toBe(0);
    },
    "cursors",
  );
}
