import {
  Binary,
  BSON,
  Code,
  type Collection,
  type Document,
  Int32,
  Long,
  MaxKey,
  MinKey,
  MongoClient,
  ObjectId,
  Timestamp,
} from "mongodb";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Archive } from "../../src/store/transfer.js";
import { COLLECTION, inOrder, openLmdb, openMongo, readAll, transferAll } from "../support/archives.js";
import { leavesOut } from "../support/left-out.js";
import { testDatabase } from "../support/mongodb/test-database.js";

interface Opened {
  readonly archive: Archive;
  readonly collection: Collection;
}

/** A database with both a copy's view of it and the driver's own. */
async function open(): Promise<Opened> {
  const { uri, name } = await testDatabase();
  const client = await new MongoClient(uri).connect();
  onTestFinished(() => client.close());
  return { archive: await openMongo(uri), collection: client.db(name).collection(COLLECTION) };
}

/** A document as older versions of FiftyOne wrote it. */
function old(key: unknown, more: Document = {}): Document {
  return { store_name: "store", key, value: 1, ...more };
}

const NAME = { datasetId: "", storeName: "store", key: "key" };

/** Of a type of binary data that the driver does not write as it was. */
function oldBinary(number: number): Binary {
  return new Binary(Buffer.from([4, 0, 0, 0, 0, 0, number >> 8, number & 255]), 2);
}

function oldBinaries(count: number): Binary[] {
  return Array.from({ length: count }, (_, index) => oldBinary(index));
}

describe.skipIf(leavesOut("mongodb"))("MongoDB", () => {
  test("reads each document once, whatever types the _ids have, in many parts", async () => {
    const { archive, collection } = await open();
    const ids: unknown[] = [
      new MinKey(),
      ...Array.from({ length: 700 }, (_, index) => index),
      2.5,
      Long.fromNumber(2 ** 40),
      ...Array.from({ length: 700 }, (_, index) => `id-${index}`),
      { a: 1, b: { c: 2 } },
      new Map([
        ["2", 1],
        ["1", 2],
      ]),
      ...Array.from({ length: 900 }, () => new ObjectId()),
      new Binary(Buffer.from("x")),
      new Binary(Buffer.from([0, 0, 0, 0]), 2),
      true,
      new Date(5),
      new Timestamp({ t: 1, i: 2 }),
      new Code("x"),
      new MaxKey(),
    ];
    await collection.insertMany(ids.map((_id, index) => old(`key-${index}`, { _id })));
    await collection.updateOne({ _id: { $eq: null } } as Document, { $set: old("null") }, { upsert: true });
    const keys = (await readAll(archive)).map(({ key }) => key);
    expect(keys).toHaveLength(ids.length + 1);
    expect(new Set(keys).size).toBe(ids.length + 1);
  });

  test("goes on behind _ids that the driver cannot name, few or many, at the end or before others", async () => {
    const { archive, collection } = await open();
    const numbers = Array.from({ length: 998 }, (_, index) => index);
    const later = Array.from({ length: 300 }, () => new ObjectId());
    for (const ids of [
      oldBinaries(1),
      [...numbers, ...oldBinaries(2), ...later],
      oldBinaries(2_300),
      [...numbers, ...oldBinaries(1_100), ...later],
    ]) {
      await collection.deleteMany({});
      await collection.insertMany(ids.map((_id, index) => old(`key-${index}`, { _id })));
      const keys = (await readAll(archive)).map(({ key }) => key);
      expect(keys).toHaveLength(ids.length);
      expect(new Set(keys).size).toBe(ids.length);
    }
  });

  test("an expired document that is still there counts as missing", async () => {
    const { archive, collection } = await open();
    const document = {
      ...NAME,
      createdAt: 1,
      updatedAt: 2,
      expiresAt: undefined,
      policy: "persist",
      value: BSON.serialize({ value: "new" }),
    } as const;
    await collection.insertOne(old("key", { expires_at: new Date(0), dataset_id: null }));
    expect(await archive.write(COLLECTION, [document], "compare")).toEqual(["missing"]);
    expect(await archive.write(COLLECTION, [document], "add")).toEqual(["created"]);
    expect(inOrder(await readAll(archive))).toEqual(inOrder([document]));
  });

  test("what replaces a newer document is acknowledged when the clock is past that", async () => {
    const { archive, collection } = await open();
    const ahead = Date.now() + 500;
    await collection.insertOne(old("key", { updated_at: new Date(ahead), dataset_id: null }));
    const document = {
      ...NAME,
      createdAt: 1,
      updatedAt: 2,
      expiresAt: undefined,
      policy: "persist",
    } as const;
    const value = BSON.serialize({ value: 1 });
    expect(await archive.write(COLLECTION, [{ ...document, value }], "overwrite")).toEqual(["replaced"]);
    expect(Date.now()).toBeGreaterThan(ahead);
  });

  test("understands documents by other writers, and counts those that it leaves alone", async () => {
    const { archive, collection } = await open();
    const dataset = new ObjectId();
    const hour = new Date(Date.now() + 3_600_000);
    // Or the database removes what has expired before it is counted.
    await collection.dropIndex("expires_at");
    await collection.insertMany([
      old("bare"),
      old("null", {
        dataset_id: null,
        created_at: new Date(5),
        updated_at: null,
        expires_at: null,
        policy: "evict",
      }),
      old("expiring", { expires_at: hour }),
      old("no value", { value: undefined }),
      old("__store__", { value: null, dataset_id: dataset }),
      old("gone", { expires_at: new Date(Date.now() - 1000) }),
      old(5),
      old(["several"]),
      old("odd context", { dataset_id: "abc" }),
      { nothing: "known" },
    ]);
    const { archive: lmdb } = await openLmdb();
    let foreign = 0;
    for await (const part of archive.read(COLLECTION)) foreign += part.foreign;
    expect(foreign).toBe(4);
    expect(await archive.size(COLLECTION)).toEqual({ documents: 9, expired: 1 });
    expect(await transferAll(archive, lmdb, "add")).toEqual({ created: 5 });
    const base = { datasetId: "", storeName: "store", createdAt: 0, updatedAt: 0, expiresAt: undefined };
    const value = BSON.serialize({ value: new Int32(1) });
    expect(inOrder(await readAll(lmdb))).toEqual(
      inOrder([
        { ...base, key: "bare", policy: "persist", value },
        { ...base, key: "null", createdAt: 5, updatedAt: 5, policy: "evict", value },
        { ...base, key: "expiring", expiresAt: hour.getTime(), policy: "evict", value },
        { ...base, key: "no value", policy: "persist", value: BSON.serialize({ value: null }) },
        { ...base, key: undefined, datasetId: dataset.toHexString(), policy: "persist", value: undefined },
      ]),
    );
  });

  test("writes documents exactly as FiftyOne does, with no field more", async () => {
    const { archive, collection } = await open();
    const document = {
      datasetId: "65f0c0ffee65f0c0ffee65f0",
      storeName: "store",
      key: "key",
      createdAt: 1,
      updatedAt: 2,
      expiresAt: Date.now() + 3_600_000,
      policy: "evict",
      value: BSON.serialize({ value: { a: new Long(1) } }),
    } as const;
    const own = {
      ...document,
      datasetId: "",
      key: undefined,
      value: undefined,
      expiresAt: undefined,
    };
    expect(await archive.write(COLLECTION, [document, own], "add")).toEqual(["created", "created"]);
    const stored = await collection.find({}, { promoteValues: false, sort: { dataset_id: -1 } }).toArray();
    expect(stored).toEqual([
      {
        _id: expect.any(ObjectId) as ObjectId,
        store_name: "store",
        key: "key",
        value: { a: new Long(1) },
        dataset_id: new ObjectId(document.datasetId),
        created_at: new Date(1),
        updated_at: new Date(2),
        expires_at: new Date(document.expiresAt),
        policy: "evict",
      },
      {
        _id: expect.any(ObjectId) as ObjectId,
        store_name: "store",
        key: "__store__",
        value: null,
        dataset_id: null,
        created_at: new Date(1),
        updated_at: new Date(2),
        expires_at: null,
        policy: "evict",
      },
    ]);
    // In place of another's version: one document, the same `_id`.
    await collection.updateOne({ key: "key" }, { $set: { value: 7 } });
    expect(await archive.write(COLLECTION, [document], "overwrite")).toEqual(["replaced"]);
    expect(await collection.findOne({ key: "key" }, { promoteValues: false })).toEqual(stored[0]);
  });

  test("moves everything between two databases, values over a page's size included", async () => {
    const source = await open();
    const target = await open();
    const large = Array.from({ length: 5 }, (_, index) =>
      old(`large-${index}`, { value: "x".repeat(9_000_000) }),
    );
    await source.collection.insertMany([...large, old("largest", { value: "x".repeat(16_770_000) })]);
    expect(await transferAll(source.archive, target.archive, "add")).toEqual({ created: 6 });
    expect(await transferAll(source.archive, target.archive, "compare")).toEqual({ same: 6 });
    // A document whose few fields more would not fit is refused, not cut or lost.
    await source.collection.insertOne(old("too large", { value: "x".repeat(16_777_216 - 90) }));
    expect(await transferAll(source.archive, target.archive, "add")).toEqual({ same: 6, refused: 1 });
  });

  test("many copies at once write every document once", async () => {
    const source = await open();
    const { archive, collection } = await open();
    await source.collection.insertMany(Array.from({ length: 500 }, (_, index) => old(`key-${index}`)));
    const done = await Promise.all(
      Array.from({ length: 6 }, () => transferAll(source.archive, archive, "overwrite")),
    );
    expect(done.reduce((sum, { created = 0 }) => sum + created, 0)).toBe(500);
    expect(done.reduce((sum, { same = 0 }) => sum + same, 0)).toBe(2500);
    expect(await collection.countDocuments()).toBe(500);
  });
});
