import { setTimeout as delay } from "node:timers/promises";
import type { Document } from "mongodb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { MongoConnection, MongoEvent } from "../../src/engines/mongo/connection.js";
import { ensureIndexes } from "../../src/engines/mongo/indexes.js";
import { isStoreError } from "../../src/store/errors.js";
import { leavesOut } from "../support/left-out.js";
import { openConnection } from "../support/mongodb/open-connection.js";
import {
  type DeploymentOptions,
  startReplicaSet,
  startStandalone,
  type TestStandalone,
} from "../support/mongodb/replica-set.js";
import { testDatabase } from "../support/mongodb/test-database.js";
import { until } from "../support/until.js";

const COLLECTION = "things";
const SLOWER = "some queries are slower, FiftyOne's among them";

/** As FiftyOne 1.22 makes them, and ours. */
const EXPECTED = [
  { v: 2, key: { _id: 1 }, name: "_id_" },
  { v: 2, key: { store_name: 1, key: 1, dataset_id: 1 }, name: "unique_store_index", unique: true },
  { v: 2, key: { dataset_id: 1, store_name: 1, key: 1 }, name: "dataset_store_key" },
  { v: 2, key: { expires_at: 1 }, name: "expires_at", expireAfterSeconds: 0 },
  ...["store_name", "key", "dataset_id", "updated_at", "policy"].map((name) => ({
    v: 2,
    key: { [name]: 1 },
    name,
  })),
];

async function open(uri: string): Promise<MongoConnection> {
  return (await openConnection(uri)).connection;
}

async function openFresh(): Promise<MongoConnection> {
  const { uri } = await testDatabase();
  return open(uri);
}

/** Makes the indexes; answers what it told of, and which can be used. */
async function ensure(connection: MongoConnection) {
  const events: MongoEvent[] = [];
  const ready = await ensureIndexes(connection, COLLECTION, (event) => events.push(event));
  return { events, ready };
}

function indexesOf(connection: MongoConnection): Promise<Document[]> {
  return connection.db.collection(COLLECTION).listIndexes().toArray();
}

const names = (indexes: readonly Document[]): string[] => indexes.map(({ name }) => String(name)).toSorted();

describe.skipIf(leavesOut("mongodb"))("the indexes of a collection", () => {
  it("are FiftyOne's and ours, once, and can be used by their names", async () => {
    const connection = await openFresh();
    const { events, ready } = await ensure(connection);
    expect(events).toEqual([]);
    expect(await indexesOf(connection)).toEqual(EXPECTED);
    expect(ready).toEqual(new Map(EXPECTED.slice(1).map(({ name }) => [name, name])));
    expect(await ensure(connection)).toEqual({ events: [], ready });
    expect(await indexesOf(connection)).toEqual(EXPECTED);
  });

  it("are made by several servers at once", async () => {
    const { uri } = await testDatabase();
    const connections = await Promise.all(Array.from({ length: 6 }, () => open(uri)));
    const told = await Promise.all(connections.map(ensure));
    expect(told.flatMap(({ events }) => events)).toEqual([]);
    const [first] = connections;
    if (first !== undefined) expect(names(await indexesOf(first))).toEqual(names(EXPECTED));
  });

  it.each<[string, Document, RegExp, "warn" | "error"]>([
    [
      "expires_at",
      { key: { expires_at: 1 } },
      /^index expires_at of collection things is not as expected \({"key":{"expires_at":1}}\): expired documents are found slowly, and stay on disk while no server runs; drop it, and the server makes it anew$/,
      "warn",
    ],
    [
      "unique_store_index",
      { key: { store_name: 1, key: 1, dataset_id: 1 } },
      /: one key may come to have several documents, .*; drop it/,
      "error",
    ],
    ["dataset_store_key", { key: { dataset_id: -1 } }, /reads the whole collection; drop it/, "warn"],
    ["policy", { key: { policy: -1 } }, /some queries are slower/, "warn"],
    ["key", { key: { key: 1 }, sparse: true }, /"sparse":true/, "warn"],
    ["store_name", { key: { store_name: 1 }, collation: { locale: "en" } }, /"collation":/, "warn"],
    ["updated_at", { key: { updated_at: 1 }, hidden: true }, /"hidden":true/, "warn"],
  ])("tell of another definition of %s, and make the rest", async (name, spec, message, level) => {
    const connection = await openFresh();
    await connection.db.command({ createIndexes: COLLECTION, indexes: [{ name, ...spec }] });
    const { events, ready } = await ensure(connection);
    expect(events).toEqual([{ level, message: expect.stringMatching(message) }]);
    expect(names(await indexesOf(connection))).toEqual(names(EXPECTED));
    expect(ready.has(name)).toBe(false);
    expect(ready.size).toBe(EXPECTED.length - 2);
  });

  it("use one of another name, and say that FiftyOne will not", async () => {
    const connection = await openFresh();
    await connection.db.collection(COLLECTION).createIndex({ policy: 1 });
    await connection.db.collection(COLLECTION).createIndex({ dataset_id: 1, store_name: 1, key: 1 });
    const { events, ready } = await ensure(connection);
    expect(events).toEqual([
      {
        level: "warn",
        message: expect.stringMatching(/^index policy_1 of .* under the name policy, will not start/),
      },
    ]);
    expect(ready.get("policy")).toBe("policy_1");
    expect(ready.get("dataset_store_key")).toBe("dataset_id_1_store_name_1_key_1");
    expect(await indexesOf(connection)).toHaveLength(EXPECTED.length);
  });

  it("say loudly that keys have several documents, and make the rest", async () => {
    const connection = await openFresh();
    const document = { store_name: "s", key: "k" };
    await connection.db
      .collection(COLLECTION)
      .insertMany([{ ...document }, { ...document, dataset_id: null }]);
    const { events, ready } = await ensure(connection);
    expect(events).toEqual([
      {
        level: "error",
        message: expect.stringMatching(
          /^collection things has no index unique_store_index, since there are keys with several documents \(remove all but one/,
        ),
      },
    ]);
    expect(ready.has("unique_store_index")).toBe(false);
    expect(await indexesOf(connection)).toHaveLength(EXPECTED.length - 1);
  });

  it("are made one by one if the server refuses one of them", async () => {
    const connection = await openFresh();
    // No collection has more than 64.
    const many = Array.from({ length: 60 }, (_, index) => ({ name: `i${index}`, key: { [`f${index}`]: 1 } }));
    await connection.db.command({ createIndexes: COLLECTION, indexes: many });
    const { events } = await ensure(connection);
    expect(events).toHaveLength(5);
    expect(events[0]).toEqual({
      level: "warn",
      message: `collection things has no index store_name, since MongoDB refuses to make it with error 67 (see its log): ${SLOWER}`,
    });
    expect(names(await indexesOf(connection))).toEqual(
      expect.arrayContaining(["dataset_store_key", "expires_at", "unique_store_index"]),
    );
  });

  it("are built however often the connection is given up meanwhile", async () => {
    const { uri } = await testDatabase();
    const seeding = await open(uri);
    await fill(seeding, 100_000);
    const connection = await open(`${uri}${uri.includes("?") ? "&" : "?"}socketTimeoutMS=60`);
    const { events, ready } = await ensure(connection);
    expect(events.filter((event) => "level" in event && event.level !== "info")).toEqual([]);
    await until(() => ready.size === EXPECTED.length - 1, "all indexes can be used", 30_000);
    expect(names(await indexesOf(seeding))).toEqual(names(EXPECTED));
  });

  it.each([
    ["standalone", startStandalone],
    ["replica set", (options: DeploymentOptions) => startReplicaSet({ ...options, members: 1 })],
  ])("wait for the unique one that another server builds, on a %s", async (_, start) => {
    await using deployment = await start({ args: ["--setParameter", "enableTestCommands=1"] });
    const [first, second] = [await open(deployment.uri), await open(deployment.uri)];
    await first.db.collection(COLLECTION).insertOne({ store_name: "s", key: "k", dataset_id: null });
    const hang = (mode: string): Promise<Document> =>
      first.client.db("admin").command({ configureFailPoint: "hangAfterStartingIndexBuild", mode });
    await hang("alwaysOn");
    const building = ensure(first);
    // Listed, it is not there yet.
    await until(
      async () => names(await indexesOf(second)).includes("unique_store_index"),
      "it is being built",
    );
    const waiting = ensure(second);
    // Longer than the start waits for the other ones.
    const outcome = await Promise.race([waiting.then(() => "goes on"), delay(4500, "waits")]);
    await hang("off");
    expect(outcome).toBe("waits");
    for (const { ready, events } of await Promise.all([building, waiting])) {
      expect(ready.get("unique_store_index")).toBe("unique_store_index");
      expect(events).toEqual([]);
    }
  });

  it("do not hold up the start on a large collection, but for the unique one", async () => {
    const connection = await openFresh();
    await fill(connection, 400_000);
    const events: MongoEvent[] = [];
    const startedAt = performance.now();
    const ready = await ensureIndexes(connection, COLLECTION, (event) => events.push(event));
    expect(ready.has("unique_store_index")).toBe(true);
    // Slow enough for this to mean something: else the test needs more documents.
    expect(performance.now() - startedAt).toBeGreaterThan(3000);
    expect(ready.has("dataset_store_key")).toBe(false);
    expect(events).toEqual([
      {
        level: "info",
        message: expect.stringMatching(/^building indexes of collection things: .*until that is done/),
      },
    ]);
    await until(() => events.length === 2, "the indexes are built", 60_000);
    expect(events[1]).toEqual({ level: "info", message: "the indexes of collection things are built" });
    expect(ready.get("dataset_store_key")).toBe("dataset_store_key");
  }, 120_000);
});

async function fill(connection: MongoConnection, count: number): Promise<void> {
  // In the server, which is many times faster than sending them.
  await connection.db
    .aggregate([
      { $documents: [{ i: { $range: [0, count] } }] },
      { $unwind: "$i" },
      {
        $project: {
          _id: 0,
          store_name: { $concat: ["s", { $toString: { $mod: ["$i", 100] } }] },
          key: { $concat: ["k", { $toString: "$i" }] },
          dataset_id: null,
          value: "$i",
          policy: "persist",
          created_at: "$$NOW",
          updated_at: "$$NOW",
          expires_at: null,
        },
      },
      { $out: COLLECTION },
    ])
    .toArray();
}

describe.skipIf(leavesOut("mongodb"))("a user who may not make indexes", () => {
  const users = [
    { name: "reader", password: "p", roles: [{ role: "read", db: "x" }] },
    { name: "stranger", password: "p", roles: [{ role: "read", db: "y" }] },
  ];
  let standalone: TestStandalone;
  const uriOf = (name: string): string => standalone.uriFor({ name, password: "p" }).replace("/?", "/x?");
  beforeAll(async () => {
    standalone = await startStandalone({ users });
  });
  afterAll(() => standalone.close());

  it("is told what is slower and what is not guaranteed, and served", async () => {
    const connection = await open(uriOf("reader"));
    const { events, ready } = await ensure(connection);
    expect(ready.size).toBe(0);
    const since = "since this user may not make it (give it the role readWrite)";
    expect(events).toEqual([
      {
        level: "error",
        message: expect.stringContaining(`has no index unique_store_index, ${since}: one key may`),
      },
      {
        level: "warn",
        message: `collection things has no index dataset_store_key, expires_at, store_name, key, dataset_id, updated_at, policy, ${since}: listing and counting stores and keys reads the whole collection; expired documents are found slowly, and stay on disk while no server runs; ${SLOWER}`,
      },
    ]);
  });

  it("is told nothing if somebody else has made them", async () => {
    const owner = await open(standalone.uri.replace("/?", "/x?"));
    await ensure(owner);
    const { events, ready } = await ensure(await open(uriOf("reader")));
    expect(events).toEqual([]);
    expect(ready.size).toBe(EXPECTED.length - 1);
  });

  it("is refused if not even reading is allowed, and told to name a user if there is none", async () => {
    const reason = "DATABASE_UNUSABLE";
    await expect(ensure(await open(uriOf("stranger")))).rejects.toMatchObject({
      reason,
      message: `MongoDB at ${standalone.host} does not let this user read the database "x"; give it the role readWrite there`,
    });
    const nobody = await open(`mongodb://${standalone.host}/x?directConnection=true`);
    const error: unknown = await ensure(nobody).catch((thrown: unknown) => thrown);
    expect(isStoreError(error, reason)).toBe(true);
    expect(error).toMatchObject({
      message: `MongoDB at ${standalone.host} wants a user; name one in the URI`,
    });
  });
});
