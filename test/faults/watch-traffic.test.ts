import { setTimeout as delay } from "node:timers/promises";
import { type Document, MongoClient } from "mongodb";
import { describe, expect, onTestFinished, test } from "vitest";
import { ExecutionStoreService } from "../../src/client/service.js";
import { openMongoEngine } from "../../src/engines/mongo/engine.js";
import { buildBeforeTests } from "../cli/cli-process.js";
import { Choices, readSeed } from "../race/random.js";
import { leavesOut } from "../support/left-out.js";
import { startReplicaSet } from "../support/mongodb/replica-set.js";
import { testDatabase } from "../support/mongodb/test-database.js";
import { startTcpRelay } from "../support/tcp-relay.js";
import { until } from "../support/until.js";
import { EVERYTHING } from "../watch/checkers/everything.js";
import type { WatchRequest } from "../watch/checkers/history.js";
import { liveEvents } from "../watch/checkers/reference.js";
import { COLLECTION, RestartableServer, startOver } from "../watch/servers.js";
import { USUAL } from "../watch/traffic/coverage.js";
import { openChannel, RecordedStream } from "../watch/traffic/recorded-stream.js";
import type { Recorder } from "../watch/traffic/recorder.js";
import { judgeRounds, timeLimit } from "../watch/traffic/rounds.js";
import { valueText, versionOf } from "../watch/traffic/seen.js";
import { anyRequest, anySelector, KEYS, STORES } from "../watch/traffic/world.js";

/** A secondary gives up a frozen member that it copies from after a second, not five: the majority waits for that. */
const MONGOD = ["--setParameter", "oplogNetworkTimeoutBufferSeconds=1"];
/** How long a fault lasts that ends by itself, in ms. */
const FAULT_MS = 1500;
/** How long writes may take to be acknowledged again, in ms. */
const RECOVERY_MS = 30_000;
const ALLOWED = { separateClockReadings: true, guessedVersions: true };

/** Waits until writes are acknowledged again. */
function goOn({ puts }: Recorder): Promise<void> {
  const written = (): number => puts.filter(({ outcome }) => outcome === "written").length;
  const before = written();
  return until(() => written() > before + 30, "writes go on", RECOVERY_MS);
}

/** Lets things happen one after the other, each amid writes, and waits until writes go on. */
async function amidWrites(
  recorder: Recorder,
  ...happenings: readonly (() => Promise<unknown>)[]
): Promise<void> {
  for (const happen of happenings) {
    await goOn(recorder);
    await recorder.disturb(async () => {
      await happen();
      await goOn(recorder);
    });
  }
  await goOn(recorder);
}

async function startServer(uri: string): Promise<string> {
  return (await startOver(await openMongoEngine({ uri, collections: [COLLECTION] }))).address;
}

/** Kills the cursors of all change streams on a collection; answers how many. */
async function killStreams(uri: string): Promise<number> {
  await using client = new MongoClient(uri);
  const ofStreams: Document[] = [
    { $currentOp: { idleCursors: true } },
    { $match: { "cursor.originatingCommand.pipeline.0.$changeStream": { $exists: true } } },
  ];
  const found = await client.db("admin").aggregate(ofStreams).toArray();
  for (const { ns, cursor } of found) {
    const [database, ...collection] = String(ns).split(".");
    await client.db(database).command({ killCursors: collection.join("."), cursors: [cursor.cursorId] });
  }
  return found.length;
}

/** Sets a key to one value of the largest size after another, and deletes it. */
async function setLarge(recorder: Recorder, service: ExecutionStoreService): Promise<void> {
  const storeName = STORES[0];
  const key = `${KEYS[0]}/large`;
  const place = { datasetId: "", storeName, key };
  for (let count = 0; count < 2; count += 1) {
    const value = { number: recorder.nextValue(), text: "x".repeat(15 * 2 ** 20 - 100) };
    await recorder.put([{ ...place, value: valueText(value) }], async () => {
      const { document, created } = await service.setKey(storeName, key, value);
      return [{ version: versionOf(document), created }];
    });
  }
  await recorder.remove({ ...place, keys: [key], storeDocuments: 0 }, async () =>
    Number(await service.deleteKey(storeName, key)),
  );
}

describe.skipIf(leavesOut("mongodb"))("a collection that is dropped", () => {
  test("ends every watch with OUT_OF_RANGE, and begins a new history", { timeout: 60_000 }, async () => {
    const { uri } = await testDatabase();
    const address = await startServer(uri);
    const service = new ExecutionStoreService({ address });
    const channel = openChannel(address);
    onTestFinished(async () => {
      channel.close();
      await service.close();
    });
    const open = async (request: Partial<WatchRequest>): Promise<RecordedStream> => {
      const stream = new RecordedStream(channel, "watch", { ...EVERYTHING, ...request }, undefined);
      onTestFinished(() => stream.close());
      await stream.until(({ messages }) => messages.length > 0);
      return stream;
    };
    const choices = new Choices(readSeed());
    const streams = await Promise.all([
      open({}),
      ...Array.from({ length: 20 }, (_, index) =>
        open(anyRequest(anySelector(choices), index % 2 === 0, choices)),
      ),
    ]);
    await service.setKey(STORES[0], KEYS[0], 1);
    const [all] = streams;
    await all?.until((stream) => liveEvents(stream).length === 1);
    await using client = new MongoClient(uri);
    await client.db().dropCollection(COLLECTION);
    await service.setKey(STORES[0], KEYS[0], 2);
    for (const stream of streams) {
      await stream.until(() => false);
      expect(stream.end).toMatchObject({ status: "OUT_OF_RANGE", reason: "HISTORY_LOST" });
      expect(liveEvents(stream).filter(({ document: { value } }) => value === "2")).toEqual([]);
    }
    const token = all?.messages.findLast((message) => message.token !== "")?.token ?? "";
    const refused = await open({ resumeToken: token });
    expect(refused.end).toMatchObject({ status: "OUT_OF_RANGE", reason: "HISTORY_LOST" });
    const anew = await open({ snapshot: true });
    await service.setKey(STORES[0], KEYS[0], 3);
    await anew.until((stream) => liveEvents(stream).length === 1);
    const told = anew.messages.flatMap(({ events }) =>
      events.map(({ type, document }) => [type, document.value]),
    );
    expect(told).toEqual([
      ["existing", "2"],
      ["updated", "3"],
    ]);
  });
});

describe.skipIf(leavesOut("mongodb"))("every promise is kept", () => {
  buildBeforeTests();

  test("while the primary changes and a server is killed", timeLimit(120_000), async () => {
    await judgeRounds(async () => {
      const set = await startReplicaSet({ args: MONGOD });
      onTestFinished(() => set.close());
      const [first, second] = [
        await RestartableServer.start(set.uri),
        await RestartableServer.start(set.uri),
      ];
      return {
        servers: [first.address, second.address],
        allowed: ALLOWED,
        watchers: 20,
        disturb: (recorder) =>
          amidWrites(
            recorder,
            () => set.stepDown(),
            async () => {
              const primary = await set.waitForPrimary();
              await primary.kill("SIGKILL");
              await set.waitForPrimary(primary);
              await primary.restart();
              await set.waitForMembers();
            },
            async () => {
              await second.end("SIGKILL");
              await second.restart();
            },
          ),
      };
    }, [...USUAL, "ended UNAVAILABLE"]);
  });

  test("while a connection is cut and frozen, and cursors are killed", timeLimit(60_000), async () => {
    await judgeRounds(async () => {
      const set = await startReplicaSet({ members: 1 });
      onTestFinished(() => set.close());
      const { port, uri } = await set.waitForPrimary();
      const relay = await startTcpRelay(port);
      onTestFinished(() => relay.close());
      const passing = async (): Promise<void> => {
        await delay(FAULT_MS);
        await relay.mend();
      };
      const kill = async (): Promise<void> => {
        expect(await killStreams(uri)).toBeGreaterThan(0);
      };
      return {
        servers: [
          await startServer(uri),
          await startServer(`mongodb://127.0.0.1:${relay.port}/?directConnection=true`),
        ],
        allowed: ALLOWED,
        watchers: 20,
        disturb: (recorder) =>
          amidWrites(
            recorder,
            () => relay.cut().then(passing),
            kill,
            () => {
              relay.freeze();
              return passing();
            },
            kill,
          ),
      };
    }, USUAL);
  });

  test("while values of 15 MiB are replaced by others", timeLimit(60_000), async () => {
    await judgeRounds(async () => {
      const { uri } = await testDatabase();
      const address = await startServer(uri);
      const service = new ExecutionStoreService({ address });
      onTestFinished(() => service.close());
      return {
        servers: [address],
        allowed: { ...ALLOWED, previousOmitted: true },
        watchers: 6,
        writers: 4,
        disturb: (recorder) => amidWrites(recorder, () => setLarge(recorder, service)),
      };
    }, ["created", "updated", "deleted", "previous omitted"]);
  });
});
