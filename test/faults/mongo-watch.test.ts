import { setTimeout as delay } from "node:timers/promises";
import { type Collection, type Document, MongoClient } from "mongodb";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Patience } from "../../src/engines/mongo/watch/patience.js";
import type { ChangeSource, HistoryPoint } from "../../src/store/changes.js";
import {
  eventsAfter,
  type Following,
  follow,
  keyDocument,
  now,
  openWatched,
  told,
  type WatchedCollection,
} from "../engines/watched-collection.js";
import { leavesOut } from "../support/left-out.js";
import { startReplicaSet, type TestReplicaSet } from "../support/mongodb/replica-set.js";
import { startTcpRelay, type TcpRelay } from "../support/tcp-relay.js";
import { until } from "../support/until.js";

/** A secondary gives up a frozen member that it copies from after a second, not five: the majority waits for that. */
const MONGOD = [
  "--setParameter",
  "oplogNetworkTimeoutBufferSeconds=1",
  "--setParameter",
  "enableTestCommands=1",
];
/** Less than that of an engine, so that tests need not wait as long: a reply comes every second. */
const SILENT = { silenceMs: 4_000 };
const IMPATIENT = { ...SILENT, lostMs: 3_000, pushAfterMs: 3_000, stallMs: 8_000 };
/** Drivers find out soon that a member is away. */
const PROMPT = "connectTimeoutMS=2000&heartbeatFrequencyMS=1000";
const AWAY = { kind: "UNAVAILABLE", reason: "DATABASE_UNREACHABLE" };
const LOST = { kind: "OUT_OF_RANGE", reason: "HISTORY_LOST" };
/** Where the value begins in a BSON document `{value: …}`. */
const VALUE_AT = 11;

async function openSet(options: Parameters<typeof startReplicaSet>[0] = {}): Promise<TestReplicaSet> {
  const set = await startReplicaSet({ args: MONGOD, ...options });
  onTestFinished(() => set.close());
  return set;
}

function databaseOf(uri: string): string {
  return `${uri.replace("/?", "/watched?")}&${PROMPT}`;
}

/** Writes one version of a key after the other until it is stopped. */
class Writer {
  readonly acknowledged: number[] = [];
  #tried = 0;
  #stopped = false;
  readonly #running: Promise<void>;

  constructor(documents: Collection) {
    this.#running = this.#write(documents);
    onTestFinished(() => this.stop());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  /** Writes on until so many more are acknowledged. */
  async more(count: number): Promise<void> {
    const before = this.acknowledged.length;
    await until(() => this.acknowledged.length >= before + count, `${count} more writes`, 60_000);
  }

  async #write(documents: Collection): Promise<void> {
    while (!this.#stopped) {
      this.#tried += 1;
      const version = this.#tried;
      const written = documents.updateOne(
        { key: "key" },
        { $set: keyDocument("key", { value: version }) },
        { upsert: true },
      );
      const acknowledged = await written.then(
        () => true,
        () => false,
      );
      if (acknowledged) this.acknowledged.push(version);
      // A failure may come at once.
      else await delay(20);
    }
  }

  /** Waits until all that was acknowledged has come, and checks that it came once and in order. */
  async check(...readings: readonly Pick<Following, "events">[]): Promise<void> {
    await this.stop();
    const last = this.acknowledged.at(-1) ?? 0;
    const versions = (): number[] => readings.flatMap(({ events }) => events).map(versionOf);
    await until(() => (versions().at(-1) ?? 0) >= last, "the last version has come", 60_000);
    const seen = versions();
    expect(seen).toEqual([...new Set(seen)].toSorted((a, b) => a - b));
    const known = new Set(seen);
    expect(this.acknowledged.filter((version) => !known.has(version))).toEqual([]);
  }
}

function versionOf({ document }: Following["events"][number]): number {
  return document?.value === undefined ? -1 : Buffer.from(document.value).readInt32LE(VALUE_AT);
}

/** Where a reading that has ended can be taken up. */
function endOf(reading: Following | undefined, start: HistoryPoint): HistoryPoint {
  return { ...start, position: reading?.batches.at(-1)?.position ?? start.position };
}

/** Reads behind a place as soon as the database is there, as clients do; answers the reading that has begun. */
async function takeUp(source: ChangeSource, point: HistoryPoint): Promise<Following> {
  let reading = follow(source, point);
  await until(async () => {
    const begun = until(() => reading.events.length > 0, "an event has come");
    const ended = await Promise.race([reading.ended, begun]);
    if (ended === undefined) return true;
    expect(ended).toMatchObject(AWAY);
    begun.catch(() => undefined);
    reading = follow(source, point);
    return false;
  }, "the watch has begun");
  return reading;
}

describe.skipIf(leavesOut("mongodb"))("a watch of a replica set of three", { timeout: 120_000 }, () => {
  const FAULTS: Readonly<Record<string, (set: TestReplicaSet) => Promise<() => Promise<unknown>>>> = {
    "steps down": async (set) => {
      await set.stepDown();
      return async () => undefined;
    },
    "is killed": async (set) => {
      const primary = await set.waitForPrimary();
      await primary.kill();
      return () => primary.restart();
    },
    "is frozen": async (set) => {
      const primary = await set.waitForPrimary();
      await primary.freeze();
      return () => primary.thaw();
    },
  };

  for (const [what, happen] of Object.entries(FAULTS)) {
    it(`misses nothing, and has nothing twice, when the primary ${what}`, async () => {
      const set = await openSet();
      const watched = await openWatched({ uri: databaseOf(set.uri), patience: SILENT });
      const start = await now(watched);
      const reading = follow(watched.source, start);
      const writer = new Writer(watched.documents);
      await writer.more(50);
      const primary = await set.waitForPrimary();
      const mend = await happen(set);
      await set.waitForPrimary(primary);
      await writer.more(50);
      await mend();
      await set.waitForMembers();
      await writer.more(50);
      const ended = await Promise.race([reading.ended, writer.check(reading)]);
      expect(ended).toBeUndefined();
      const again = await eventsAfter(watched, start);
      expect(reading.events).toEqual(again);
    });
  }

  it("ends when no majority takes writes, after a while, and goes on when one does", async () => {
    const set = await openSet();
    const watched = await openWatched({ uri: databaseOf(set.uri), patience: IMPATIENT });
    const { documents, source } = watched;
    const start = await now(watched);
    const reading = follow(source, start);
    await documents.insertOne(keyDocument("a"));
    const primary = await set.waitForPrimary();
    const stopReplication = async (mode: "alwaysOn" | "off"): Promise<void> => {
      for (const { uri } of set.members.filter((member) => member !== primary)) {
        await using client = await MongoClient.connect(uri);
        await client.db("admin").command({ configureFailPoint: "stopReplProducer", mode });
      }
    };
    await stopReplication("alwaysOn");
    const startedAt = performance.now();
    await documents.insertOne(keyDocument("b"), { writeConcern: { w: 1 } });
    expect(await reading.ended).toMatchObject(AWAY);
    expect(performance.now() - startedAt).toBeGreaterThan(IMPATIENT.stallMs - 1_000);
    expect(told(reading.events)).toEqual(["jobs/a: created"]);
    await stopReplication("off");
    const next = follow(source, endOf(reading, start));
    await until(() => next.events.length === 1, "the watch goes on");
    expect(told(next.events)).toEqual(["jobs/b: created"]);
  });
});

/** A set of one behind a relay, watched through it, and its documents without it. */
async function openRelayed(patience: Partial<Patience> = {}): Promise<{
  readonly set: TestReplicaSet;
  readonly relay: TcpRelay;
  readonly watched: WatchedCollection;
  readonly documents: Collection;
}> {
  const set = await openSet({ members: 1 });
  const [member] = set.members;
  const relay = await startTcpRelay(member?.port ?? 0);
  onTestFinished(() => relay.close());
  const watched = await openWatched({
    uri: `mongodb://127.0.0.1:${relay.port}/watched?directConnection=true&serverSelectionTimeoutMS=2000&${PROMPT}`,
    patience,
  });
  const client = await MongoClient.connect(databaseOf(set.uri), {
    writeConcern: { w: "majority", journal: true },
  });
  onTestFinished(() => client.close());
  return { set, relay, watched, documents: client.db().collection("keys") };
}

describe.skipIf(leavesOut("mongodb"))("a watch of one server", { timeout: 120_000 }, () => {
  it("goes on when its cursor is killed, and when its connection is cut or frozen for a moment", async () => {
    const { relay, watched, documents, set } = await openRelayed();
    const start = await now(watched);
    const reading = follow(watched.source, start);
    const writer = new Writer(documents);
    await writer.more(20);
    await using client = await MongoClient.connect(set.uri);
    for (let round = 0; round < 3; round += 1) {
      await until(async () => (await killCursors(client, documents)) > 0, "its cursor is killed");
      await writer.more(20);
    }
    for (const pass of [() => relay.cut(), async () => relay.freeze(), async () => relay.freeze("replies")]) {
      await pass();
      await writer.more(50);
      await relay.mend();
      await writer.more(50);
      const { acknowledged } = writer;
      const last = acknowledged.at(-1) ?? 0;
      await until(
        () => reading.events.some((event) => versionOf(event) >= last),
        "the watch has come so far",
      );
    }
    expect(await Promise.race([reading.ended, writer.check(reading)])).toBeUndefined();
  });

  it("goes on when its server does not answer, although it is there", async () => {
    const set = await openSet({ members: 1 });
    const watched = await openWatched({ uri: databaseOf(set.uri), patience: SILENT });
    const start = await now(watched);
    const reading = follow(watched.source, start);
    const writer = new Writer(watched.documents);
    await writer.more(20);
    const data = { failCommands: ["getMore"], blockConnection: true, blockTimeMS: 100_000 };
    await watched.client.db("admin").command({ configureFailPoint: "failCommand", mode: { times: 1 }, data });
    const seen = reading.events.length;
    const stoppedAt = performance.now();
    await until(() => reading.events.length > seen + 100, "the watch goes on", 40_000);
    expect(performance.now() - stoppedAt).toBeGreaterThan(SILENT.silenceMs - 1_000);
    expect(await Promise.race([reading.ended, writer.check(reading)])).toBeUndefined();
  });

  it("ends when its server is away for long, and can be taken up where it ended", async () => {
    const { relay, watched, documents } = await openRelayed(IMPATIENT);
    const { source } = watched;
    const start = await now(watched);
    const writer = new Writer(documents);
    const readings = [await takeUp(source, start)];
    for (const pass of [() => relay.cut(), async () => relay.freeze()]) {
      const reading = readings.at(-1);
      await writer.more(20);
      await pass();
      const cutAt = performance.now();
      expect(await reading?.ended).toMatchObject({ ...AWAY, retryAfterMs: expect.any(Number) });
      expect(performance.now() - cutAt).toBeGreaterThan(IMPATIENT.lostMs - 500);
      expect(performance.now() - cutAt).toBeLessThan(40_000);
      await expect(now(watched)).rejects.toMatchObject(AWAY);
      await relay.mend();
      readings.push(await takeUp(source, endOf(reading, start)));
    }
    expect(await Promise.race([readings.at(-1)?.ended, writer.check(...readings)])).toBeUndefined();
  });

  it("says so when the oplog does not reach back any more, also where nobody writes keys", async () => {
    const args = [...MONGOD, "--oplogSize=16", "--syncdelay=1"];
    const set = await openSet({ members: 1, args });
    const watched = await openWatched({ uri: databaseOf(set.uri) });
    const start = await now(watched);
    await watched.documents.insertOne(keyDocument("early"));
    expect(told(await eventsAfter(watched, start))).toEqual(["jobs/early: created"]);
    const reading = follow(watched.source, start);
    const [event] = await eventsAfter(watched, start);
    const other = watched.client.db().collection("others");
    const oplog = watched.client.db("local").collection("oplog.rs");
    const first = async (): Promise<Document | null> => oplog.findOne({}, { sort: { $natural: 1 } });
    const before = await first();
    const block = "x".repeat(1_000_000);
    await until(
      async () => {
        await other.insertOne({ block });
        return (
          (await first())?.["ts"].gt(before?.["ts"]) === true &&
          (await first())?.["wall"] > new Date(event?.commitTime ?? 0)
        );
      },
      "the oplog has forgotten its beginning",
      60_000,
    );
    await watched.documents.insertOne(keyDocument("late"));
    await until(() => reading.events.length === 2, "who follows has it");
    const later = await openWatched({ uri: watched.uri });
    for (const position of [start.position, event?.position ?? ""]) {
      expect(await follow(later.source, { ...start, position }).ended).toMatchObject(LOST);
    }
    // Nobody else noticed.
    expect(told(await eventsAfter(later, await now(later)))).toEqual([]);
  });
});

/** Kills the change streams of a collection, as an operator may. */
async function killCursors(client: MongoClient, documents: Collection): Promise<number> {
  const stages = [{ $currentOp: { idleCursors: true } }, { $match: { ns: documents.namespace } }];
  const found = await client.db("admin").aggregate(stages).toArray();
  const cursors = found.flatMap(({ cursor }) => (cursor === undefined ? [] : [cursor.cursorId]));
  await client.db(documents.dbName).command({ killCursors: documents.collectionName, cursors });
  return cursors.length;
}
