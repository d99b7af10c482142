import { type Collection, MongoClient } from "mongodb";
import { describe, expect, onTestFinished, test } from "vitest";
import { type MongoEngine, openMongoEngine } from "../../src/engines/mongo/engine.js";
import { DEFAULT_COLLECTION } from "../../src/store/limits.js";
import { evict, expiring, FIRST, NONE, persist } from "../conformance/world.js";
import { leavesOut } from "../support/left-out.js";
import { databaseUri } from "../support/mongodb/database-uri.js";
import { startReplicaSet } from "../support/mongodb/replica-set.js";
import { testDatabase } from "../support/mongodb/test-database.js";
import { until } from "../support/until.js";

const HOUR_MS = 3_600_000;
const LIMIT = { timeout: 60_000 };

/** An engine, and its collection as the database has it. */
async function open(
  uri: string,
  sweepIntervalMs?: number,
): Promise<{ engine: MongoEngine; documents: Collection }> {
  const engine = await openMongoEngine({
    uri,
    collections: [DEFAULT_COLLECTION],
    ...(sweepIntervalMs !== undefined && { sweepIntervalMs }),
  });
  onTestFinished(() => engine.close());
  const client = new MongoClient(uri);
  onTestFinished(() => client.close());
  return { engine, documents: client.db().collection(DEFAULT_COLLECTION) };
}

describe.skipIf(leavesOut("mongodb"))("expiry on MongoDB", LIMIT, () => {
  test("comes as time passes, neither early nor late", async () => {
    const { engine } = await open((await testDatabase()).uri);
    const before = performance.now();
    await engine.setKey(FIRST, "jobs", "key", expiring(500));
    const after = performance.now();
    let lastThere = 0;
    let asked = performance.now();
    while (await engine.hasKey(FIRST, "jobs", "key")) {
      lastThere = asked;
      asked = performance.now();
    }
    const gone = performance.now();
    // The expiry lies 500 ms after a moment between `before` and `after`; the clocks may round by a millisecond.
    expect(lastThere).toBeLessThan(after + 502);
    expect(gone).toBeGreaterThan(before + 498);
  });

  test("is removed by the sweeper where MongoDB's TTL monitor does nothing", async () => {
    const set = await startReplicaSet({ members: 1, args: ["--setParameter=ttlMonitorEnabled=false"] });
    onTestFinished(() => set.close());
    const { engine, documents } = await open(databaseUri(set.uri, "expiry"));
    for (const scope of [NONE, FIRST]) {
      await engine.setKey(scope, "jobs", "lasting", persist());
      await engine.setKey(scope, "jobs", "evictable", evict());
      await engine.setKey(scope, "jobs", "later", expiring(HOUR_MS));
      await engine.setKey(scope, "jobs", "gone", expiring(300));
    }
    await until(
      async () => (await documents.countDocuments({ key: "gone" })) === 0,
      "the expired are removed",
      5000,
    );
    expect(await documents.countDocuments({})).toBe(6);
    await engine.sweep();
    expect(await documents.countDocuments({})).toBe(6);
  });

  test("is removed by MongoDB's TTL monitor while no server runs", async () => {
    const { engine, documents } = await open((await testDatabase()).uri);
    await engine.setKey(NONE, "jobs", "lasting", persist());
    await engine.setKey(NONE, "jobs", "gone", expiring(3000));
    await engine.close();
    expect(await documents.countDocuments({ key: "gone" })).toBe(1);
    await until(
      async () => (await documents.countDocuments({ key: "gone" })) === 0,
      "the TTL monitor has removed what expired",
      40_000,
    );
    expect(await documents.countDocuments({})).toBe(1);
  });

  test("spares a key whose expiry was moved while the sweeper runs all the time", async () => {
    const { engine, documents } = await open((await testDatabase()).uri, 1);
    await engine.setKey(FIRST, "jobs", "kept", expiring(400));
    for (let round = 0; round < 30; round += 1) {
      expect(await engine.updateTtl(FIRST, "jobs", "kept", 400)).toBeDefined();
      await engine.sweep();
    }
    expect((await engine.updateTtl(FIRST, "jobs", "kept", HOUR_MS))?.policy).toBe("evict");
    await engine.sweep();
    expect(await documents.countDocuments({ key: "kept" })).toBe(1);
  });
});
