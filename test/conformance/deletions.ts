import { setImmediate } from "node:timers/promises";
import { expect } from "vitest";
import type { Engine } from "../../src/store/engine.js";
import { DEFAULT_COLLECTION } from "../../src/store/limits.js";
import {
  type Check,
  evict,
  expiring,
  FIRST,
  inUtf8Order,
  keysOf,
  NONE,
  persist,
  SECOND,
  storesOf,
} from "./world.js";

const MANY = 4_000;

async function fill(engine: Engine, storeName: string, count: number): Promise<string[]> {
  const keys = Array.from({ length: count }, (_, index) => `key-${String(index).padStart(6, "0")}`);
  for (let start = 0; start < count; start += 1000) {
    const entries = keys.slice(start, start + 1000).map((key) => ({ key, ...evict("old") }));
    await engine.batchSetKeys(FIRST, storeName, entries);
  }
  return keys;
}

/** Deletions of many documents. */
export function deletions(check: Check): void {
  check("deletes a store with its document and its keys, and no other", async ({ engine, clock }) => {
    await engine.createStore(FIRST, "jobs", undefined, "persist");
    for (const key of ["a", "b", "c"]) await engine.setKey(FIRST, "jobs", key, persist());
    await engine.setKey(FIRST, "jobs", "expired", expiring(10_000));
    for (const neighbour of ["job", "jobs2", "jobs\u0001", "jobs/"]) {
      await engine.setKey(FIRST, neighbour, "a", persist());
    }
    clock.advance(10_000);
    expect(await engine.deleteStore(FIRST, "jobs")).toBe(4);
    expect(await engine.deleteStore(FIRST, "jobs")).toBe(0);
    expect(await engine.hasStore(FIRST, "jobs")).toBe(false);
    expect(await keysOf(engine, FIRST, "jobs")).toEqual([]);
    expect(await storesOf(engine, FIRST)).toEqual(["job", "jobs\u0001", "jobs/", "jobs2"]);
  });

  check("clears the cache of one store or of all stores of the context", async ({ engine, clock }) => {
    for (const store of ["one", "two", "three"]) {
      await engine.createStore(FIRST, store, undefined, store === "two" ? "evict" : "persist");
      await engine.setKey(FIRST, store, "persist", persist());
      await engine.setKey(FIRST, store, "evict", evict());
      await engine.setKey(FIRST, store, "expiring", expiring(1_000_000));
      await engine.setKey(FIRST, store, "expired", expiring(10_000));
    }
    await engine.setKey(SECOND, "one", "evict", evict());
    await engine.setKey(NONE, "one", "evict", evict());
    clock.advance(10_000);
    expect(await engine.clearCache(FIRST, "one")).toBe(2);
    expect(await keysOf(engine, FIRST, "one")).toEqual(["persist"]);
    expect(await engine.countKeys(FIRST, "three", "")).toBe(3);
    expect(await engine.clearCache(FIRST, undefined)).toBe(5);
    expect(await engine.clearCache(FIRST, undefined)).toBe(0);
    expect((await engine.getStore(FIRST, "two"))?.own).toBeUndefined();
    expect((await engine.getStore(FIRST, "one"))?.own).toBeDefined();
    expect(await keysOf(engine, FIRST, "three")).toEqual(["persist"]);
    expect(await engine.hasKey(SECOND, "one", "evict")).toBe(true);
    expect(await engine.clearCache(NONE, undefined)).toBe(1);
    expect(await engine.hasStore(NONE, "one")).toBe(false);
  });

  check("cleans up every store of one context", async ({ engine }) => {
    for (const scope of [NONE, FIRST, SECOND]) {
      await engine.createStore(scope, "documented", undefined, "persist");
      await engine.setKey(scope, "documented", "key", persist());
      await engine.setKey(scope, "keys", "persist", persist());
      await engine.setKey(scope, "keys", "evict", evict());
    }
    expect(await engine.cleanup(FIRST)).toBe(4);
    expect(await engine.cleanup(FIRST)).toBe(0);
    expect(await storesOf(engine, FIRST)).toEqual([]);
    expect(await storesOf(engine, SECOND)).toEqual(["documented", "keys"]);
    expect(await engine.cleanup(NONE)).toBe(4);
    expect(await storesOf(engine, SECOND)).toEqual(["documented", "keys"]);
    expect(await engine.countStoresGlobal(DEFAULT_COLLECTION)).toBe(2);
  });

  check("deletes thousands of keys and counts each once", async ({ engine }) => {
    for (const remove of [
      () => engine.deleteStore(FIRST, "jobs"),
      () => engine.clearCache(FIRST, "jobs"),
      () => engine.clearCache(FIRST, undefined),
      () => engine.cleanup(FIRST),
    ]) {
      await fill(engine, "jobs", 2500);
      expect(await remove()).toBe(2500);
      expect(await engine.countKeys(FIRST, "jobs", "")).toBe(0);
      expect(await engine.countStores(FIRST)).toBe(0);
    }
  });

  check(
    "leaves what is written while a deletion runs, and removes all the rest",
    async ({ engine }) => {
      for (const remove of [
        () => engine.deleteStore(FIRST, "jobs"),
        () => engine.clearCache(FIRST, "jobs"),
        () => engine.clearCache(FIRST, undefined),
        () => engine.cleanup(FIRST),
        async () => (await engine.deleteStoreGlobal(DEFAULT_COLLECTION, "jobs")).documents,
      ]) {
        const keys = await fill(engine, "jobs", MANY);
        const state = { running: true };
        const deletion = remove().finally(() => {
          state.running = false;
        });
        // The first keys go first: once one is gone the deletion has begun, and it still has most before it.
        while (state.running && (await engine.hasKey(FIRST, "jobs", "key-000000"))) await setImmediate();
        expect(state.running).toBe(true);
        const rewritten = new Set<string>();
        let early = 0;
        for (let index = MANY - 1; state.running && index > 0; index -= 131) {
          const key = keys[index] ?? "";
          await engine.setKey(FIRST, "jobs", key, evict("new"));
          rewritten.add(key);
          await engine.setKey(FIRST, "jobs", `new-${index}`, evict("new"));
          rewritten.add(`new-${index}`);
          if (state.running) early += 1;
        }
        const deleted = await deletion;
        expect(early).toBeGreaterThan(0);
        expect(await keysOf(engine, FIRST, "jobs")).toEqual(inUtf8Order([...rewritten]));
        expect(deleted).toBeLessThanOrEqual(MANY);
        expect(deleted).toBeGreaterThanOrEqual(MANY - rewritten.size);
        expect(await engine.deleteStore(FIRST, "jobs")).toBe(rewritten.size);
      }
    },
    "slices",
  );

  check("counts no document twice when deletions run at the same time", async ({ engine }) => {
    await fill(engine, "jobs", 3000);
    const counts = await Promise.all([
      engine.deleteStore(FIRST, "jobs"),
      engine.deleteStore(FIRST, "jobs"),
      engine.clearCache(FIRST, undefined),
      engine.cleanup(FIRST),
      engine.deleteStoreGlobal(DEFAULT_COLLECTION, "jobs").then(({ documents }) => documents),
    ]);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(3000);
    expect(await engine.countStores(FIRST)).toBe(0);
  });
}
