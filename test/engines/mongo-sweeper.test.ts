import { type Document, ObjectId } from "mongodb";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { MongoCollection } from "../../src/engines/mongo/collection.js";
import type { MongoConnection } from "../../src/engines/mongo/connection.js";
import { type Sweeper, startSweeper } from "../../src/engines/mongo/sweeper.js";
import { isStoreError } from "../../src/store/errors.js";
import { FIRST } from "../conformance/world.js";
import { leavesOut } from "../support/left-out.js";
import { until } from "../support/until.js";
import {
  type BareCollection,
  EXPIRED_CHANGES,
  fiftyOneDocument,
  insertAll,
  openBareCollection,
} from "./mongo-collection.js";

/** Longer than any test: only the next expiry, or the test itself, makes it look. */
const NEVER_MS = 600_000;

function keys(count: number, changes: Document): Document[] {
  return Array.from({ length: count }, (_, index) =>
    fiftyOneDocument(FIRST.datasetId, "s", `${index}`, changes),
  );
}

describe.skipIf(leavesOut("mongodb"))("the sweeper over MongoDB", () => {
  let bare: BareCollection;

  beforeAll(async () => {
    bare = await openBareCollection("execution_store");
  });
  afterAll(() => bare?.close());
  afterEach(() => bare.documents.deleteMany({}));

  const start = (
    intervalMs: number,
    onError: (error: unknown) => void = (error) => expect.unreachable(String(error)),
    collection: MongoCollection = bare.collection,
  ): Sweeper => {
    const sweeper = startSweeper([collection], { intervalMs, onError });
    onTestFinished(() => sweeper.close());
    return sweeper;
  };
  /** The collection through a connection that does something before, or instead of, its calls. */
  const through = (before: (access: "read" | "write") => Promise<void>): MongoCollection =>
    running(async (options, access, work) => {
      await before(access);
      return bare.connection.run(options, access, work);
    });
  /** The collection through a connection that runs calls in another way. */
  const running = (run: MongoConnection["run"]): MongoCollection => {
    const { connection } = bare;
    const other = Object.create(connection, {
      run: { value: run },
      lost: { get: () => connection.lost },
    }) as MongoConnection;
    return { ...bare.collection, connection: other };
  };
  const remaining = (): Promise<number> => bare.documents.countDocuments();

  test("removes all that has expired, batch after batch, and nothing else", async () => {
    await insertAll(bare.documents, [
      ...keys(3_500, EXPIRED_CHANGES).map((document, index) => ({
        ...document,
        // A batch takes whatever expired in the same millisecond.
        expires_at: new Date(Date.now() - 60_000 + index),
      })),
      fiftyOneDocument("", "live", "no expiry"),
      fiftyOneDocument("", "live", "later", { expires_at: new Date(Date.now() + 3_600_000) }),
      fiftyOneDocument("", "live", "text", { expires_at: "1970-01-01" }),
      fiftyOneDocument("", "live", "number", { expires_at: 5 }),
      fiftyOneDocument("", "live", "false", { expires_at: false }),
      fiftyOneDocument("", "gone", "odd id", { ...EXPIRED_CHANGES, _id: { "2": 1, "1": [new ObjectId()] } }),
    ]);
    await start(NEVER_MS).sweep();
    const left = await bare.documents.find({}, { sort: { key: 1 } }).toArray();
    expect(left.map(({ key }) => key)).toEqual(["false", "later", "no expiry", "number", "text"]);
  });

  test("looks again at the next expiry, however long the interval", async () => {
    const expiresAt = Date.now() + 700;
    await insertAll(bare.documents, keys(2, { expires_at: new Date(expiresAt), policy: "evict" }));
    start(NEVER_MS);
    await until(async () => (await remaining()) === 0, "the documents are removed");
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAt);
    expect(Date.now() - expiresAt).toBeLessThan(1_000);
  });

  test("finds within a second what comes to expire after it looked", async () => {
    start(200);
    for (let round = 0; round < 3; round += 1) {
      const expiresAt = Date.now() + 300;
      await insertAll(bare.documents, keys(5, { expires_at: new Date(expiresAt), policy: "evict" }));
      await until(async () => (await remaining()) === 0, "the documents are removed");
      expect(Date.now() - expiresAt).toBeLessThan(1_000);
    }
  });

  test("looks once a minute while no index by expiry is there, and often as soon as it is", async () => {
    let calls = 0;
    let ready = false;
    const counted = through(async () => {
      calls += 1;
    });
    const collection = Object.defineProperty({ ...counted }, "expiryIndex", {
      get: () => (ready ? bare.collection.expiryIndex : {}),
    });
    start(10, undefined, collection);
    await until(() => calls > 0, "it has looked");
    const others = through(async () => undefined);
    // Ten times as long as the interval, by another sweeper that looks at every one.
    let looks = 0;
    const busy = running((options, access, work) => {
      looks += 1;
      return others.connection.run(options, access, work);
    });
    start(10, undefined, busy);
    await until(() => looks >= 10, "another looks ten times");
    expect(calls).toBe(1);
    ready = true;
    await until(() => calls >= 5, "it looks often");
  });

  test("several sweep the same collection at once", async () => {
    await insertAll(bare.documents, [...keys(4_000, EXPIRED_CHANGES), fiftyOneDocument("", "live", "k")]);
    const sweepers = [start(50), start(50), start(50)];
    await Promise.all(sweepers.map((sweeper) => sweeper.sweep()));
    expect(await remaining()).toBe(1);
  });

  test("what gets a new expiry, or a new value, between finding and removing stays", async () => {
    await insertAll(bare.documents, keys(3, EXPIRED_CHANGES));
    let refreshed = false;
    const collection = through(async (access) => {
      if (access !== "write" || refreshed) return;
      refreshed = true;
      await bare.documents.updateOne(
        { key: "0" },
        { $set: { expires_at: new Date(Date.now() + 3_600_000) } },
      );
      await bare.documents.updateOne({ key: "1" }, { $set: { expires_at: null, value: "new" } });
    });
    await start(NEVER_MS, undefined, collection).sweep();
    expect(refreshed).toBe(true);
    const left = await bare.documents.find({}, { sort: { key: 1 } }).toArray();
    expect(left.map(({ key }) => key)).toEqual(["0", "1"]);
  });

  test("reports the first fault of several, and goes on when they are over", async () => {
    const away = { now: true, calls: 0 };
    const collection = through(async () => {
      away.calls += 1;
      if (away.now) throw new Error("away");
    });
    const faults: unknown[] = [];
    await insertAll(bare.documents, keys(3, EXPIRED_CHANGES));
    start(10, (error) => faults.push(error), collection);
    await until(() => away.calls >= 3, "it has tried three times");
    expect(faults).toEqual([new Error("away")]);
    away.now = false;
    await until(async () => (await remaining()) === 0, "the documents are removed");
    // A look that began before has ended, and another without a fault.
    const removed = away.calls;
    await until(() => away.calls >= removed + 4, "it has looked again");
    const { calls } = away;
    away.now = true;
    await until(() => faults.length === 2 && away.calls > calls, "the next fault is reported");
  });

  test("ends what is under way when it is closed, silently", async () => {
    let begun = false;
    const never = new Promise<void>(() => undefined);
    const collection = running(async (options, access) => {
      begun = true;
      return bare.connection.run(options, access, () => never.then(() => expect.unreachable()));
    });
    const sweeper = start(10, undefined, collection);
    const outcome = sweeper.sweep().then(
      () => "ended",
      (error: unknown) => (isStoreError(error) ? error.reason : error),
    );
    await until(() => begun, "it has begun");
    await sweeper.close();
    expect(["ended", "SHUTTING_DOWN"]).toContain(await outcome);
  });
});
