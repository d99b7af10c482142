import { EventEmitter, once } from "node:events";
import type { Collection, Document, MongoClient, RunCommandOptions } from "mongodb";
import { describe, expect, it } from "vitest";
import { openChangeStream } from "../../src/engines/mongo/watch/change-stream.js";
import { IMAGES_VIEW } from "../../src/engines/mongo/watch/view.js";
import { EVERYTHING } from "../conformance/changes/change-world.js";
import { leavesOut } from "../support/left-out.js";
import { startStandalone } from "../support/mongodb/replica-set.js";
import { until } from "../support/until.js";
import {
  eventsAfter,
  follow,
  keyDocument,
  now,
  openWatched,
  told,
  type WatchedCollection,
} from "./watched-collection.js";

const LOST = {
  kind: "OUT_OF_RANGE",
  reason: "HISTORY_LOST",
  message: expect.stringMatching(/snapshot/) as string,
};

/** How many the server has open, in use or not. */
async function openChangeStreams(client: MongoClient, documents: Collection): Promise<number> {
  const stages = [{ $currentOp: { idleCursors: true } }, { $match: { ns: documents.namespace } }];
  return (await client.db("admin").aggregate(stages).toArray()).length;
}

const ENDS: Readonly<Record<string, (watched: WatchedCollection) => Promise<unknown>>> = {
  "the collection is dropped": ({ documents }) => documents.drop(),
  "the collection is dropped and made again": async ({ documents }) => {
    await documents.drop();
    await documents.insertOne(keyDocument("another incarnation"));
  },
  "the collection is renamed": ({ documents }) => documents.rename("elsewhere"),
  "another collection takes its place": async ({ client, documents }) => {
    await client.db().collection("other").insertOne(keyDocument("other"));
    await client.db().renameCollection("other", documents.collectionName, { dropTarget: true });
  },
  "the database is dropped": ({ client }) => client.db().dropDatabase(),
};

describe.skipIf(leavesOut("mongodb"))("a history ends", () => {
  for (const [what, end] of Object.entries(ENDS)) {
    it(`with all that came before when ${what}, and another begins`, async () => {
      const watched = await openWatched();
      const { documents, source } = watched;
      await documents.insertOne(keyDocument("older"));
      const start = await now(watched);
      await documents.insertOne(keyDocument("a"));
      const readings = [follow(source, start), follow(source, await now(watched))];
      const snapshot = (await source.snapshot(EVERYTHING, true)).pages();
      await documents.insertOne(keyDocument("b"));
      await end(watched);
      // Not a part of it, nor nothing, as if there were nothing more.
      await expect(snapshot.next()).rejects.toMatchObject(LOST);
      for (const { ended } of readings) expect(await ended).toMatchObject(LOST);
      expect(readings.map(({ events }) => told(events))).toEqual([
        ["jobs/a: created", "jobs/b: created"],
        ["jobs/b: created"],
      ]);
      const next = await now(watched);
      expect(next.history).not.toBe(start.history);
      await documents.insertOne(keyDocument("c"));
      await documents.updateOne({ key: "c" }, { $set: { value: "new" } });
      expect(told(await eventsAfter(watched, next))).toEqual(["jobs/c: created", "jobs/c: updated"]);
      // Of the last incarnation nothing can be told, not even through a server that has just been started.
      for (const { source: any } of [watched, await openWatched({ uri: watched.uri })]) {
        expect(await follow(any, start).ended).toMatchObject(LOST);
      }
    });
  }

  it.each(["auto", "off"] as const)(
    "while a watch begins, which begins with the next (images: %s)",
    async (images) => {
      const watched = await openWatched({ images, idleMs: 0 });
      const { client, documents, events } = watched;
      await now(watched, false);
      for (let round = 0; round < 60; round += 1) {
        await documents.insertOne(keyDocument("key"));
        await until(async () => (await openChangeStreams(client, documents)) === 0, "nobody watches");
        const point = now(watched, false);
        // At another place of its beginning each time.
        const opened = performance.now();
        while (performance.now() - opened < (round % 20) / 2) await new Promise(setImmediate);
        await documents.drop();
        expect(await point).toMatchObject({ history: expect.stringMatching(/^[0-9a-f]{32}$/) as string });
      }
      const warnings = events.filter((event) => "level" in event && event.level === "warn");
      expect(warnings).toHaveLength(images === "auto" ? 0 : 1);
      await until(
        async () => (await openChangeStreams(client, documents)) === 0,
        "the server has no cursor of it any more",
      );
    },
  );

  it("leaves nothing open of a stream that is given up before the server hears of it", async () => {
    const { client, connection, documents, source } = await openWatched({ idleMs: 0 });
    const { position } = await now({ source });
    await until(async () => (await openChangeStreams(client, documents)) === 0, "nobody watches");
    // The network delivers last what was sent first.
    const network = new EventEmitter();
    const { db } = connection;
    const late = {
      command: async (command: Document, options: RunCommandOptions): Promise<Document> => {
        const opens = "aggregate" in command;
        if (opens) await once(network, "killSessions");
        const reply = await db.command(command, { ...options, signal: undefined });
        network.emit(opens ? "opened" : "killSessions");
        return reply;
      },
    };
    const opened = once(network, "opened");
    const closings: Promise<void>[] = [];
    const subject = {
      connection: new Proxy(connection, {
        get: (target, name) => (name === "db" ? late : Reflect.get(target, name, target)),
      }),
      closings: { awaitAtClose: (work: Promise<void>): void => void closings.push(work) },
      collection: "keys",
      view: IMAGES_VIEW,
    };
    const giving = new AbortController();
    const opening = openChangeStream(subject, position, { silenceMs: 40_000, signal: giving.signal });
    giving.abort(new Error("given up"));
    await expect(opening).rejects.toThrow("given up");
    await opened;
    await Promise.all(closings);
    expect(await openChangeStreams(client, documents)).toBe(0);
  });

  it("where somebody switches the images off, and they are on again with the next watch", async () => {
    const watched = await openWatched();
    const { documents, client, source, events } = watched;
    await documents.insertOne(keyDocument("key"));
    const start = await now(watched);
    const reading = follow(source, start);
    const switchImages = (enabled: boolean): Promise<Document> =>
      client.db().command({ collMod: "keys", changeStreamPreAndPostImages: { enabled } });
    await switchImages(false);
    await documents.insertOne(keyDocument("new"));
    await documents.updateOne({ key: "key" }, { $set: { value: "unseen" } });
    expect(await reading.ended).toMatchObject(LOST);
    expect(told(reading.events)).toEqual(["jobs/new: created"]);
    // What was handed out last is not behind what is lost.
    expect(
      await follow(source, { ...start, position: reading.batches.at(-1)?.position ?? "" }).ended,
    ).toMatchObject(LOST);
    const next = await now(watched);
    expect(next.history).toBe(start.history);
    await documents.updateOne({ key: "key" }, { $set: { value: "seen" } });
    expect(told(await eventsAfter(watched, next))).toEqual(["jobs/key: updated"]);
    const switched = events.filter((event) => "level" in event && /pre- and post-images/.test(event.message));
    expect(switched).toHaveLength(2);
  });
});

describe.skipIf(leavesOut("mongodb"))("a reader", () => {
  it("who stays behind for more than the memory holds is not held up by it, nor anybody by the reader", async () => {
    const watched = await openWatched();
    const { documents, source } = watched;
    const start = await now(watched);
    const slow = source.read(start, { previous: false }, AbortSignal.timeout(25_000));
    await documents.insertOne(keyDocument("key 0"));
    const keys: string[] = [];
    const read = async (): Promise<void> => {
      const { value } = await slow.next();
      for (const { key } of value?.changes ?? []) keys.push(key);
    };
    while (keys.length === 0) await read();
    const value = "x".repeat(2_000_000);
    const fast = follow(source, start);
    for (let index = 1; index <= 40; index += 1)
      await documents.insertOne(keyDocument(`key ${index}`, { value }));
    await until(() => fast.events.length === 41, "the other reader has all");
    while (keys.length < 20) await read();
    await documents.insertOne(keyDocument("key 41"));
    while (keys.length < 42) await read();
    expect(keys).toEqual(Array.from({ length: 42 }, (_, index) => `key ${index}`));
    await slow.return();
  });

  it("comes back after all have gone and the stream was closed", async () => {
    const watched = await openWatched({ idleMs: 50 });
    const { documents, source, client } = watched;
    const start = await now(watched);
    const reading = follow(source, start);
    await documents.insertOne(keyDocument("a"));
    await until(() => reading.events.length === 1, "the reader has it");
    expect(await openChangeStreams(client, documents)).toBeGreaterThan(0);
    reading.stop();
    await until(
      async () => (await openChangeStreams(client, documents)) === 0,
      "the server has no cursor of it any more",
    );
    await documents.insertOne(keyDocument("b"));
    expect(told(await eventsAfter(watched, start))).toEqual(["jobs/a: created", "jobs/b: created"]);
  });

  it("leaves nothing open on the server when the engine closes, wherever it is", async () => {
    const { uri, client, documents } = await openWatched();
    for (let round = 0; round < 30; round += 1) {
      const watched = await openWatched({ uri });
      const start = await now(watched);
      // It catches up, and the stream that all share has just been asked for.
      const reading = follow(watched.source, start);
      for (let turn = 0; turn < round % 10; turn += 1) await new Promise(setImmediate);
      await watched.closeWatch();
      expect(await reading.ended).toMatchObject({ reason: "SHUTTING_DOWN" });
    }
    await until(
      async () => (await openChangeStreams(client, documents)) === 0,
      "the server has no cursor of it any more",
    );
  });

  it("hears of a place that nobody was ever given that it is lost", async () => {
    const watched = await openWatched();
    const { history } = await now(watched);
    for (const position of ["0000000000000001", "000000000000000100", "00000000000000012B022C0100296E04"]) {
      expect(await follow(watched.source, { history, position }).ended, position).toMatchObject(LOST);
    }
  });

  it("finds the place that a quiet history has, soon", async () => {
    const watched = await openWatched();
    const { documents, source, uri } = watched;
    await documents.insertOne(keyDocument("a"));
    const before = await now(watched);
    await documents.insertOne(keyDocument("b"));
    const later = await openWatched({ uri });
    const at = await now(later);
    const startedAt = performance.now();
    const readings = [follow(source, before), follow(later.source, before)];
    for (const reading of readings) {
      await until(() => (reading.batches.at(-1)?.position ?? "") >= at.position, "it is there", 5_000);
      expect(told(reading.events)).toEqual(["jobs/b: created"]);
    }
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });

  it("asks for the end of the history together with others who ask at the same time", async () => {
    const watched = await openWatched();
    const { client, documents } = watched;
    await now(watched);
    const questions = async (): Promise<number> => {
      const filter = { op: "query", ns: documents.namespace, "command.readConcern.level": "majority" };
      return client.db().collection("system.profile").countDocuments(filter);
    };
    await client.db().command({ profile: 2 });
    const points = await Promise.all(Array.from({ length: 500 }, () => now(watched)));
    await client.db().command({ profile: 0 });
    const asked = await questions();
    expect(asked).toBeGreaterThan(0);
    // One may have been under way for the first, and another one for all others.
    expect(asked).toBeLessThanOrEqual(2);
    expect(new Set(points.map(({ history }) => history)).size).toBe(1);
  });

  it("of a standalone hears how to make a replica set of it", async () => {
    await using standalone = await startStandalone();
    const { source } = await openWatched({ uri: standalone.uri.replace("/?", "/test?") });
    const refused = {
      kind: "FAILED_PRECONDITION",
      reason: "REPLICA_SET_REQUIRED",
      message: expect.stringMatching(/--replSet rs0 and run rs\.initiate\(\)/) as string,
    };
    await expect(source.now({ previous: false })).rejects.toMatchObject(refused);
    const selector = { datasetId: undefined, storeName: undefined, key: undefined, keyPrefix: "" };
    await expect(source.snapshot(selector, true)).rejects.toMatchObject(refused);
    expect(await follow(source, { history: "any", position: "0".repeat(16) }).ended).toMatchObject(refused);
  });
});
