import { expect } from "vitest";
import { DEFAULT_COLLECTION } from "../../../src/store/limits.js";
import { evict, expiring, FIRST, NONE, persist, present, SECOND, valueOf } from "../world.js";
import { type ChangeCheck, type ChangeWorld, changesOf, type SeenChange, typesOf } from "./change-world.js";

const CHANGE = { value: valueOf("new"), ttlMs: undefined, policy: undefined };

/** One write: what is there before it, what it does, and what is told of it. */
interface Case {
  readonly before?: (world: ChangeWorld) => Promise<unknown>;
  readonly write: (world: ChangeWorld) => Promise<unknown>;
  readonly told: readonly string[];
}

const set = ({ engine }: ChangeWorld) => engine.setKey(FIRST, "jobs", "key", persist("old"));
const OLD = { value: valueOf("old") };

const CASES: Record<string, Case> = {
  "setKey of a new key": { write: set, told: ["key: created"] },
  "setKey over a key": { before: set, write: set, told: ["key: updated"] },
  "setKey after deleteKey": {
    before: async (world) => {
      await set(world);
      await world.engine.deleteKey(FIRST, "jobs", "key", undefined);
    },
    write: set,
    told: ["key: created"],
  },
  "setKeyIfAbsent that sets": {
    write: ({ engine }) => engine.setKeyIfAbsent(FIRST, "jobs", "key", persist()),
    told: ["key: created"],
  },
  "setKeyIfAbsent that does not": {
    before: set,
    write: ({ engine }) => engine.setKeyIfAbsent(FIRST, "jobs", "key", persist()),
    told: [],
  },
  "compareAndSetKey that sets": {
    before: set,
    write: ({ engine }) => engine.compareAndSetKey(FIRST, "jobs", "key", OLD, CHANGE),
    told: ["key: updated"],
  },
  "compareAndSetKey by etag that sets": {
    before: set,
    write: async ({ engine }) => {
      const { etag } = present(await engine.getKey(FIRST, "jobs", "key", false));
      await engine.compareAndSetKey(FIRST, "jobs", "key", { etag }, CHANGE);
    },
    told: ["key: updated"],
  },
  "compareAndSetKey that does not": {
    before: set,
    write: async ({ engine }) => {
      await engine.compareAndSetKey(FIRST, "jobs", "key", { value: valueOf("other") }, CHANGE);
      await engine.compareAndSetKey(FIRST, "jobs", "missing", OLD, CHANGE);
    },
    told: [],
  },
  "setKey of the same value": {
    before: set,
    write: async (world) => {
      await set(world);
      await set(world);
    },
    told: ["key: updated", "key: updated"],
  },
  updateTtl: {
    before: set,
    write: ({ engine }) => engine.updateTtl(FIRST, "jobs", "key", 1_000_000),
    told: ["key: updated"],
  },
  updatePolicy: {
    before: set,
    write: ({ engine }) => engine.updatePolicy(FIRST, "jobs", "key", "evict"),
    told: ["key: updated"],
  },
  "updateTtl and updatePolicy of a missing key": {
    write: async ({ engine }) => {
      await engine.updateTtl(FIRST, "jobs", "key", 1_000_000);
      await engine.updatePolicy(FIRST, "jobs", "key", "evict");
    },
    told: [],
  },
  deleteKey: {
    before: set,
    write: ({ engine }) => engine.deleteKey(FIRST, "jobs", "key", undefined),
    told: ["key: deleted"],
  },
  "deleteKey of a key that would expire": {
    before: ({ engine }) => engine.setKey(FIRST, "jobs", "key", expiring(1_000_000)),
    write: ({ engine }) => engine.deleteKey(FIRST, "jobs", "key", undefined),
    told: ["key: deleted"],
  },
  "deleteKey of what is not there, or another version": {
    before: set,
    write: async ({ engine }) => {
      await engine.deleteKey(FIRST, "jobs", "missing", undefined);
      await engine.deleteKey(FIRST, "jobs", "key", "another");
    },
    told: [],
  },
  batchSetKeys: {
    before: set,
    write: ({ engine }) =>
      engine.batchSetKeys(FIRST, "jobs", [
        { key: "key", ...persist() },
        { key: "new", ...persist() },
      ]),
    told: ["key: updated", "new: created"],
  },
  batchDeleteKeys: {
    before: async (world) => {
      await set(world);
      await world.engine.setKey(FIRST, "jobs", "other", persist());
    },
    write: ({ engine }) => engine.batchDeleteKeys(FIRST, "jobs", ["key", "missing", "other"]),
    told: ["key: deleted", "other: deleted"],
  },
  deleteStore: {
    before: async (world) => {
      await set(world);
      await world.engine.setKey(FIRST, "jobs", "other", evict());
      await world.engine.setKey(FIRST, "kept", "key", evict());
      await world.engine.setKey(SECOND, "jobs", "key", evict());
      await world.engine.createStore(FIRST, "jobs", undefined, "evict");
    },
    write: ({ engine }) => engine.deleteStore(FIRST, "jobs"),
    told: ["key: deleted", "other: deleted"],
  },
  clearCache: {
    before: async (world) => {
      await set(world);
      await world.engine.setKey(FIRST, "jobs", "evictable", evict());
      await world.engine.setKey(FIRST, "jobs", "expiring", expiring(1_000_000));
    },
    write: ({ engine }) => engine.clearCache(FIRST, undefined),
    told: ["evictable: deleted", "expiring: deleted"],
  },
  cleanup: {
    before: async (world) => {
      await set(world);
      await world.engine.setKey(FIRST, "other", "other", persist());
      await world.engine.setKey(NONE, "other", "kept", persist());
    },
    write: ({ engine }) => engine.cleanup(FIRST),
    told: ["key: deleted", "other: deleted"],
  },
  deleteStoreGlobal: {
    before: async ({ engine }) => {
      for (const scope of [NONE, FIRST, SECOND])
        await engine.setKey(scope, "jobs", `of ${scope.datasetId}`, persist());
      await engine.setKey(SECOND, "other", "kept", persist());
    },
    write: ({ engine }) => engine.deleteStoreGlobal(DEFAULT_COLLECTION, "jobs"),
    told: [NONE, FIRST, SECOND].map(({ datasetId }) => `of ${datasetId}: deleted`),
  },
  "everything about store documents": {
    write: async ({ engine }) => {
      await engine.createStore(FIRST, "jobs", valueOf("metadata"), "evict");
      await engine.clearCache(FIRST, "jobs");
      await engine.createStore(FIRST, "jobs", undefined, "persist");
      await engine.deleteStore(FIRST, "jobs");
    },
    told: [],
  },
  reading: {
    before: set,
    write: async ({ engine }) => {
      await engine.getKey(FIRST, "jobs", "key", true);
      await engine.hasKey(FIRST, "jobs", "key");
      await engine.countKeys(FIRST, "jobs", "");
    },
    told: [],
  },
};

/** Whose each change is; batches and deletions of many tell theirs in any order. */
function sorted(changes: readonly SeenChange[]): string[] {
  return typesOf(changes).toSorted();
}

/** What each method tells. */
export function types(check: ChangeCheck): void {
  for (const [name, { before, write, told }] of Object.entries(CASES)) {
    check(`tells of ${name}: ${told.length === 0 ? "nothing" : told.join(", ")}`, async (world) => {
      await before?.(world);
      const { changes } = await changesOf(world, () => write(world));
      expect(sorted(changes)).toEqual(told.toSorted());
      for (const { events } of changes) expect(events).toHaveLength(1);
    });
  }

  check("tells whose keys they are", async (world) => {
    const { engine } = world;
    const { changes } = await changesOf(world, async () => {
      await engine.setKey(NONE, "jobs", "key", persist());
      await engine.setKey(FIRST, "jobs", "ключ/🔑", persist());
      await engine.setKey(SECOND, "über.$", "key", persist());
    });
    expect(changes.map(({ datasetId, storeName, key }) => ({ datasetId, storeName, key }))).toEqual([
      { datasetId: "", storeName: "jobs", key: "key" },
      { datasetId: FIRST.datasetId, storeName: "jobs", key: "ключ/🔑" },
      { datasetId: SECOND.datasetId, storeName: "über.$", key: "key" },
    ]);
  });
}
