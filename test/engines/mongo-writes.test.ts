import { setTimeout as delay } from "node:timers/promises";
import { type Collection, type Document, Double, MongoClient, ObjectId } from "mongodb";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { type MongoEngine, openMongoEngine } from "../../src/engines/mongo/engine.js";
import type { SetResult } from "../../src/store/engine.js";
import { fromValueBson, toValueBson } from "../../src/value/plain.js";
import { leavesOut } from "../support/left-out.js";
import { createDatabase, type TestDatabase } from "../support/mongodb/test-database.js";

const scope = { collection: "execution_store", datasetId: "" };
const FIELDS = [
  "_id",
  "store_name",
  "key",
  "value",
  "dataset_id",
  "created_at",
  "updated_at",
  "expires_at",
  "policy",
];

function write(value: unknown, ttlMs?: number) {
  return { value: toValueBson(value), ttlMs, policy: "persist" as const };
}

describe.skipIf(leavesOut("mongodb"))("writes", () => {
  let database: TestDatabase;
  let client: MongoClient;
  let documents: Collection;
  let engine: MongoEngine;

  beforeAll(async () => {
    database = await createDatabase();
    client = await MongoClient.connect(database.uri);
    documents = client.db().collection(scope.collection);
    engine = await openMongoEngine({ uri: database.uri, collections: [scope.collection] });
  });
  afterAll(async () => {
    await engine?.close();
    await client?.close();
    await database?.drop();
  });
  beforeEach(async () => {
    await documents.deleteMany({});
  });

  const set = (key: string, value: unknown, ttlMs?: number): Promise<SetResult> =>
    engine.setKey(scope, "s", key, write(value, ttlMs));
  const get = async (key: string): Promise<unknown> => {
    const found = await engine.getKey(scope, "s", key, true);
    return found?.value && fromValueBson(found.value);
  };

  test("documents have exactly FiftyOne's fields, whichever way they were written", async () => {
    await set("alone", 1);
    await Promise.all(Array.from({ length: 20 }, (_, index) => set(`together${index}`, index, 60_000)));
    await engine.batchSetKeys(scope, "s", [{ key: "batch", ...write(1) }]);
    await engine.setKeyIfAbsent(scope, "s", "absent", write(1));
    await engine.createStore(scope, "s", undefined, "persist");
    const found = await documents.find().toArray();
    expect(found).toHaveLength(24);
    for (const document of found) expect(Object.keys(document).toSorted()).toEqual(FIELDS.toSorted());
  });

  test("fields that another program added stay, whatever is in them", async () => {
    await set("a", 1);
    const extra = new Map([["_bsontype", "Foo"]]);
    await documents.updateOne({ key: "a" }, { $set: { extra } });
    expect((await set("a", 2)).created).toBe(false);
    expect((await engine.updateTtl(scope, "s", "a", 60_000))?.policy).toBe("evict");
    expect(await get("a")).toBe(2);
    expect(await documents.countDocuments({ "extra._bsontype": "Foo" })).toBe(1);
  });

  test("sets of one key that come together happen one after another", async () => {
    const results = await Promise.all(Array.from({ length: 30 }, (_, index) => set("a", index)));
    const times = results.map(({ document }) => document.updatedAt);
    expect(times.toSorted((a, b) => a - b)).toEqual(times);
    expect(new Set(times).size).toBe(30);
    expect(results.filter(({ created }) => created)).toHaveLength(1);
    expect(await get("a")).toBe(29);
  });

  test("a document held by another program's transaction delays nobody else for long", async () => {
    await Promise.all(Array.from({ length: 10 }, (_, index) => set(`k${index}`, 0)));
    const session = client.startSession();
    onTestFinished(() => session.endSession());
    session.startTransaction();
    await documents.updateOne(
      { store_name: "s", key: "k3", dataset_id: null },
      { $set: { value: "held" } },
      { session },
    );
    const settled: number[] = [];
    const all = Array.from({ length: 10 }, async (_, index) => {
      await set(`k${index}`, 1);
      settled.push(index);
    });
    await Promise.all(all.filter((_, index) => index !== 3));
    expect(settled).not.toContain(3);
    await session.commitTransaction();
    await all[3];
    expect(await get("k3")).toBe(1);
  });

  test("a group whose documents expire meanwhile revives none of them", async () => {
    for (let round = 0; round < 10; round++) {
      const first = await Promise.all(
        Array.from({ length: 40 }, (_, index) => set(`k${index}`, 0, 20 + index)),
      );
      const second = await Promise.all(
        Array.from({ length: 40 }, (_, index) => set(`k${index}`, 1, 20 + index)),
      );
      for (const [index, { created, document }] of second.entries()) {
        const before = first[index]?.document;
        if (created) expect(document.createdAt).toBe(document.updatedAt);
        else expect(document.createdAt).toBe(before?.createdAt);
        if (document.updatedAt >= Number(before?.expiresAt)) expect(created).toBe(true);
      }
    }
  });

  test("a counter is exact though another program changes it without leaving a new version", async () => {
    await set("n", 0);
    let foreign = 0;
    let done = false;
    const other = (async () => {
      while (!done) {
        await documents.updateOne({ store_name: "s", key: "n" }, { $inc: { value: 1 } });
        foreign += 1;
        // Or nobody else would ever come through.
        await delay(10);
      }
    })();
    let own = 0;
    while (own < 50) {
      const found = await engine.getKey(scope, "s", "n", true);
      if (found?.value === undefined) throw new Error("the counter is gone");
      const next = toValueBson(Number(fromValueBson(found.value)) + 1);
      const change = { value: next, ttlMs: undefined, policy: undefined };
      const { set: won } = await engine.compareAndSetKey(scope, "s", "n", { value: found.value }, change);
      if (won) own += 1;
    }
    done = true;
    await other;
    expect(await get("n")).toBe(own + foreign);
  });

  test("exactly one of many creates, also where an expired document is still there", async () => {
    const past = new Date(Date.now() - 100);
    await documents.insertOne({
      store_name: "s",
      key: "lock",
      dataset_id: null,
      value: "old",
      created_at: past,
      updated_at: past,
      expires_at: past,
      policy: "evict",
    });
    const results = await Promise.all(
      Array.from({ length: 32 }, (_, index) => engine.setKeyIfAbsent(scope, "s", "lock", write(index))),
    );
    const winners = results.filter(({ set: won }) => won);
    expect(winners).toHaveLength(1);
    expect(new Set(results.map(({ document }) => document?.etag)).size).toBe(1);
    expect(results[Number(await get("lock"))]?.set).toBe(true);
  });

  test.each<[string, Document]>([
    [
      "without dataset_id and policy",
      { value: 1, created_at: new Date(5), updated_at: new Date(5), expires_at: null },
    ],
    ["with an embedded _id", { _id: { store_name: "s", "2": 1, "1": 2 }, value: 1, updated_at: new Date(5) }],
    ["with a text as _id", { _id: "hand-made", value: 1 }],
    ["with a double as _id", { _id: new Double(1), value: 1 }],
    [
      "with times that are no dates",
      { value: 1, created_at: "today", updated_at: [1, 2], expires_at: "never" },
    ],
    ["without a value", {}],
    ["with more fields", { value: 1, mine: { a: 1 }, created_at: new Date(5), updated_at: new Date(5) }],
    ["with a time far ahead", { value: 1, updated_at: new Date(Date.now() + 500) }],
  ])("a document %s is read, set, compared and deleted", async (_name, document) => {
    const original = { store_name: "s", key: "odd", ...document };
    await documents.insertOne({ ...original });
    const first = await engine.getKey(scope, "s", "odd", true);
    expect(first?.value && fromValueBson(first.value)).toBe("value" in document ? 1 : null);
    const byEtag = await engine.compareAndSetKey(
      scope,
      "s",
      "odd",
      { etag: first?.etag ?? "" },
      {
        value: toValueBson(2),
        ttlMs: undefined,
        policy: undefined,
      },
    );
    expect(byEtag.set).toBe(true);
    expect(await engine.getKey(scope, "s", "odd", false)).toEqual(byEtag.document);
    const byValue = await engine.compareAndSetKey(
      scope,
      "s",
      "odd",
      { value: toValueBson(2) },
      {
        value: toValueBson(3),
        ttlMs: 60_000,
        policy: undefined,
      },
    );
    expect(byValue.set).toBe(true);
    const [alone] = await Promise.all([set("odd", 4), set("other", 4), set("another", 4)]);
    expect(alone.created).toBe(false);
    expect(await engine.getKey(scope, "s", "odd", false)).toEqual(alone.document);
    const again = await set("odd", 5);
    expect(again.document.updatedAt).toBeGreaterThan(alone.document.updatedAt);
    const stored = await documents.findOne({ store_name: "s", key: "odd" });
    expect(stored).toMatchObject({ value: 5, ...(document["mine"] && { mine: { a: 1 } }) });
    const ttl = await engine.updateTtl(scope, "s", "odd", 50_000);
    expect(ttl?.policy).toBe("evict");
    expect(await engine.deleteKey(scope, "s", "odd", ttl?.etag)).toBe(true);
    expect(await documents.countDocuments({ store_name: "s", key: "odd" })).toBe(0);
  });

  test("a re-created key is later than what was deleted, also right after many changes", async () => {
    for (let round = 0; round < 20; round++) {
      let last = 0;
      for (let index = 0; index < 5; index++) last = (await set("a", index)).document.updatedAt;
      expect(await engine.deleteKey(scope, "s", "a", undefined)).toBe(true);
      const { document, created } = await set("a", "new");
      expect(created).toBe(true);
      expect(document.updatedAt).toBeGreaterThan(last);
    }
  });

  test("an id that is no ObjectId, nor null, is another program's", async () => {
    await documents.insertOne({ store_name: "s", key: "theirs", dataset_id: "text", value: 1 });
    await documents.insertOne({ store_name: "s", key: "ours", dataset_id: new ObjectId(), value: 1 });
    expect(await get("theirs")).toBeUndefined();
    expect((await set("theirs", 2)).created).toBe(true);
    expect(await documents.countDocuments({ key: "theirs" })).toBe(2);
  });
});
