import { type Collection, type Document, MongoClient, ObjectId } from "mongodb";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openMongoEngine } from "../../src/engines/mongo/engine.js";
import type { Engine } from "../../src/store/engine.js";
import {
  DEFAULT_COLLECTION,
  MAX_KEY_BYTES,
  MAX_PAGE_BYTES,
  MAX_STORE_NAME_BYTES,
} from "../../src/store/limits.js";
import {
  documentsOf,
  FIRST,
  globalStoresOf,
  inUtf8Order,
  keysOf,
  NONE,
  persist,
  plain,
  storesOf,
  valueOf,
} from "../conformance/world.js";
import { leavesOut } from "../support/left-out.js";
import { createDatabase, type TestDatabase } from "../support/mongodb/test-database.js";
import { createRemoteEngine } from "../support/remote-engine.js";
import { startTestServer, type TestServer } from "../support/test-server.js";

const LONG_STORE = "s".repeat(300);
const NUL_STORE = "a\0b";
const STORES = inUtf8Order([LONG_STORE, `${LONG_STORE}t`, NUL_STORE, "a", "\u{1F600}".repeat(64)]);
const AT_LIMIT = `${"k".repeat(MAX_KEY_BYTES - 4)}\u{1F600}`;
const KEYS = inUtf8Order([
  "k".repeat(5000),
  `${"k".repeat(5000)}l`,
  "a\0b",
  "a\0",
  "a",
  "ab",
  AT_LIMIT,
  // The last character begins within the limit and ends beyond it.
  `${"k".repeat(MAX_KEY_BYTES - 2)}\u{1F600}`,
  "\u{1F600}".repeat(2000),
]);

/** A document as FiftyOne writes it. */
function foreign(datasetId: string, storeName: string, key: string, policy = "persist"): Document {
  return {
    store_name: storeName,
    key,
    value: key === "__store__" ? { about: "it" } : key.length,
    dataset_id: datasetId === "" ? null : ObjectId.createFromHexString(datasetId),
    created_at: new Date(1_700_000_000_000),
    updated_at: new Date(1_700_000_000_000),
    expires_at: null,
    policy,
  };
}

let database: TestDatabase;
let client: MongoClient;
let collection: Collection;
let server: TestServer;
let engines: { direct: Engine; wire: Engine };

async function open(): Promise<void> {
  database = await createDatabase();
  client = await new MongoClient(database.uri).connect();
  collection = client.db(database.name).collection(DEFAULT_COLLECTION);
  const direct = await openMongoEngine({ uri: database.uri, collections: [DEFAULT_COLLECTION] });
  server = await startTestServer({ engine: direct });
  engines = { direct, wire: createRemoteEngine({ address: server.address }) };
}

async function close(): Promise<void> {
  await engines.wire.close();
  await server.close();
  await client.close();
  await database.drop();
}

describe.skipIf(leavesOut("mongodb"))("names over the limits, by another writer,", () => {
  beforeEach(open);
  afterEach(close);

  describe.each(["direct", "wire"] as const)("through the engine: %s", (path) => {
    it("are listed and counted, in pages of one, and under every prefix", async () => {
      const engine = engines[path];
      await collection.insertMany(STORES.map((name) => foreign("", name, "a")));
      await collection.insertMany(KEYS.map((key) => foreign(FIRST.datasetId, LONG_STORE, key)));
      expect(await storesOf(engine, NONE, { limit: 1 })).toEqual(STORES);
      expect(await engine.countStores(NONE)).toBe(STORES.length);
      expect(await globalStoresOf(engine, DEFAULT_COLLECTION, { limit: 1 })).toEqual([
        ...STORES.map((name) => `/${name}`),
        `${FIRST.datasetId}/${LONG_STORE}`,
      ]);
      expect(await keysOf(engine, FIRST, LONG_STORE, { limit: 1 })).toEqual(KEYS);
      const documents = await documentsOf(engine, FIRST, LONG_STORE, { limit: 1 });
      expect(documents.map(({ key }) => key)).toEqual(KEYS);
      for (const prefix of [...KEYS, "a\0", "k".repeat(2000)]) {
        const expected = KEYS.filter((key) => key.startsWith(prefix));
        expect(await keysOf(engine, FIRST, LONG_STORE, { prefix, limit: 1 })).toEqual(expected);
        expect(await engine.countKeys(FIRST, LONG_STORE, prefix)).toBe(expected.length);
      }
      for (const prefix of STORES) {
        const expected = STORES.filter((name) => name.startsWith(prefix));
        expect(await storesOf(engine, NONE, { prefix, limit: 1 })).toEqual(expected);
      }
    });

    it("are read, one by one and in batches", async () => {
      const engine = engines[path];
      for (const store of [LONG_STORE, NUL_STORE]) {
        await collection.insertMany([...KEYS, "__store__"].map((key) => foreign("", store, key)));
        expect(await engine.hasStore(NONE, store)).toBe(true);
        expect(await engine.hasStoreGlobal(DEFAULT_COLLECTION, store)).toBe(true);
        expect(await engine.getStore(NONE, store)).toMatchObject({ storeName: store, datasetId: "" });
        for (const key of KEYS) {
          const document = await engine.getKey(NONE, store, key, true);
          expect(document).toMatchObject({ storeName: store, key, createdAt: 1_700_000_000_000 });
          expect(plain(document?.value)).toEqual(plain(valueOf(key.length)));
          expect(await engine.hasKey(NONE, store, key)).toBe(true);
          expect(await engine.hasKey(NONE, store, `${key}x`)).toBe(false);
        }
        const asked = ["missing", ...KEYS];
        const values = { withValue: true, maxBytes: MAX_PAGE_BYTES };
        const { documents } = await engine.batchGetKeys(NONE, store, asked, values);
        expect(documents.map((document) => document?.key)).toEqual([undefined, ...KEYS]);
      }
    });

    it("are deleted, one by one, in batches, and with their stores", async () => {
      const engine = engines[path];
      const [first = "", second = "", ...rest] = KEYS;
      for (const store of [LONG_STORE, NUL_STORE]) {
        await collection.insertMany(KEYS.map((key) => foreign("", store, key)));
        const etag = (await engine.getKey(NONE, store, first, false))?.etag ?? "";
        expect(await engine.deleteKey(NONE, store, first, `${etag}x`)).toBe(false);
        expect(await engine.deleteKey(NONE, store, first, etag)).toBe(true);
        expect(await engine.deleteKey(NONE, store, second, undefined)).toBe(true);
        expect(await engine.batchDeleteKeys(NONE, store, [first, ...rest])).toBe(rest.length);
        expect(await engine.hasStore(NONE, store)).toBe(false);
        await collection.insertMany([foreign("", store, first), foreign("", store, second, "evict")]);
        expect(await engine.clearCache(NONE, store)).toBe(1);
        expect(await keysOf(engine, NONE, store)).toEqual([first]);
        expect(await engine.deleteStore(NONE, store)).toBe(1);
        await collection.insertMany(["", FIRST.datasetId].map((id) => foreign(id, store, second)));
        const both = { stores: 2, documents: 2 };
        expect(await engine.deleteStoreGlobal(DEFAULT_COLLECTION, store)).toEqual(both);
      }
      expect(await collection.countDocuments()).toBe(0);
    });
  });

  it("are found, however long, by many calls at once, and neighbours with them", async () => {
    const { direct } = engines;
    const keys = Array.from({ length: 24 }, (_, index) => String(index).padStart(1_000_000, "k"));
    for (const key of ["small", ...keys]) await collection.insertOne(foreign("", "s", key));
    const asked = keys.flatMap((key) => [key, "small"]);
    const read = await Promise.all(asked.map((key) => direct.getKey(NONE, "s", key, true)));
    expect(read.map((document) => document?.key)).toEqual(asked);
    const known = await Promise.all(asked.map((key) => direct.hasKey(NONE, "s", key)));
    expect(known.every(Boolean)).toBe(true);
    const { items, next } = await direct.listKeys(NONE, "s", { prefix: "", after: undefined, limit: 1000 });
    expect(items).toEqual(inUtf8Order(keys).slice(0, items.length));
    expect(items.length).toBeLessThan(10);
    expect(next).toBe(items.at(-1));
  });

  it("come in pages that the longest of them can be gone on behind", async () => {
    const { wire } = engines;
    const huge = "k".repeat(14 * 1024 * 1024);
    await collection.insertOne(foreign("", "s", huge));
    await collection.insertOne(foreign("", "s", "z"));
    expect(await keysOf(wire, NONE, "s")).toEqual([huge, "z"]);
    expect(await wire.deleteKey(NONE, "s", huge, undefined)).toBe(true);
    expect(await keysOf(wire, NONE, "s")).toEqual(["z"]);
  });

  it("are not written through the service", async () => {
    const { wire } = engines;
    await collection.insertMany([
      foreign("", "s", "k".repeat(5000)),
      foreign("", LONG_STORE, "a"),
      foreign("", NUL_STORE, "a\0b"),
    ]);
    const before = await collection.find().toArray();
    const write = { ...persist(), ttlMs: 1000 };
    for (const [store, key] of [
      ["s", "k".repeat(5000)],
      [LONG_STORE, "a"],
      [NUL_STORE, "a"],
      ["s", "a\0b"],
    ] as const) {
      const refused = { kind: "INVALID_ARGUMENT", outcome: "NOT_APPLIED" };
      await expect(wire.setKey(NONE, store, key, write)).rejects.toMatchObject(refused);
      await expect(wire.setKeyIfAbsent(NONE, store, key, write)).rejects.toMatchObject(refused);
      await expect(wire.batchSetKeys(NONE, store, [{ key, ...write }])).rejects.toMatchObject(refused);
      await expect(wire.updateTtl(NONE, store, key, 1000)).rejects.toMatchObject(refused);
      await expect(wire.updatePolicy(NONE, store, key, "evict")).rejects.toMatchObject(refused);
    }
    expect(await collection.find().toArray()).toEqual(before);
  });

  it("within the limits to the last byte are written, too", async () => {
    const { wire } = engines;
    const store = `${"s".repeat(MAX_STORE_NAME_BYTES - 4)}\u{1F600}`;
    await collection.insertOne(foreign("", store, AT_LIMIT));
    expect((await wire.setKey(NONE, store, AT_LIMIT, persist())).created).toBe(false);
    expect(await keysOf(wire, NONE, store)).toEqual([AT_LIMIT]);
  });
});
