import { expect, it, onTestFinished } from "vitest";
import { resumingStream } from "../../src/engines/mongo/watch/resuming-stream.js";
import { IMAGES_VIEW } from "../../src/engines/mongo/watch/view.js";
import { keyDocument, now, openWatched } from "../engines/watched-collection.js";
import { leavesOut } from "../support/left-out.js";
import { startReplicaSet } from "../support/mongodb/replica-set.js";

/** Longer than a stream that cannot be opened is opened again. */
const SLOW_MS = 12_000;

it.skipIf(leavesOut("mongodb"))(
  "a stream that was lost waits for a server that has much to go through when it is opened again",
  { timeout: 60_000 },
  async () => {
    const set = await startReplicaSet({ members: 1, args: ["--setParameter", "enableTestCommands=1"] });
    onTestFinished(() => set.close());
    const { client, connection, documents, source } = await openWatched({
      uri: set.uri.replace("/?", "/watched?"),
    });
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
