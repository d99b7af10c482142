import { MongoClient } from "mongodb";
import { describe, expect, onTestFinished, test } from "vitest";
import { ExecutionStoreService } from "../../src/client/service.js";
import { openMongoEngine } from "../../src/engines/mongo/engine.js";
import { decodeResumeToken } from "../../src/grpc/resume-token.js";
import type { Selector } from "../../src/store/changes.js";
import { leavesOut } from "../support/left-out.js";
import { startReplicaSet, startStandalone } from "../support/mongodb/replica-set.js";
import { testDatabase } from "../support/mongodb/test-database.js";
import { until } from "../support/until.js";
import { EVERYTHING } from "./checkers/everything.js";
import { liveEvents } from "./checkers/reference.js";
import { COLLECTION, startOver } from "./servers.js";
import { openChannel, RecordedStream } from "./traffic/recorded-stream.js";

/** What other products' watches over MongoDB did wrong once, and this one does not. */

const SELECTOR: Selector = { datasetId: undefined, storeName: undefined, key: undefined, keyPrefix: "" };
/** Commands that open or read a cursor which a test may cost: far fewer than a loop makes. */
const FEW_COMMANDS = 40;

interface Served {
  readonly service: ExecutionStoreService;
  readonly watch: (resumeToken?: string) => RecordedStream;
}

/** Serves a database in this process; all ends with the test. */
async function serve(uri: string): Promise<Served> {
  const { address } = await startOver(await openMongoEngine({ uri, collections: [COLLECTION] }));
  const service = new ExecutionStoreService({ address });
  const channel = openChannel(address);
  onTestFinished(async () => {
    channel.close();
    await service.close();
  });
  return {
    service,
    watch: (resumeToken = "") => {
      const stream = new RecordedStream(channel, "watch", { ...EVERYTHING, resumeToken }, undefined);
      onTestFinished(() => stream.close());
      return stream;
    },
  };
}

/** Where a stream's last token stands. */
function positionOf({ messages }: RecordedStream): string {
  return decodeResumeToken(COLLECTION, SELECTOR, messages.at(-1)?.token ?? "").position;
}

/** How many cursors the database was asked to open so far. */
async function aggregates(client: MongoClient): Promise<number> {
  const { metrics } = await client.db("admin").command({ serverStatus: 1 });
  return Number(metrics.commands.aggregate.total);
}

/** Writes to another collection until the oplog has nothing left from before the call. */
async function forgetOplog(client: MongoClient): Promise<void> {
  const called = new Date();
  const oplog = client.db("local").collection("oplog.rs");
  await until(
    async () => {
      await client
        .db("others")
        .collection("others")
        .insertOne({ block: "x".repeat(1_000_000) });
      return (await oplog.findOne({}, { sort: { $natural: 1 } }))?.["wall"] > called;
    },
    "the oplog has forgotten its beginning",
    60_000,
  );
}

describe.skipIf(leavesOut("mongodb"))("over MongoDB", () => {
  // https://github.com/meteor/meteor/issues/14607
  test("a place that the oplog has forgotten ends one watch, once, and disturbs no other", {
    timeout: 120_000,
  }, async () => {
    await using set = await startReplicaSet({ members: 1, args: ["--oplogSize=16", "--syncdelay=1"] });
    const { service, watch } = await serve(set.uri);
    await using client = new MongoClient(set.uri);
    const live = watch();
    await live.until(({ messages }) => messages.length > 0);
    const token = live.messages[0]?.token ?? "";
    await forgetOplog(client);
    const before = await aggregates(client);
    // The first server has seen that nothing happened since.
    const later = await serve(set.uri);
    for (let time = 0; time < 3; time += 1) {
      const lost = later.watch(token);
      await lost.until(() => false);
      expect(lost.end).toMatchObject({ status: "OUT_OF_RANGE", reason: "HISTORY_LOST", token: "" });
      expect(lost.messages).toEqual([]);
    }
    await service.setKey("s", "a", 1);
    await live.until((stream) => liveEvents(stream).length === 1);
    expect(live.end).toBeUndefined();
    expect((await aggregates(client)) - before).toBeLessThan(FEW_COMMANDS);
  });

  // https://github.com/meteor/meteor/issues/14607
  test("the token of a quiet collection moves on while others are busy", async () => {
    const { uri } = await testDatabase();
    const { watch } = await serve(uri);
    await using client = new MongoClient(uri);
    const live = watch();
    await live.until(({ messages }) => messages.length > 0);
    for (let round = 1; round <= 3; round += 1) {
      const before = positionOf(live);
      await client.db().collection("busy").insertOne({ round });
      await live.until((stream) => positionOf(stream) > before);
    }
    expect(live.messages.slice(1).map(({ kind }) => kind)).toEqual(
      live.messages.slice(1).map(() => "progress"),
    );
  });

  // https://github.com/meteor/meteor/issues/14468
  test("a standalone refuses every watch at once with the way out, and serves all else", async () => {
    await using standalone = await startStandalone();
    const { service, watch } = await serve(standalone.uri);
    await using client = new MongoClient(standalone.uri);
    await service.setKey("s", "a", 1);
    const before = await aggregates(client);
    for (const token of ["", ""]) {
      const refused = watch(token);
      await refused.until(() => false);
      expect(refused.end).toMatchObject({ status: "FAILED_PRECONDITION", reason: "REPLICA_SET_REQUIRED" });
      expect(refused.messages).toEqual([]);
    }
    expect((await service.getKey("s", "a"))?.value).toBe(1);
    expect((await aggregates(client)) - before).toBeLessThan(FEW_COMMANDS);
  });
});
