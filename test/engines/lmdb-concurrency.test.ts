import { serialize } from "bson";
import { describe, expect, onTestFinished, test } from "vitest";
import { openLmdbEngine } from "../../src/engines/lmdb/engine.js";
import type { Engine, Write } from "../../src/store/engine.js";
import { tempDir } from "../support/temp-dir.js";

const SCOPE = { collection: "execution_store", datasetId: "" };
const PAGE = { prefix: "", after: undefined, limit: 10_000 };
const WRITE: Write = { value: serialize({ value: "x".repeat(100) }), ttlMs: undefined, policy: "evict" };

async function openEngine() {
  const engine = await openLmdbEngine({ path: tempDir(), collections: ["execution_store"] });
  onTestFinished(() => engine.close());
  return engine;
}

async function fill(engine: Engine, keys: number): Promise<void> {
  for (let at = 0; at < keys; at += 1000) {
    const entries = Array.from({ length: 1000 }, (_, index) => ({ key: `key-${at + index}`, ...WRITE }));
    await engine.batchSetKeys(SCOPE, "store", entries);
  }
}

describe("closing", () => {
  const LONG: Record<string, (engine: Engine) => Promise<unknown>> = {
    listStores: (engine) => engine.listStores(SCOPE, PAGE),
    countStores: (engine) => engine.countStores(SCOPE),
    listKeys: (engine) => engine.listKeys(SCOPE, "store", PAGE),
    listValues: (engine) => engine.listValues(SCOPE, "store", { ...PAGE, withValue: true, maxBytes: 3e6 }),
    countKeys: (engine) => engine.countKeys(SCOPE, "store", "key-"),
    hasStoreGlobal: (engine) => engine.hasStoreGlobal("execution_store", "other"),
    listStoresGlobal: (engine) => engine.listStoresGlobal("execution_store", PAGE),
    countStoresGlobal: (engine) => engine.countStoresGlobal("execution_store"),
    clearCache: (engine) => engine.clearCache(SCOPE, "store"),
    cleanup: (engine) => engine.cleanup(SCOPE),
    deleteStoreGlobal: (engine) => engine.deleteStoreGlobal("execution_store", "store"),
  };

  test.each(Object.entries(LONG))("during %s ends it in order", async (_, call) => {
    const engine = await openEngine();
    await fill(engine, 8000);
    for (let store = 0; store < 300; store += 1) void engine.setKey(SCOPE, `store-${store}`, "key", WRITE);
    await engine.setKey(SCOPE, "last", "key", WRITE);
    const calls = Array.from({ length: 20 }, () => call(engine));
    await new Promise(setImmediate);
    const closed = engine.close();
    for (const result of await Promise.allSettled(calls)) {
      if (result.status === "rejected") expect(result.reason).toMatchObject({ reason: "SHUTTING_DOWN" });
    }
    await closed;
  });

  test("in the middle of a deletion leaves its outcome unknown", async () => {
    const engine = await openEngine();
    await fill(engine, 8000);
    const deletion = engine.deleteStore(SCOPE, "store");
    const outcome = expect(deletion).rejects.toMatchObject({ reason: "SHUTTING_DOWN", outcome: "UNKNOWN" });
    await expect.poll(() => engine.countKeys(SCOPE, "store", ""), { interval: 1 }).toBeLessThan(8000);
    await engine.close();
    await outcome;
  });
});

test("a deletion removes all that its caller could read before", async () => {
  const engine = await openEngine();
  let tried = 0;
  for (let round = 0; round < 200 && tried < 5; round += 1) {
    let acknowledged = false;
    const set = engine.setKey(SCOPE, "store", "key", WRITE).finally(() => {
      acknowledged = true;
    });
    while (!acknowledged && !(await engine.hasKey(SCOPE, "store", "key"))) {
      // Time for the commit to end while nobody could be told of it.
      for (const until = performance.now() + 3; performance.now() < until; );
      await new Promise(setImmediate);
    }
    if (!acknowledged) tried += 1;
    expect(await engine.deleteStore(SCOPE, "store")).toBe(1);
    await set;
  }
});

test("many long reads at once all end, and others are answered in between", async () => {
  const engine = await openEngine();
  await fill(engine, 20_000);
  let counting = true;
  const counts = Promise.all(
    Array.from({ length: 150 }, () => engine.countKeys(SCOPE, "store", "key-")),
  ).finally(() => {
    counting = false;
  });
  let answered = 0;
  while (counting) {
    await engine.getKey(SCOPE, "store", "key-7", true);
    await new Promise(setImmediate);
    answered += 1;
  }
  expect(new Set(await counts)).toEqual(new Set([20_000]));
  // 150 counts of 20,000 keys are hundreds of milliseconds of work, of which a turn gives at most a few.
  expect(answered).toBeGreaterThan(50);
});
