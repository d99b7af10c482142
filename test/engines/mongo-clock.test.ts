import { describe, expect, onTestFinished, test } from "vitest";
import { openMongoEngine } from "../../src/engines/mongo/engine.js";
import type { Engine } from "../../src/store/engine.js";
import { DEFAULT_COLLECTION } from "../../src/store/limits.js";
import { evict, FIRST, persist, present, valueOf } from "../conformance/world.js";
import { leavesOut } from "../support/left-out.js";
import { moveDatabaseClock } from "../support/mongodb/moved-clock.js";
import { testDatabase } from "../support/mongodb/test-database.js";

const HOUR_MS = 3_600_000;
/** Less than a deletion waits for the clock at most. */
const BEHIND_MS = 400;
const EXPECTED = { value: valueOf("value") };

async function open(): Promise<Engine> {
  const { uri } = await testDatabase();
  const engine = await openMongoEngine({ uri, collections: [DEFAULT_COLLECTION] });
  onTestFinished(() => engine.close());
  onTestFinished(() => moveDatabaseClock(0));
  return engine;
}

/** Every change of the live key `jobs/key`, as the `updatedAt` that it answers. */
const CHANGES: Record<string, (engine: Engine) => Promise<number | undefined>> = {
  setKey: async (engine) => (await engine.setKey(FIRST, "jobs", "key", persist())).document.updatedAt,
  compareAndSetKey: async (engine) =>
    (await engine.compareAndSetKey(FIRST, "jobs", "key", EXPECTED, persist())).document?.updatedAt,
  updateTtl: async (engine) => (await engine.updateTtl(FIRST, "jobs", "key", HOUR_MS))?.updatedAt,
  updatePolicy: async (engine) => (await engine.updatePolicy(FIRST, "jobs", "key", "persist"))?.updatedAt,
  batchSetKeys: async (engine) =>
    (await engine.batchSetKeys(FIRST, "jobs", [{ key: "key", ...persist() }]))[0]?.document.updatedAt,
};

/** Every deletion of the key `jobs/key`. */
const DELETIONS: Record<string, (engine: Engine) => Promise<unknown>> = {
  deleteKey: (engine) => engine.deleteKey(FIRST, "jobs", "key", undefined),
  batchDeleteKeys: (engine) => engine.batchDeleteKeys(FIRST, "jobs", ["key"]),
  deleteStore: (engine) => engine.deleteStore(FIRST, "jobs"),
  clearCache: (engine) => engine.clearCache(FIRST, undefined),
  cleanup: (engine) => engine.cleanup(FIRST),
  deleteStoreGlobal: (engine) => engine.deleteStoreGlobal(DEFAULT_COLLECTION, "jobs"),
};

// As after an election, when another member's clock is behind, or after another writer with a clock of its own.
describe.skipIf(leavesOut("mongodb"))("a database whose clock is behind its documents", () => {
  test.each(Object.entries(CHANGES))("%s dates a change later than the last one", async (_, change) => {
    const engine = await open();
    moveDatabaseClock(HOUR_MS);
    let last = (await engine.setKey(FIRST, "jobs", "key", persist())).document.updatedAt;
    moveDatabaseClock(0);
    for (let round = 0; round < 3; round += 1) {
      const updatedAt = present(await change(engine));
      expect(updatedAt).toBe(last + 1);
      last = updatedAt;
    }
    expect((await engine.getKey(FIRST, "jobs", "key", false))?.updatedAt).toBe(last);
  });

  test.each(Object.entries(DELETIONS))(
    "%s is acknowledged once the clock has passed what it deleted",
    async (_, remove) => {
      const engine = await open();
      moveDatabaseClock(BEHIND_MS);
      const { document: old } = await engine.setKey(FIRST, "jobs", "key", evict());
      moveDatabaseClock(0);
      expect(await remove(engine)).toBeTruthy();
      const { document, created } = await engine.setKey(FIRST, "jobs", "key", evict());
      expect(created).toBe(true);
      expect(document.updatedAt).toBeGreaterThan(old.updatedAt);
      expect(document.createdAt).toBe(document.updatedAt);
    },
  );
});
