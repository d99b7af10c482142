import { type Document, ObjectId } from "mongodb";
import { describe, expect, it } from "vitest";
import { openMongoEngine } from "../../src/engines/mongo/engine.js";
import { STORE_KEY } from "../../src/store/limits.js";
import { leavesOut } from "../support/left-out.js";
import { until } from "../support/until.js";
import { eventsAfter, follow, keyDocument, now, openWatched, told } from "./watched-collection.js";

/** The value of a BSON document `{value: "…"}`, as text. */
function textOf(value: Uint8Array | undefined): string | undefined {
  return value && Buffer.from(value).toString("latin1", 15, value.length - 2);
}

const PAST = new Date(Date.now() - 60_000);
const FUTURE = new Date(Date.now() + 3_600_000);

describe.skipIf(leavesOut("mongodb"))("what other programs write", () => {
  it("is told: upserts without policy and dataset, updates of many, replacements, deletions", async () => {
    const watched = await openWatched();
    const { documents } = watched;
    const start = await now(watched);
    const setKey = (key: string, value: string): Promise<unknown> =>
      documents.updateOne(
        { store_name: "jobs", key },
        {
          $set: { value, updated_at: new Date() },
          $setOnInsert: { created_at: new Date(), expires_at: null },
        },
        { upsert: true },
      );
    await setKey("a", "one");
    await setKey("a", "two");
    await setKey("b", "one");
    await documents.updateMany({ store_name: "jobs" }, { $set: { value: "many" } });
    await documents.replaceOne({ key: "b" }, keyDocument("b", { value: "replaced", policy: "evict" }));
    await documents.deleteMany({ store_name: "jobs" });
    const events = await eventsAfter(watched, start);
    expect(told(events)).toEqual([
      "jobs/a: created",
      "jobs/a: updated",
      "jobs/b: created",
      "jobs/a: updated",
      "jobs/b: updated",
      "jobs/b: updated",
      "jobs/a: deleted",
      "jobs/b: deleted",
    ]);
    expect(events.map(({ document }) => textOf(document?.value))).toEqual([
      "one",
      "two",
      "one",
      "many",
      "many",
      "replaced",
      undefined,
      undefined,
    ]);
    expect(events.map(({ previous }) => textOf(previous?.value))).toEqual([
      undefined,
      "one",
      undefined,
      "two",
      "one",
      "many",
      "many",
      "replaced",
    ]);
    expect(events.map(({ document }) => document?.policy)).toEqual([
      ...Array.from({ length: 5 }, () => "persist"),
      "evict",
      undefined,
      undefined,
    ]);
    const positions = events.map(({ position }) => position);
    expect(positions).toEqual([...new Set(positions)].toSorted());
  });

  it("is told in its order where a transaction changed several keys, and resumes between them", async () => {
    const watched = await openWatched();
    const { documents, client } = watched;
    await documents.insertOne(keyDocument("old"));
    const start = await now(watched);
    await client.withSession((session) =>
      session.withTransaction(async () => {
        await documents.insertMany(
          ["a", "b", "c"].map((key) => keyDocument(key)),
          { session },
        );
        await documents.updateOne({ key: "b" }, { $set: { value: "changed" } }, { session });
        await documents.deleteOne({ key: "old" }, { session });
      }),
    );
    const events = await eventsAfter(watched, start);
    expect(told(events)).toEqual([
      "jobs/a: created",
      "jobs/b: created",
      "jobs/c: created",
      "jobs/b: updated",
      "jobs/old: deleted",
    ]);
    expect(new Set(events.map(({ position }) => position.slice(0, 16))).size).toBe(1);
    const later = await openWatched({ uri: watched.uri });
    for (const [index, { position }] of events.entries()) {
      expect(await eventsAfter(watched, { ...start, position })).toEqual(events.slice(index + 1));
      expect(await eventsAfter(later, { ...start, position })).toEqual(events.slice(index + 1));
    }
  });

  it("is an expiry where MongoDB removes what has expired, and a deletion where somebody else is sooner", async () => {
    const watched = await openWatched();
    const { documents } = watched;
    const start = await now(watched);
    const expiresAt = new Date(Date.now() + 200);
    await documents.insertMany([
      keyDocument("expires", { expires_at: expiresAt }),
      keyDocument("deleted", { expires_at: FUTURE }),
    ]);
    await documents.deleteOne({ key: "deleted" });
    await until(async () => (await documents.countDocuments({ key: "expires" })) === 0, "MongoDB removes it");
    const events = await eventsAfter(watched, start);
    expect(told(events).slice(2)).toEqual(["jobs/deleted: deleted", "jobs/expires: expired"]);
    expect(events.at(-1)?.commitTime).toBeGreaterThanOrEqual(expiresAt.getTime());
    expect(events.at(-1)?.previous?.expiresAt).toBe(expiresAt.getTime());
  });

  it("is nothing where it changes what has expired and leaves it so, until that is removed", async () => {
    const watched = await openWatched();
    const { documents } = watched;
    // What MongoDB's own monitor does not see: an array is not removed, and no date either.
    await documents.dropIndex("expires_at");
    await documents.insertOne(keyDocument("key", { expires_at: PAST, created_at: PAST, updated_at: PAST }));
    const start = await now(watched);
    await documents.updateOne({ key: "key" }, { $set: { value: "late", updated_at: new Date() } });
    await documents.updateOne({ key: "key" }, { $set: { expires_at: new Date(PAST.getTime() + 1) } });
    expect(told(await eventsAfter(watched, start))).toEqual([]);
    await documents.deleteOne({ key: "key" });
    expect(told(await eventsAfter(watched, start))).toEqual(["jobs/key: expired"]);
  });

  it("is an expiry and a creation, in one change, where it gives what has expired another time", async () => {
    const watched = await openWatched();
    const { documents } = watched;
    await documents.dropIndex("expires_at");
    for (const key of ["ttl", "replaced", "forever"]) {
      await documents.insertOne(keyDocument(key, { expires_at: PAST, created_at: PAST, updated_at: PAST }));
    }
    const start = await now(watched);
    await documents.updateOne({ key: "ttl" }, { $set: { expires_at: FUTURE } });
    await documents.replaceOne({ key: "replaced" }, keyDocument("replaced", { value: "new" }));
    await documents.updateOne({ key: "forever" }, { $unset: { expires_at: "" } });
    const events = await eventsAfter(watched, start);
    expect(told(events)).toEqual(
      ["ttl", "replaced", "forever"].flatMap((key) => [`jobs/${key}: expired`, `jobs/${key}: created`]),
    );
    for (let index = 0; index < events.length; index += 2) {
      expect(events[index]?.position).toBe(events[index + 1]?.position);
      expect(events[index]?.previous?.expiresAt).toBe(PAST.getTime());
      expect(events[index + 1]?.previous).toBeUndefined();
    }
  });

  it("is the end of one key and the beginning of another where it renames a document", async () => {
    const watched = await openWatched();
    const { documents } = watched;
    await documents.dropIndex("expires_at");
    const dataset = new ObjectId();
    await documents.insertMany([
      keyDocument("a"),
      keyDocument("b", { expires_at: PAST }),
      keyDocument(STORE_KEY),
      keyDocument("c"),
    ]);
    const start = await now(watched);
    await documents.updateOne({ key: "a" }, { $set: { key: "new a", value: "new" } });
    await documents.updateOne({ key: "b" }, { $set: { dataset_id: dataset, expires_at: null } });
    await documents.updateOne({ key: STORE_KEY }, { $set: { key: "of a store" } });
    await documents.updateOne({ key: "c" }, { $set: { store_name: 5 } });
    const events = await eventsAfter(watched, start);
    expect(events.map(({ name, type }) => `${name}: ${type}`)).toEqual([
      "/jobs/a: deleted",
      "/jobs/new a: created",
      "/jobs/b: expired",
      `${dataset.toHexString()}/jobs/b: created`,
      "/jobs/of a store: created",
      "/jobs/c: deleted",
    ]);
    const positions = events.map(({ position }) => position);
    expect(positions).toEqual([...new Set(positions)].toSorted());
    const later = await openWatched({ uri: watched.uri });
    for (const [index, position] of positions.entries()) {
      expect(await eventsAfter(watched, { ...start, position })).toEqual(events.slice(index + 1));
      expect(await eventsAfter(later, { ...start, position })).toEqual(events.slice(index + 1));
    }
  });

  it("is nothing where it is none of a key's", async () => {
    const watched = await openWatched();
    const { documents } = watched;
    const start = await now(watched);
    const odd: Document[] = [
      keyDocument(STORE_KEY),
      keyDocument("a", { store_name: 5 }),
      keyDocument("b", { dataset_id: "text" }),
      keyDocument("c", { key: ["c"] }),
      { anything: true },
    ];
    await documents.insertMany(odd);
    await documents.updateMany({}, { $set: { value: "other" } });
    await documents.deleteMany({});
    expect(await eventsAfter(watched, start)).toEqual([]);
  });

  it("shows the same version as calls do, whatever the _id is", async () => {
    const { uri, source, documents } = await openWatched();
    const engine = await openMongoEngine({ uri, collections: ["keys"] });
    try {
      const start = await source.now({ previous: true });
      const ids: unknown[] = [new ObjectId(), "text", 5, { b: 1, a: [{ "2": 1, "1": 2 }] }, new Date(5)];
      for (const [index, _id] of ids.entries()) {
        await documents.insertOne({ _id: _id as ObjectId, ...keyDocument(`key-${index}`) });
        await documents.updateOne({ _id: _id as ObjectId }, { $set: { expires_at: FUTURE } });
      }
      const events = (await eventsAfter({ source, documents }, start)).filter(
        ({ type }) => type === "updated",
      );
      const scope = { collection: "keys", datasetId: "" };
      const read = await Promise.all(
        ids.map((_, index) => engine.getKey(scope, "jobs", `key-${index}`, true)),
      );
      expect(events.map(({ document }) => document)).toEqual(read);
    } finally {
      await engine.close();
    }
  });

  it("has values of 15 MiB over others of 15 MiB, and shows smaller ones as they were", async () => {
    const watched = await openWatched();
    const { documents } = watched;
    const MIB = 1024 * 1024;
    await documents.insertOne(keyDocument("key"));
    const start = await now(watched);
    const sizes = [15, 15, 6.9, 9.3, 0.05, 6.9, 6.9].map((size) => Math.round(size * MIB));
    for (const [index, size] of sizes.entries()) {
      const value = "abcdefghi".charAt(index).repeat(size);
      await documents.updateOne({ key: "key" }, { $set: { value } });
    }
    const events = await eventsAfter(watched, start);
    expect(events.map(({ document }) => document?.value?.length)).toEqual(sizes.map((size) => size + 17));
    expect(events.map(({ previous }) => previous?.updatedAt)).toEqual(
      events.map(({ document }) => document?.updatedAt),
    );
    const shown = events.map(({ previous }) => previous?.value && previous.value.length - 17);
    // Of those that are above 7 MiB, or too large together with what replaced them, there is no value.
    const [, , , , fifth, sixth] = sizes;
    expect(shown).toEqual(["value".length, undefined, undefined, undefined, undefined, fifth, sixth]);
  });

  it("ends the history where it is too large to be told, and goes on behind it", async () => {
    const watched = await openWatched();
    const { documents, source } = watched;
    const start = await now(watched);
    const reading = follow(source, start);
    await documents.insertOne(keyDocument("before"));
    await documents.insertOne({
      _id: "i".repeat(300_000) as unknown as ObjectId,
      ...keyDocument("giant", { value: "x".repeat(15_900_000) }),
    });
    expect(await reading.ended).toMatchObject({
      reason: "HISTORY_LOST",
      message: expect.stringMatching(/snapshot/),
    });
    expect(told(reading.events)).toEqual(["jobs/before: created"]);
    expect(await follow(source, start).ended).toMatchObject({ reason: "HISTORY_LOST" });
    const behind = await now(watched);
    await documents.insertOne(keyDocument("after"));
    expect(told(await eventsAfter(watched, behind))).toEqual(["jobs/after: created"]);
  });

  it("is the same through two servers, and one goes on where the other stopped", async () => {
    const one = await openWatched();
    const other = await openWatched({ uri: one.uri });
    const start = await now(one);
    const reading = follow(other.source, await now(other));
    for (let index = 0; index < 30; index += 1) {
      await one.documents.updateOne(
        { key: `key-${index % 7}` },
        { $set: keyDocument(`key-${index % 7}`, { value: index }) },
        { upsert: true },
      );
    }
    const events = await eventsAfter(one, start);
    expect(events).toHaveLength(30);
    await until(() => reading.events.length >= 30, "the other has read them");
    expect(reading.events.slice(0, 30)).toEqual(events);
    // Each look at the rest makes one more batch.
    const positions = reading.batches.map(({ position }) => position);
    for (const position of positions) {
      const rest = events.filter((event) => event.position > position);
      expect(await eventsAfter(one, { ...start, position })).toEqual(rest);
    }
  });
});
