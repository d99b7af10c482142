import { ObjectId } from "mongodb";
import { describe, expect, it } from "vitest";
import { openMongoEngine } from "../../src/engines/mongo/engine.js";
import { EVERYTHING } from "../conformance/changes/change-world.js";
import { liveDocuments, writeSideBySide } from "../conformance/changes/random-traffic.js";
import { Choices, readSeed, seedText } from "../race/random.js";
import { leavesOut } from "../support/left-out.js";
import { testDatabase } from "../support/mongodb/test-database.js";
import { until } from "../support/until.js";
import {
  eventsAfter,
  follow,
  keyDocument,
  now,
  openWatched,
  type ReadEvent,
  told,
} from "./watched-collection.js";

const COLLECTION = "execution_store";
const PAST = new Date(Date.now() - 60_000);
const FUTURE = new Date(Date.now() + 3_600_000);

/** What a key's events, one after the other, must not be. */
function problemsOf(events: readonly ReadEvent[], live: Set<string>): string[] {
  return events.flatMap(({ name, type, position }) => {
    const was = live.has(name);
    if (type === "created" || type === "updated") live.add(name);
    else live.delete(name);
    return was === (type !== "created") ? [] : [`${type} of ${name} at ${position}`];
  });
}

describe.skipIf(leavesOut("mongodb"))("without images", () => {
  it("every change has its type, and updates show what was looked up", async () => {
    const watched = await openWatched({ images: "off" });
    const { documents } = watched;
    await documents.dropIndex("expires_at");
    await documents.insertMany([
      keyDocument("plain"),
      keyDocument("expired", { expires_at: PAST, created_at: PAST, updated_at: PAST }),
      keyDocument("late", { expires_at: PAST, created_at: PAST, updated_at: PAST }),
      keyDocument("deleted", { _id: { a: 1, b: "x" } }),
      keyDocument("replaced", { expires_at: FUTURE }),
    ]);
    const start = await now(watched, false);
    await documents.updateOne({ key: "plain" }, { $set: { value: "one", policy: "evict" } });
    await documents.updateOne({ key: "expired" }, { $set: { expires_at: FUTURE } });
    await documents.updateOne({ key: "late" }, { $set: { value: "late" } });
    await documents.replaceOne({ key: "replaced" }, keyDocument("replaced", { value: "new" }));
    await documents.updateOne({ key: "plain" }, { $unset: { policy: "", value: "" } });
    await documents.updateOne({ key: "plain" }, { $set: { dataset_id: new ObjectId("0".repeat(24)) } });
    await documents.deleteOne({ key: "deleted" });
    await documents.deleteOne({ key: "late" });
    await documents.insertOne(keyDocument("new"));
    const events = await eventsAfter(watched, start, false);
    expect(told(events)).toEqual([
      "jobs/plain: updated",
      "jobs/expired: expired",
      "jobs/expired: created",
      "jobs/replaced: updated",
      "jobs/plain: updated",
      "jobs/plain: deleted",
      `${"0".repeat(24).slice(1)}/jobs/plain: created`,
      "jobs/deleted: deleted",
      "jobs/late: expired",
      "jobs/new: created",
    ]);
    expect(events.map(({ lookedUp }) => lookedUp)).toEqual(
      [1, 0, 1, 0, 1, 0, 1, 0, 0, 0].map((number) => number === 1),
    );
    expect(events.every(({ previous }) => previous === undefined)).toBe(true);
  });

  it("large values do not end the stream", async () => {
    const watched = await openWatched({ images: "off" });
    const { documents } = watched;
    await documents.insertOne(keyDocument("key"));
    const start = await now(watched, false);
    const size = 15 * 1024 * 1024;
    for (const letter of "ab")
      await documents.updateOne({ key: "key" }, { $set: { value: letter.repeat(size) } });
    const events = await eventsAfter(watched, start, false);
    expect(events.map(({ document }) => document?.value?.length)).toEqual([size + 17, size + 17]);
  });

  it("what is gone before it is looked up is not told, but for the end of what was told", async () => {
    const watched = await openWatched({ images: "off" });
    const { documents, client } = watched;
    await documents.dropIndex("expires_at");
    await documents.insertMany([
      keyDocument("live"),
      keyDocument("expired", { expires_at: PAST, created_at: PAST, updated_at: PAST }),
    ]);
    const start = await now(watched, false);
    // Nobody sees what is between the writes of a transaction.
    await client.withSession((session) =>
      session.withTransaction(async () => {
        for (const key of ["live", "expired"]) {
          await documents.updateOne({ key }, { $set: { value: "new", expires_at: null } }, { session });
          await documents.deleteOne({ key }, { session });
        }
      }),
    );
    expect(told(await eventsAfter(watched, start, false))).toEqual([
      "jobs/live: deleted",
      "jobs/expired: expired",
    ]);
  });

  it("older places are lost, and those that the memory has are not", async () => {
    const watched = await openWatched({ images: "off" });
    const { documents, uri, source } = watched;
    const start = await now(watched, false);
    await documents.insertOne(keyDocument("a"));
    const other = await openWatched({ uri, images: "off" });
    const between = await now(other, false);
    expect(between.history).toBe(start.history);
    await documents.insertOne(keyDocument("b"));
    expect(told(await eventsAfter(watched, start, false))).toEqual(["jobs/a: created", "jobs/b: created"]);
    expect(told(await eventsAfter(watched, between, false))).toEqual(["jobs/b: created"]);
    expect(told(await eventsAfter(other, between, false))).toEqual(["jobs/b: created"]);
    expect(await follow(other.source, start, false).ended).toMatchObject({ reason: "HISTORY_LOST" });
    const snapshot = await source.snapshot(EVERYTHING, false);
    await documents.insertOne(keyDocument("c"));
    const point = { history: snapshot.history, position: snapshot.position };
    expect(told(await eventsAfter(watched, point, false))).toEqual(["jobs/c: created"]);
  });

  it("random traffic ends in what is there, and every key comes and goes by turns", async () => {
    const { uri } = await testDatabase();
    const engine = await openMongoEngine({ uri, collections: [COLLECTION], images: "off" });
    try {
      const source = engine.changes(COLLECTION);
      const seed = readSeed();
      const reading = follow(source, await source.now({ previous: false }), false);
      await writeSideBySide(engine, new Choices(seed), 6, 60);
      const last = new Map<string, ReadEvent>();
      const isSettled = async (): Promise<boolean> => {
        const documents = await liveDocuments(engine);
        for (const event of reading.events) last.set(event.name, event);
        const shown = [...last.values()].flatMap(({ document }) =>
          document === undefined ? [] : [document.etag],
        );
        const present = documents.map(({ etag }) => etag);
        return (
          documents.every(({ expiresAt }) => expiresAt === undefined || expiresAt > Date.now() + 100_000) &&
          shown.toSorted().join() === present.toSorted().join()
        );
      };
      await until(isSettled, `the events end in what is there (${seedText(seed)})`);
      expect(problemsOf(reading.events, new Set()), seedText(seed)).toEqual([]);
    } finally {
      await engine.close();
    }
  });
});
