import { expect, it, onTestFinished } from "vitest";
import { resumingStream } from "../../src/engines/mongo/watch/resuming-stream.js";
import { IMAGES_VIEW } from "../../src/engines/mongo/watch/view.js";
import { keyDocument, now, openWatched, type WatchedCollection } from "../engines/watched-collection.js";
import { leavesOut } from "../support/left-out.js";
import { startReplicaSet } from "../support/mongodb/replica-set.js";
import { until } from "../support/until.js";

/** Longer than a stream that cannot be opened is opened again. */
const SLOW_MS = 12_000;

async function openOnTestServer(): Promise<WatchedCollection> {
  const set = await startReplicaSet({ members: 1, args: ["--setParameter", "enableTestCommands=1"] });
  onTestFinished(() => set.close());
  return await openWatched({ uri: set.uri.replace("/?", "/watched?") });
}

it.skipIf(leavesOut("mongodb"))(
  "a stream that was lost waits for a server that has much to go through when it is opened again",
  { timeout: 60_000 },
  async () => {
    const { client, connection, documents, source } = await openOnTestServer();
    const { position: after } = await now({ source });
    const subject = { connection, closings: { awaitAtClose() {} }, collection: "keys", view: IMAGES_VIEW };
    const signal = AbortSignal.timeout(50_000);
    const replies = resumingStream(subject, { after, silenceMs: 40_000, lostMs: 10_000, signal });
    await replies.next();
    const stages = [{ $currentOp: { idleCursors: true } }, { $match: { ns: documents.namespace } }];
    const admin = client.db("admin");
    const found = await admin.aggregate(stages).toArray();
    const cursors = found.flatMap(({ cursor }) => (cursor === undefined ? [] : [cursor.cursorId]));
    await client.db().command({ killCursors: "keys", cursors });
    await documents.insertOne(keyDocument("key"));
    const data = { failCommands: ["aggregate"], blockConnection: true, blockTimeMS: SLOW_MS };
    await admin.command({ configureFailPoint: "failCommand", mode: "alwaysOn", data });
    const startedAt = performance.now();
    for (;;) {
      const { events } = (await replies.next()).value;
      if (events.length === 0) continue;
      expect(events.map(({ type }) => type)).toEqual(["insert"]);
      break;
    }
    expect(performance.now() - startedAt).toBeGreaterThan(SLOW_MS - 1_000);
    await replies.return(undefined as never);
  },
);

it.skipIf(leavesOut("mongodb"))(
  "the first watch waits for an index under construction, and says so if that lasts",
  { timeout: 60_000 },
  async () => {
    const { client, documents, source } = await openOnTestServer();
    await documents.insertOne(keyDocument("key"));
    const admin = client.db("admin");
    const building = async (mode: "alwaysOn" | "off"): Promise<unknown> =>
      await admin.command({ configureFailPoint: "hangAfterStartingIndexBuild", mode });
    await building("alwaysOn");
    const built = documents.createIndex({ another: 1 });
    const stages = [{ $currentOp: {} }, { $match: { msg: /^Index Build/ } }];
    await until(async () => (await admin.aggregate(stages).toArray()).length > 0, "the construction begins");
    await expect(now({ source })).rejects.toMatchObject({
      kind: "UNAVAILABLE",
      reason: "DATABASE_CONFLICT",
      retryAfterMs: 1_000,
      message: expect.stringContaining("builds an index") as string,
    });
    const watched = now({ source });
    await building("off");
    await built;
    expect((await watched).history).toMatch(/^[0-9a-f]{32}$/);
  },
);
