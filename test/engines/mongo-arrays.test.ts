import { type Collection, type Document, MongoClient, ObjectId } from "mongodb";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type MongoEngine, openMongoEngine } from "../../src/engines/mongo/engine.js";
import { DEFAULT_COLLECTION } from "../../src/store/limits.js";
import { toValueBson } from "../../src/value/plain.js";
import { FIRST, globalStoresOf, keysOf, NONE, persist, storesOf } from "../conformance/world.js";
import { leavesOut } from "../support/left-out.js";
import { createDatabase, type TestDatabase } from "../support/mongodb/test-database.js";
import { fiftyOneDocument } from "./mongo-collection.js";

const CONTEXTS = [
  ["the empty context", NONE],
  ["a dataset's context", FIRST],
] as const;
const TAKEN = { reason: "KEY_TAKEN", kind: "FAILED_PRECONDITION", outcome: "NOT_APPLIED" };
/** Above what the driver gets decoded, so that it is written in the other way. */
const LARGE = toValueBson("x".repeat(300 * 1024));

describe.skipIf(leavesOut("mongodb"))("documents of other programs with an array for a name", () => {
  let database: TestDatabase;
  let client: MongoClient;
  let documents: Collection;
  let engine: MongoEngine;

  beforeAll(async () => {
    database = await createDatabase();
    client = await MongoClient.connect(database.uri);
    documents = client.db().collection(DEFAULT_COLLECTION);
    engine = await openMongoEngine({ uri: database.uri, collections: [DEFAULT_COLLECTION] });
  });
  afterAll(async () => {
    await engine?.close();
    await client?.close();
    await database?.drop();
  });

  describe.each(CONTEXTS)("in %s", (_title, scope) => {
    const dataset = scope.datasetId === "" ? null : ObjectId.createFromHexString(scope.datasetId);
    const later = new Date(Date.now() + 3_600_000);
    const evictable = { policy: "evict", expires_at: later };
    const document = (changes: Document): Document =>
      fiftyOneDocument(scope.datasetId, "jobs", "a", { ...evictable, ...changes });
    let before: Document[];

    beforeEach(async () => {
      await documents.deleteMany({});
      await documents.insertMany([
        document({ key: ["a", "b"] }),
        document({ key: ["__store__"] }),
        document({ store_name: ["stores"], key: "a" }),
        document({ store_name: "contexts", dataset_id: [dataset] }),
      ]);
      before = await documents.find().toArray();
    });

    test("are not seen", async () => {
      expect(await engine.getKey(scope, "jobs", "a", true)).toBeUndefined();
      expect(await engine.batchGetKeys(scope, "jobs", ["a"], { withValue: true, maxBytes: 1e6 })).toEqual({
        documents: [undefined],
      });
      for (const store of ["jobs", "stores", "contexts"]) {
        expect(await engine.hasStore(scope, store)).toBe(false);
        expect(await engine.hasStoreGlobal(scope.collection, store)).toBe(false);
        expect(await engine.getStore(scope, store)).toBeUndefined();
        expect(await engine.countKeys(scope, store, "")).toBe(0);
        expect(await keysOf(engine, scope, store)).toEqual([]);
      }
      expect(await storesOf(engine, scope)).toEqual([]);
      expect(await engine.countStores(scope)).toBe(0);
      expect(await globalStoresOf(engine)).toEqual([]);
      expect(await engine.countStoresGlobal(scope.collection)).toBe(0);
      // Beside a key, too.
      await engine.setKey(scope, "jobs", "c", persist());
      expect(await engine.countKeys(scope, "jobs", "")).toBe(1);
      expect(await storesOf(engine, scope)).toEqual(["jobs"]);
    });

    test("are left alone", async () => {
      for (const [store, key] of [
        ["jobs", "a"],
        ["stores", "a"],
        ["contexts", "a"],
      ] as const) {
        expect(await engine.deleteKey(scope, store, key, undefined)).toBe(false);
        expect(await engine.batchDeleteKeys(scope, store, [key, "b"])).toBe(0);
        expect(await engine.updateTtl(scope, store, key, 1000)).toBeUndefined();
        expect(await engine.updatePolicy(scope, store, key, "evict")).toBeUndefined();
        expect(await engine.deleteStore(scope, store)).toBe(0);
        expect(await engine.deleteStoreGlobal(scope.collection, store)).toEqual({ stores: 0, documents: 0 });
      }
      expect(await engine.clearCache(scope, undefined)).toBe(0);
      expect(await engine.cleanup(scope)).toBe(0);
      expect(await documents.find().toArray()).toEqual(before);
    });

    test("and with their keys taken, sets say so at once", async () => {
      const large = { value: LARGE, ttlMs: undefined, policy: "persist" as const };
      for (const [store, key] of [
        ["jobs", "b"],
        ["stores", "a"],
        ["contexts", "a"],
      ] as const) {
        await expect(engine.setKey(scope, store, key, persist())).rejects.toMatchObject(TAKEN);
        await expect(engine.setKey(scope, store, key, large)).rejects.toMatchObject(TAKEN);
        await expect(engine.setKeyIfAbsent(scope, store, key, persist())).rejects.toMatchObject(TAKEN);
        const batch = engine.batchSetKeys(scope, store, [{ key, ...persist() }]);
        // Of the batch as a whole: other parts of it may have been written.
        await expect(batch).rejects.toMatchObject({ ...TAKEN, outcome: "UNKNOWN" });
      }
      await expect(engine.createStore(scope, "jobs", undefined, "persist")).rejects.toMatchObject(TAKEN);
      expect(await documents.find().toArray()).toEqual(before);
    });
  });
});
