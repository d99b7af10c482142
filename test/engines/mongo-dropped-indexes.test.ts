import { BSON, type Document } from "mongodb";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { openCollection } from "../../src/engines/mongo/collection.js";
import type { MongoConnection, MongoEvent } from "../../src/engines/mongo/connection.js";
import { openMongoEngine } from "../../src/engines/mongo/engine.js";
import { OTHER_INDEXES, UNIQUE_INDEX } from "../../src/engines/mongo/index-definitions.js";
import { watchIndexes } from "../../src/engines/mongo/index-watch.js";
import { openIndexes } from "../../src/engines/mongo/indexes.js";
import type { Write } from "../../src/store/engine.js";
import { leavesOut } from "../support/left-out.js";
import { failure, openConnection } from "../support/mongodb/open-connection.js";
import { type DeploymentOptions, startReplicaSet, startStandalone } from "../support/mongodb/replica-set.js";
import { testDatabase } from "../support/mongodb/test-database.js";
import { until } from "../support/until.js";

const COLLECTION = "things";
const EXPECTED = ["_id_", UNIQUE_INDEX.name, ...OTHER_INDEXES.map(({ name }) => name)].toSorted();

async function open(uri: string): Promise<MongoConnection> {
  return (await openConnection(uri)).connection;
}

async function openFresh(): Promise<MongoConnection> {
  const { uri } = await testDatabase();
  return open(uri);
}

/** The names of those that are there. */
async function namesOf(connection: MongoConnection): Promise<string[]> {
  const indexes = await connection.db.collection(COLLECTION).listIndexes().toArray();
  return indexes.map(({ name }) => String(name)).toSorted();
}

/** Opens what keeps them, and starts to look. */
async function keep(connection: MongoConnection, intervalMs = 50) {
  const events: MongoEvent[] = [];
  const onEvent = (event: MongoEvent): void => void events.push(event);
  const indexes = await openIndexes(connection, COLLECTION, onEvent);
  const watch = watchIndexes({ connection, collection: COLLECTION, indexes, onEvent, intervalMs });
  onTestFinished(() => watch.close());
  return { events, indexes };
}
const messages = (events: readonly MongoEvent[]): string[] => events.map(({ message }) => message);

describe.skipIf(leavesOut("mongodb"))("indexes that somebody drops", () => {
  it.each(["unique_store_index", "dataset_store_key", "expires_at", "policy"])(
    "are made again, and told of: %s",
    async (name) => {
      const connection = await openFresh();
      const { events, indexes } = await keep(connection);
      await connection.db.collection(COLLECTION).dropIndex(name);
      await until(() => events.length === 2, "it is dropped and made");
      expect(events).toEqual([
        {
          level: name === "unique_store_index" ? "error" : "warn",
          message: expect.stringMatching(
            `^somebody dropped indexes of collection things: ${name}; they are made again, and until`,
          ),
        },
        { level: "info", message: `collection things has its indexes again: ${name}` },
      ]);
      expect(await namesOf(connection)).toEqual(EXPECTED);
      expect(indexes.ready.size).toBe(EXPECTED.length - 1);
    },
  );

  it.each([
    ["standalone", startStandalone],
    ["replica set", (options: DeploymentOptions) => startReplicaSet({ ...options, members: 1 })],
  ])("are all made again after the collection was dropped, on a %s", async (_, start) => {
    await using deployment = await start({});
    const connection = await open(deployment.uri);
    const { events } = await keep(connection);
    await connection.db.collection(COLLECTION).drop();
    await until(() => events.length === 2, "they are dropped and made");
    expect(await namesOf(connection)).toEqual(EXPECTED);
  });

  it("are made at once when a call names one, however seldom they are looked for", async () => {
    const connection = await openFresh();
    const { events, indexes } = await keep(connection, 600_000);
    const collection = openCollection(connection, COLLECTION, indexes.ready);
    await collection.documents.insertOne({ store_name: "s", key: "k" });
    await collection.documents.dropIndex("dataset_store_key");
    const read = (): Promise<Document | null> =>
      connection.run(undefined, "read", () => collection.documents.findOne({}, collection.listIndex));
    const found = await Promise.all(Array.from({ length: 20 }, read));
    expect(found.every((document) => document?.["key"] === "k")).toBe(true);
    await until(() => events.length === 2, "it is made");
    expect(collection.listIndex).toEqual({ hint: "dataset_store_key" });
    await collection.documents.dropIndex("dataset_store_key");
    await connection.run(undefined, "write", () => collection.documents.deleteMany({}, collection.listIndex));
    expect(await read()).toBeNull();
  });

  it("are made although somebody drops one under construction", async () => {
    await using deployment = await startReplicaSet({
      members: 1,
      args: ["--setParameter", "enableTestCommands=1"],
    });
    const connection = await open(deployment.uri);
    const { events, indexes } = await keep(connection, 600_000);
    const documents = connection.db.collection(COLLECTION);
    await documents.insertOne({ store_name: "s", key: "k" });
    await documents.dropIndex("policy");
    // As who drops it, or the collection, at that moment ends its construction.
    await connection.client.db("admin").command({
      configureFailPoint: "failCommand",
      mode: { times: 1 },
      data: { failCommands: ["createIndexes"], errorCode: 276 },
    });
    await indexes.look();
    expect(await namesOf(connection)).toEqual(EXPECTED);
    expect(messages(events).at(-1)).toBe("collection things has its indexes again: policy");
  });

  it("leave a refusal for another reason what it is", async () => {
    const connection = await openFresh();
    const { indexes } = await keep(connection);
    const collection = openCollection(connection, COLLECTION, indexes.ready);
    await collection.documents.insertOne({ store_name: "s", key: "k" });
    let calls = 0;
    const refused = connection.run(undefined, "read", () => {
      calls += 1;
      return collection.documents.findOne({}, { hint: "no such index" });
    });
    expect(await failure(refused)).toMatchObject({ reason: "INTERNAL" });
    expect(calls).toBeGreaterThan(1);
  });

  it("are made once the duplicates in the way are gone, and not tried at every look", async () => {
    const connection = await openFresh();
    const { events, indexes } = await keep(connection, 600_000);
    const documents = connection.db.collection(COLLECTION);
    await documents.drop();
    await documents.insertMany([
      { store_name: "s", key: "k" },
      { store_name: "s", key: "k" },
    ]);
    await indexes.look();
    await indexes.look();
    expect(messages(events)).toEqual([
      expect.stringMatching(/^somebody dropped indexes of collection things: unique_store_index, /),
      expect.stringMatching(/^collection things has no index unique_store_index, since there are keys/),
      expect.stringMatching(/^collection things has its indexes again: dataset_store_key, /),
    ]);
    await documents.deleteOne({});
    await indexes.look();
    expect(await namesOf(connection)).not.toContain("unique_store_index");
    const now = performance.now();
    const clock = vi.spyOn(performance, "now").mockReturnValue(now + 3_600_000);
    onTestFinished(() => clock.mockRestore());
    await indexes.look();
    clock.mockRestore();
    expect(messages(events).at(-1)).toBe("collection things has the index unique_store_index now");
    expect(await namesOf(connection)).toEqual(EXPECTED);
  });
});

describe.skipIf(leavesOut("mongodb"))("an engine whose collection is changed", () => {
  const scope = { collection: COLLECTION, datasetId: "" };
  const WRITE: Write = {
    value: BSON.serialize({ value: "v" }),
    ttlMs: undefined,
    policy: "persist",
  };

  async function openEngine() {
    const { uri } = await testDatabase();
    const engine = await openMongoEngine({ uri, collections: [COLLECTION] });
    onTestFinished(() => engine.close());
    return { engine, connection: await open(uri) };
  }
  const page = { prefix: "", after: undefined, limit: 10 };

  it("answers every call after an index was dropped", async () => {
    const { engine, connection } = await openEngine();
    const calls: readonly [string, () => Promise<unknown>, unknown][] = [
      ["listKeys", () => engine.listKeys(scope, "s", page), { items: ["k"], next: undefined }],
      ["listStores", () => engine.listStores(scope, page), { items: ["s"], next: undefined }],
      ["countKeys", () => engine.countKeys(scope, "s", ""), 1],
      ["countStores", () => engine.countStores(scope), 1],
      ["hasStore", () => engine.hasStore(scope, "s"), true],
      ["deleteStore", () => engine.deleteStore(scope, "s"), 1],
      ["cleanup", () => engine.cleanup(scope), 0],
    ];
    await engine.setKey(scope, "s", "k", WRITE);
    for (const [name, call, expected] of calls) {
      await until(
        async () => (await namesOf(connection)).includes("dataset_store_key"),
        "the index is there",
      );
      await connection.db.collection(COLLECTION).dropIndex("dataset_store_key");
      expect([name, await call()]).toEqual([name, expected]);
    }
  });

  it("makes its indexes soon after the collection was dropped and written to", async () => {
    const { engine, connection } = await openEngine();
    await connection.db.collection(COLLECTION).drop();
    await engine.setKey(scope, "s", "k", WRITE);
    // Far sooner than it looks for them by itself.
    await until(
      async () => (await namesOf(connection)).join() === EXPECTED.join(),
      "the indexes are there",
      4_000,
    );
    const created = await Promise.all(
      Array.from({ length: 16 }, () => engine.setKeyIfAbsent(scope, "s", "new", WRITE)),
    );
    expect(created.filter(({ set }) => set)).toHaveLength(1);
    expect(await engine.hasStore(scope, "s")).toBe(true);
  });
});
