import { expect } from "vitest";
import {
  type Check,
  evict,
  expiring,
  FIRST,
  keysOf,
  NONE,
  persist,
  present,
  readValue,
  valueOf,
} from "./world.js";

/** The store's time never goes back, and every change has a later time than the one before. */
export function clocks(check: Check): void {
  check("orders all changes of a key within one millisecond", async ({ engine, clock }) => {
    const times: (number | undefined)[] = [];
    for (let round = 0; round < 3; round += 1) {
      const { document } = await engine.setKey(FIRST, "jobs", "key", persist("same"));
      times.push(document.updatedAt);
      times.push((await engine.setKey(FIRST, "jobs", "key", evict("same"))).document.updatedAt);
      times.push((await engine.updateTtl(FIRST, "jobs", "key", 100_000))?.updatedAt);
      times.push((await engine.updatePolicy(FIRST, "jobs", "key", "persist"))?.updatedAt);
      const expected = { value: valueOf("same") };
      const swapped = await engine.compareAndSetKey(FIRST, "jobs", "key", expected, persist("same"));
      times.push(swapped.document?.updatedAt);
      times.push(
        (await engine.batchSetKeys(FIRST, "jobs", [{ key: "key", ...persist() }]))[0]?.document.updatedAt,
      );
      await engine.deleteKey(FIRST, "jobs", "key", undefined);
      times.push((await engine.setKeyIfAbsent(FIRST, "jobs", "key", persist())).document?.updatedAt);
      if (round === 0) await engine.batchDeleteKeys(FIRST, "jobs", ["key"]);
      if (round === 1) await engine.deleteStore(FIRST, "jobs");
    }
    const defined = times.map((time) => present(time));
    expect(defined[0]).toEqual(clock.at(0));
    for (const [index, time] of defined.entries()) {
      if (index > 0) expect(time).toBeGreaterThan(present(defined[index - 1]));
    }
  });

  check("orders deletion and creation of many keys within one millisecond", async ({ engine }) => {
    const entries = Array.from({ length: 300 }, (_, index) => ({ key: `key-${index}`, ...evict() }));
    const deletions = [
      () => engine.clearCache(FIRST, "jobs"),
      () => engine.clearCache(FIRST, undefined),
      () => engine.deleteStore(FIRST, "jobs"),
      () => engine.cleanup(FIRST),
      async () => (await engine.deleteStoreGlobal(FIRST.collection, "jobs")).documents,
    ];
    let before = await engine.batchSetKeys(FIRST, "jobs", entries);
    for (const remove of deletions) {
      expect(await remove()).toBe(300);
      const after = await engine.batchSetKeys(FIRST, "jobs", entries);
      for (const [index, { document, created }] of after.entries()) {
        expect(created).toBe(true);
        expect(document.updatedAt).toBeGreaterThan(present(before[index]).document.updatedAt);
        expect(document.etag).not.toBe(present(before[index]).document.etag);
      }
      before = after;
    }
  });

  check(
    "keeps createdAt at or before updatedAt, and for the life of the document",
    async ({ engine, clock }) => {
      const first = (await engine.setKey(FIRST, "jobs", "key", persist())).document;
      clock.advance(7000);
      const second = (await engine.setKey(FIRST, "jobs", "key", expiring(1_000_000))).document;
      clock.advance(7000);
      const third = present(await engine.updateTtl(FIRST, "jobs", "key", 10_000));
      expect([first, second, third].map(({ createdAt }) => createdAt)).toEqual([
        clock.at(0),
        clock.at(0),
        clock.at(0),
      ]);
      expect([first, second, third].map(({ updatedAt }) => updatedAt)).toEqual([
        clock.at(0),
        clock.at(7000),
        clock.at(14_000),
      ]);
      await engine.deleteKey(FIRST, "jobs", "key", undefined);
      const fourth = (await engine.setKey(FIRST, "jobs", "key", persist())).document;
      expect(fourth.createdAt).toBeGreaterThan(first.createdAt);
      expect(fourth.createdAt).toBeLessThanOrEqual(fourth.updatedAt);
    },
  );

  check(
    "does not follow a clock that goes back",
    async ({ engine, clock }) => {
      clock.advance(10_000_000);
      const first = (await engine.setKey(FIRST, "jobs", "key", persist())).document;
      clock.advance(-60_000_000);
      const second = (await engine.setKey(FIRST, "jobs", "key", persist())).document;
      expect(second.updatedAt).toBeGreaterThan(first.updatedAt);
      const other = (await engine.setKey(FIRST, "jobs", "other", expiring(1_000_000))).document;
      expect(other.createdAt).toBeGreaterThanOrEqual(first.updatedAt);
      expect(other.expiresAt).toEqual(clock.at(11_000_000));
      clock.advance(60_000_000);
      const third = (await engine.setKey(FIRST, "jobs", "key", persist())).document;
      expect(third.updatedAt).toBeGreaterThan(second.updatedAt);
    },
    "clock",
  );

  check(
    "revives nothing when the clock goes back after a write",
    async ({ engine, clock }) => {
      await engine.setKey(FIRST, "jobs", "key", expiring(1_000_000));
      clock.advance(1_000_000);
      await engine.setKey(NONE, "unrelated", "key", persist());
      clock.advance(-500_000);
      expect(await engine.hasKey(FIRST, "jobs", "key")).toBe(false);
      expect(await readValue(engine, FIRST, "jobs", "key")).toBeUndefined();
      expect(await keysOf(engine, FIRST, "jobs")).toEqual([]);
      expect(await engine.hasStore(FIRST, "jobs")).toBe(false);
      expect(await engine.updatePolicy(FIRST, "jobs", "key", "persist")).toBeUndefined();
      expect((await engine.setKey(FIRST, "jobs", "key", persist())).created).toBe(true);
    },
    "clock",
  );

  check(
    "revives nothing when the clock goes back after a read",
    async ({ engine, clock }) => {
      await engine.setKey(FIRST, "jobs", "key", expiring(1_000_000));
      await engine.setKey(FIRST, "listed", "key", expiring(1_000_000));
      clock.advance(1_000_000);
      expect(await engine.hasKey(FIRST, "jobs", "key")).toBe(false);
      expect(await keysOf(engine, FIRST, "listed")).toEqual([]);
      clock.advance(-1000);
      expect(await engine.hasKey(FIRST, "jobs", "key")).toBe(false);
      expect(await engine.updateTtl(FIRST, "jobs", "key", 1_000_000)).toBeUndefined();
      expect(await keysOf(engine, FIRST, "listed")).toEqual([]);
      expect(await engine.countStores(FIRST)).toBe(0);
    },
    "clock",
  );

  check("gives concurrent changes of one key different times and etags", async ({ engine }) => {
    const results = await Promise.all(
      Array.from({ length: 100 }, (_, index) => engine.setKey(FIRST, "jobs", "key", persist(index))),
    );
    expect(new Set(results.map(({ document }) => document.updatedAt)).size).toBe(100);
    expect(new Set(results.map(({ document }) => document.etag)).size).toBe(100);
    expect(results.filter(({ created }) => created)).toHaveLength(1);
    const latest = results.map(({ document }) => document).toSorted((a, b) => b.updatedAt - a.updatedAt)[0];
    expect(await engine.getKey(FIRST, "jobs", "key", false)).toEqual(latest);
  });
}
