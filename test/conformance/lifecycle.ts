import { serialize } from "bson";
import { expect } from "vitest";
import { DEFAULT_COLLECTION, MAX_PAGE_BYTES } from "../../src/store/limits.js";
import {
  type Capability,
  type Check,
  documentsOf,
  expiring,
  FIRST,
  globalStoresOf,
  persist,
  plain,
  present,
  storesOf,
  valueOf,
} from "./world.js";

const PAGE = { prefix: "", after: undefined, limit: 10 };
const VALUES = { withValue: true, maxBytes: MAX_PAGE_BYTES };

/** Aborted calls, closing, and opening again. */
export function lifecycle(check: Check): void {
  check("does nothing for a caller that is gone", async ({ engine }) => {
    const { document } = await engine.setKey(FIRST, "jobs", "key", persist("old"));
    await engine.createStore(FIRST, "created", undefined, "evict");
    const options = { signal: AbortSignal.abort(new Error("the caller is gone")) };
    const write = persist("new");
    const calls: Record<string, () => Promise<unknown>> = {
      createStore: () => engine.createStore(FIRST, "new", undefined, "persist", options),
      getStore: () => engine.getStore(FIRST, "jobs", options),
      hasStore: () => engine.hasStore(FIRST, "jobs", options),
      listStores: () => engine.listStores(FIRST, PAGE, options),
      countStores: () => engine.countStores(FIRST, options),
      deleteStore: () => engine.deleteStore(FIRST, "jobs", options),
      clearCache: () => engine.clearCache(FIRST, undefined, options),
      cleanup: () => engine.cleanup(FIRST, options),
      setKey: () => engine.setKey(FIRST, "jobs", "key", write, options),
      setKeyIfAbsent: () => engine.setKeyIfAbsent(FIRST, "jobs", "new", write, options),
      compareAndSetKey: () =>
        engine.compareAndSetKey(FIRST, "jobs", "key", { etag: document.etag }, write, options),
      getKey: () => engine.getKey(FIRST, "jobs", "key", true, options),
      hasKey: () => engine.hasKey(FIRST, "jobs", "key", options),
      deleteKey: () => engine.deleteKey(FIRST, "jobs", "key", undefined, options),
      updateTtl: () => engine.updateTtl(FIRST, "jobs", "key", 1_000_000, options),
      updatePolicy: () => engine.updatePolicy(FIRST, "jobs", "key", "evict", options),
      listKeys: () => engine.listKeys(FIRST, "jobs", PAGE, options),
      listValues: () => engine.listValues(FIRST, "jobs", { ...PAGE, ...VALUES }, options),
      countKeys: () => engine.countKeys(FIRST, "jobs", "", options),
      batchGetKeys: () => engine.batchGetKeys(FIRST, "jobs", ["key"], VALUES, options),
      batchSetKeys: () => engine.batchSetKeys(FIRST, "jobs", [{ key: "key", ...write }], options),
      batchDeleteKeys: () => engine.batchDeleteKeys(FIRST, "jobs", ["key"], options),
      hasStoreGlobal: () => engine.hasStoreGlobal(DEFAULT_COLLECTION, "jobs", options),
      listStoresGlobal: () => engine.listStoresGlobal(DEFAULT_COLLECTION, PAGE, options),
      countStoresGlobal: () => engine.countStoresGlobal(DEFAULT_COLLECTION, options),
      deleteStoreGlobal: () => engine.deleteStoreGlobal(DEFAULT_COLLECTION, "jobs", options),
    };
    const answered: string[] = [];
    for (const [method, call] of Object.entries(calls)) {
      await call().then(
        () => answered.push(method),
        () => undefined,
      );
    }
    expect(answered).toEqual([]);
    expect(await engine.getKey(FIRST, "jobs", "key", false)).toEqual(document);
    expect(await storesOf(engine, FIRST)).toEqual(["created", "jobs"]);
    expect(await engine.countKeys(FIRST, "jobs", "")).toBe(1);
  });

  check(
    "throws the caller's own reason",
    async ({ engine }) => {
      const reason = new Error("the caller is gone");
      const options = { signal: AbortSignal.abort(reason) };
      await expect(engine.getKey(FIRST, "jobs", "key", true, options)).rejects.toBe(reason);
      await expect(engine.setKey(FIRST, "jobs", "key", persist(), options)).rejects.toBe(reason);
      await expect(engine.countKeys(FIRST, "jobs", "", options)).rejects.toBe(reason);
      await expect(engine.deleteStore(FIRST, "jobs", options)).rejects.toBe(reason);
    },
    "lifecycle",
  );

  check(
    "finishes what has begun, closes twice, and refuses what comes after",
    async ({ engine }) => {
      const begun = Array.from({ length: 20 }, (_, index) =>
        engine.setKey(FIRST, "jobs", `key-${index}`, persist(index)),
      );
      const closing = engine.close();
      const results = await Promise.all(begun);
      expect(results.every(({ created }) => created)).toBe(true);
      await closing;
      await engine.close();
      for (const call of [
        () => engine.getKey(FIRST, "jobs", "key-1", true),
        () => engine.setKey(FIRST, "jobs", "key-1", persist()),
        () => engine.listStores(FIRST, PAGE),
        () => engine.countKeys(FIRST, "jobs", ""),
        () => engine.deleteStore(FIRST, "jobs"),
        () => engine.countStoresGlobal(DEFAULT_COLLECTION),
      ]) {
        await expect(call(), String(call)).rejects.toMatchObject({
          name: "StoreError",
          reason: "SHUTTING_DOWN",
        });
      }
    },
    "lifecycle",
  );

  check(
    "finds everything again after it was closed and opened",
    async (world) => {
      const { engine } = world;
      const metadata = serialize({ kept: true });
      await engine.createStore(FIRST, "jobs", metadata, "evict");
      await engine.setKey(FIRST, "jobs", "small", persist("text"));
      await engine.setKey(FIRST, "jobs", "large", expiring(5_000_000, "x".repeat(30_000)));
      await engine.setKey(FIRST, "jobs", "deleted", persist());
      await engine.deleteKey(FIRST, "jobs", "deleted", undefined);
      const documents = await documentsOf(engine, FIRST, "jobs");
      const store = await engine.getStore(FIRST, "jobs");
      await world.reopen();
      expect(world.engine).not.toBe(engine);
      expect(await documentsOf(world.engine, FIRST, "jobs")).toEqual(documents);
      expect(await world.engine.getStore(FIRST, "jobs")).toEqual(store);
      expect(plain(store?.own?.metadata)).toEqual(plain(metadata));
      expect(await globalStoresOf(world.engine)).toEqual([`${FIRST.datasetId}/jobs`]);
      const expected = { etag: present(documents[1]).etag };
      const swapped = await world.engine.compareAndSetKey(FIRST, "jobs", "small", expected, persist("next"));
      expect(swapped.set).toBe(true);
    },
    "durability",
  );

  for (const earlier of [false, true]) {
    const needs: Capability[] = earlier ? ["durability", "clock"] : ["durability"];
    const again = earlier ? "opened with an earlier clock" : "opened again";
    check(
      `goes on with later times and new etags after it was ${again}`,
      async (world) => {
        const etags = new Set<string>();
        let last = 0;
        let created = 0;
        for (let round = 0; round < 4; round += 1) {
          for (let times = 0; times < 5; times += 1) {
            const { document } = await world.engine.setKey(FIRST, "jobs", "key", persist(round));
            expect(document.updatedAt).toBeGreaterThan(last);
            last = document.updatedAt;
            etags.add(document.etag);
            created += 1;
          }
          if (round === 1) await world.engine.deleteKey(FIRST, "jobs", "key", undefined);
          if (round === 2) await world.engine.deleteStore(FIRST, "jobs");
          if (earlier) world.clock.advance(-10_000_000);
          await world.reopen();
        }
        expect(etags.size).toBe(created);
      },
      ...needs,
    );

    check(
      `expires what came to its end while it was closed, and revives nothing when it is ${again}`,
      async (world) => {
        await world.engine.setKey(FIRST, "jobs", "expired", expiring(1_000_000));
        await world.engine.setKey(FIRST, "jobs", "later", expiring(10_000_000));
        await world.engine.setKey(FIRST, "brief", "expired", expiring(1_000_000));
        world.clock.advance(1_000_000);
        await world.reopen();
        expect(await storesOf(world.engine, FIRST)).toEqual(["jobs"]);
        expect(await world.engine.countKeys(FIRST, "jobs", "")).toBe(1);
        expect((await world.engine.setKey(FIRST, "other", "key", persist())).document.createdAt).toEqual(
          world.clock.at(1_000_000),
        );
        if (earlier) world.clock.advance(-900_000);
        await world.reopen();
        expect(await world.engine.hasKey(FIRST, "jobs", "expired")).toBe(false);
        expect(await world.engine.hasStore(FIRST, "brief")).toBe(false);
        const won = await world.engine.setKeyIfAbsent(FIRST, "jobs", "expired", {
          ...persist(),
          value: valueOf("again"),
        });
        expect(won.set).toBe(true);
      },
      ...needs,
    );
  }
}
