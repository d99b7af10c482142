import { deserialize } from "bson";
import { expect } from "vitest";
import type { Engine } from "../../src/store/engine.js";
import { isStoreError } from "../../src/store/errors.js";
import { type Check, evict, expiring, FIRST, persist, plain, present, readValue, valueOf } from "./world.js";

const CALLERS = Array.from({ length: 100 }, (_, index) => index);

async function numberIn(engine: Engine, key: string): Promise<number> {
  return Number(deserialize(present(await readValue(engine, FIRST, "jobs", key))).value);
}

/** Operations on one key behave as if they came one after the other. */
export function concurrency(check: Check): void {
  for (const state of ["absent", "expired", "deleted"] as const) {
    check(`lets one of 100 set-if-absent callers win a key that is ${state}`, async ({ engine, clock }) => {
      if (state !== "absent") await engine.setKey(FIRST, "jobs", "lock", expiring(100_000));
      if (state === "expired") clock.advance(100_000);
      if (state === "deleted") await engine.deleteKey(FIRST, "jobs", "lock", undefined);
      const results = await Promise.all(
        CALLERS.map((caller) => engine.setKeyIfAbsent(FIRST, "jobs", "lock", persist(caller))),
      );
      const winners = CALLERS.filter((caller) => results[caller]?.set);
      expect(winners).toHaveLength(1);
      expect(await numberIn(engine, "lock")).toBe(winners[0]);
      const winner = results[winners[0] ?? 0]?.document;
      for (const { document } of results) expect(document).toEqual(winner);
    });
  }

  check("lets one of 100 compare-and-set callers win by value", async ({ engine }) => {
    await engine.setKey(FIRST, "jobs", "key", persist("start"));
    const results = await Promise.all(
      CALLERS.map((caller) =>
        engine.compareAndSetKey(FIRST, "jobs", "key", { value: valueOf("start") }, persist(caller)),
      ),
    );
    const winners = CALLERS.filter((caller) => results[caller]?.set);
    expect(winners).toHaveLength(1);
    expect(await numberIn(engine, "key")).toBe(winners[0]);
  });

  check("lets one of 100 compare-and-set callers win by etag", async ({ engine }) => {
    const { etag } = (await engine.setKey(FIRST, "jobs", "key", persist("start"))).document;
    const results = await Promise.all(
      CALLERS.map((caller) => engine.compareAndSetKey(FIRST, "jobs", "key", { etag }, persist(caller))),
    );
    const winners = CALLERS.filter((caller) => results[caller]?.set);
    expect(winners).toHaveLength(1);
    expect(await numberIn(engine, "key")).toBe(winners[0]);
  });

  check("lets one of 100 compare-and-set callers win though all write the same value", async ({ engine }) => {
    const { etag } = (await engine.setKey(FIRST, "jobs", "key", persist("same"))).document;
    const results = await Promise.all(
      CALLERS.map(() => engine.compareAndSetKey(FIRST, "jobs", "key", { etag }, persist("same"))),
    );
    expect(results.filter(({ set }) => set)).toHaveLength(1);
  });

  check("keeps a counter that 20 workers raise by compare-and-set", async ({ engine }) => {
    await engine.setKey(FIRST, "jobs", "counter", persist(0));
    const rounds = 10;
    const seen: number[] = [];
    async function work(byEtag: boolean): Promise<void> {
      for (let done = 0; done < rounds; ) {
        const current = present(await engine.getKey(FIRST, "jobs", "counter", true));
        const count = Number(deserialize(present(current.value)).value);
        const expected = byEtag ? { etag: current.etag } : { value: present(current.value) };
        const { set } = await engine.compareAndSetKey(FIRST, "jobs", "counter", expected, persist(count + 1));
        if (!set) continue;
        seen.push(count + 1);
        done += 1;
      }
    }
    await Promise.all(Array.from({ length: 20 }, (_, worker) => work(worker % 2 === 0)));
    expect(await numberIn(engine, "counter")).toBe(20 * rounds);
    expect(new Set(seen).size).toBe(20 * rounds);
  });

  check("never lets a reader see a counter go back", async ({ engine }) => {
    await engine.setKey(FIRST, "jobs", "counter", persist(0));
    const state = { running: true, acknowledged: 0 };
    async function write(): Promise<void> {
      for (let count = 1; count <= 100; count += 1) {
        await engine.setKey(FIRST, "jobs", "counter", persist(count));
        state.acknowledged = count;
      }
      state.running = false;
    }
    async function follow(): Promise<void> {
      let last = 0;
      while (state.running) {
        const least = Math.max(last, state.acknowledged);
        last = await numberIn(engine, "counter");
        expect(last).toBeGreaterThanOrEqual(least);
        await new Promise(setImmediate);
      }
    }
    await Promise.all([write(), follow(), follow(), follow()]);
    expect(await numberIn(engine, "counter")).toBe(100);
  });

  check("keeps a lock of set-if-absent and delete-by-etag exclusive", async ({ engine }) => {
    let inside = 0;
    let entered = 0;
    async function work(worker: number): Promise<void> {
      for (let done = 0; done < 3; ) {
        const { set, document } = await engine.setKeyIfAbsent(FIRST, "jobs", "lock", evict(worker));
        if (!set) continue;
        inside += 1;
        expect(inside).toBe(1);
        await engine.getKey(FIRST, "jobs", "other", true);
        inside -= 1;
        entered += 1;
        expect(await engine.deleteKey(FIRST, "jobs", "lock", document?.etag)).toBe(true);
        done += 1;
      }
    }
    await Promise.all(Array.from({ length: 10 }, (_, worker) => work(worker)));
    expect(entered).toBe(30);
    expect(await engine.hasKey(FIRST, "jobs", "lock")).toBe(false);
  });

  check("deletes a key for one caller only", async ({ engine }) => {
    const { etag } = (await engine.setKey(FIRST, "jobs", "key", persist())).document;
    const results = await Promise.all(
      CALLERS.map((caller) =>
        caller % 3 === 0
          ? engine.batchDeleteKeys(FIRST, "jobs", ["key"]).then((count) => count === 1)
          : engine.deleteKey(FIRST, "jobs", "key", caller % 3 === 1 ? undefined : etag),
      ),
    );
    expect(results.filter(Boolean)).toHaveLength(1);
  });

  check("creates a store's document for one caller only", async ({ engine }) => {
    const results = await Promise.allSettled(
      CALLERS.map(() => engine.createStore(FIRST, "jobs", undefined, "persist")),
    );
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const result of results) {
      if (result.status === "rejected")
        expect(isStoreError(result.reason, "STORE_ALREADY_EXISTS")).toBe(true);
    }
    expect(await engine.countStores(FIRST)).toBe(1);
  });

  check("counts stores and keys right after many concurrent changes", async ({ engine }) => {
    await Promise.all(
      CALLERS.map(async (caller) => {
        const store = `store-${caller % 7}`;
        await engine.setKey(
          FIRST,
          store,
          `key-${caller}`,
          caller % 2 === 0 ? persist(caller) : expiring(50_000, caller),
        );
        if (caller % 5 === 0) await engine.deleteKey(FIRST, store, `key-${caller}`, undefined);
        if (caller % 11 === 0) await engine.updatePolicy(FIRST, store, `key-${caller}`, "persist");
      }),
    );
    let keys = 0;
    for (let store = 0; store < 7; store += 1) {
      const name = `store-${store}`;
      const left = CALLERS.filter((caller) => caller % 7 === store && caller % 5 !== 0);
      expect(await engine.countKeys(FIRST, name, "")).toBe(left.length);
      keys += left.length;
    }
    expect(await engine.countStores(FIRST)).toBe(7);
    expect(await engine.cleanup(FIRST)).toBe(keys);
    expect(await engine.countStores(FIRST)).toBe(0);
  });

  check("reads what it has just written, whatever others do", async ({ engine }) => {
    await Promise.all(
      CALLERS.map(async (caller) => {
        const key = `key-${caller}`;
        for (let round = 0; round < 3; round += 1) {
          const { document } = await engine.setKey(FIRST, "jobs", key, persist([caller, round]));
          const found = present(await engine.getKey(FIRST, "jobs", key, true));
          expect(found.etag).toBe(document.etag);
          expect(plain(found.value)).toEqual(plain(valueOf([caller, round])));
          expect(await engine.hasKey(FIRST, "jobs", key)).toBe(true);
          expect(await engine.deleteKey(FIRST, "jobs", key, document.etag)).toBe(true);
          expect(await engine.hasKey(FIRST, "jobs", key)).toBe(false);
        }
      }),
    );
    expect(await engine.countStores(FIRST)).toBe(0);
  });
}
