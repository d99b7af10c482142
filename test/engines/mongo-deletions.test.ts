import { type Document, MongoClient } from "mongodb";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import * as deletions from "../../src/engines/mongo/deletions.js";
import { openMongoEngine } from "../../src/engines/mongo/engine.js";
import { DEFAULT_COLLECTION } from "../../src/store/limits.js";
import { evict, FIRST, NONE, persist, SECOND } from "../conformance/world.js";
import { leavesOut } from "../support/left-out.js";
import { startReplicaSet, type TestReplicaSet } from "../support/mongodb/replica-set.js";
import { until } from "../support/until.js";
import {
  type BareCollection,
  EXPIRED_CHANGES,
  fiftyOneDocument,
  insertAll,
  openBareCollection,
} from "./mongo-collection.js";

const MINUTE_MS = 60_000;

function* keys(count: number, changes: Document = {}, storeOf: (index: number) => string = () => "jobs") {
  for (let index = 0; index < count; index += 1) {
    yield fiftyOneDocument(FIRST.datasetId, storeOf(index), keyAt(index), changes);
  }
}

function document(key: string, changes: Document): Document {
  return fiftyOneDocument(FIRST.datasetId, "jobs", key, changes);
}

function keyAt(index: number): string {
  return `key-${String(index).padStart(6, "0")}`;
}

function longAt(index: number): string {
  return `${index} ${"k".repeat(100_000)}`;
}

describe.skipIf(leavesOut("mongodb"))("deletions of many over MongoDB", () => {
  let bare: BareCollection;

  beforeAll(async () => {
    bare = await openBareCollection(DEFAULT_COLLECTION);
  });
  afterAll(() => bare?.close());
  afterEach(() => bare.documents.deleteMany({}));

  const left = async (): Promise<string[]> => {
    const found = await bare.documents.find({}, { sort: { store_name: 1, key: 1 } }).toArray();
    return found.map((each) => `${each["store_name"]}/${each["key"]}`);
  };

  test("a deletion of 50,000 leaves what is rewritten or created meanwhile, and lets other calls through", async () => {
    const count = 50_000;
    const engine = await openMongoEngine({ uri: bare.uri, collections: [DEFAULT_COLLECTION] });
    try {
      await insertAll(bare.documents, keys(count, { policy: "evict" }));
      await engine.setKey(NONE, "others", "k", persist());
      const state = { running: true };
      const deletion = engine.clearCache(FIRST, undefined).finally(() => {
        state.running = false;
      });
      await until(async () => !(await engine.hasKey(FIRST, "jobs", keyAt(0))), "the first key is gone");
      const kept: string[] = [];
      const latencies: number[] = [];
      for (let index = count - 1; state.running && index > 0; index -= 401) {
        const begun = performance.now();
        await engine.getKey(NONE, "others", "k", true);
        latencies.push(performance.now() - begun);
        const { created } = await engine.setKey(FIRST, "jobs", keyAt(index), evict("new"));
        await engine.setKey(FIRST, "jobs", `new-${index}`, evict("new"));
        if (state.running && !created) kept.push(`jobs/${keyAt(index)}`);
        if (state.running) kept.push(`jobs/new-${index}`);
      }
      const deleted = await deletion;
      const remaining = new Set(await left());
      expect(kept.length).toBeGreaterThan(20);
      for (const name of kept) expect(remaining).toContain(name);
      for (const name of remaining) {
        const [, key = ""] = name.split("/");
        const found = await engine.getKey(FIRST, "jobs", key, true);
        if (found !== undefined) expect(Buffer.from(found.value ?? []).toString()).toContain("new");
      }
      expect(deleted).toBeLessThan(count);
      expect(deleted).toBeGreaterThanOrEqual(count - remaining.size);
      // Far from what the whole deletion takes, and even one slice of it, on a busy machine, too.
      const median = latencies.toSorted((a, b) => a - b)[Math.floor(latencies.length / 2)];
      expect(median).toBeLessThan(150);
    } finally {
      await engine.close();
    }
  }, 180_000);

  test.each([
    ["a store", () => deletions.deleteStore(bare.collection, FIRST, "jobs", undefined)],
    ["a context", () => deletions.cleanup(bare.collection, FIRST, undefined)],
    [
      "the stores of a name",
      () => deletions.deleteStoreGlobal(bare.collection, "jobs", undefined).then((all) => all.documents),
    ],
  ])("of %s takes what was there, whatever its dates say", async (_title, remove) => {
    const ahead = new Date(Date.now() + 5 * MINUTE_MS);
    const { updated_at: _, created_at: __, ...undated } = document("undated", {});
    await insertAll(bare.documents, [
      document("ahead", { updated_at: ahead, created_at: ahead }),
      document("text", { updated_at: "yesterday" }),
      document("number", { updated_at: 5, created_at: null }),
      document("null", { updated_at: null }),
      document("null and ahead", { updated_at: null, created_at: ahead }),
      document("far", { updated_at: new Date(8_640_000_000_000_000) }),
      document("by id", { _id: { "2": 1, "1": 2 } }),
      document("expired", EXPIRED_CHANGES),
      document("__store__", { value: { a: 1 } }),
      undated,
    ]);
    expect(await remove()).toBe(9);
    expect(await left()).toEqual(["jobs/expired"]);
    expect(await remove()).toBe(0);
  });

  test("what is created again is later than what was deleted, which was ahead of the clock", async () => {
    const engine = await openMongoEngine({ uri: bare.uri, collections: [DEFAULT_COLLECTION] });
    try {
      const ahead = Date.now() + 400;
      await insertAll(bare.documents, [
        fiftyOneDocument(FIRST.datasetId, "jobs", "k", { updated_at: new Date(ahead) }),
      ]);
      expect(await engine.deleteStore(FIRST, "jobs")).toBe(1);
      const again = await engine.setKey(FIRST, "jobs", "k", persist());
      expect(again.created).toBe(true);
      expect(again.document.updatedAt).toBeGreaterThan(ahead);
    } finally {
      await engine.close();
    }
  });

  test("clearCache leaves what is kept, of the same names, too", async () => {
    const documents = [];
    for (const storeName of ["a", "b"]) {
      for (const key of ["k", "l"]) {
        const evicted = (storeName === "a") === (key === "k");
        documents.push(
          fiftyOneDocument(FIRST.datasetId, storeName, key, { policy: evicted ? "evict" : "persist" }),
        );
      }
    }
    const { policy: _, ...old } = fiftyOneDocument(FIRST.datasetId, "old", "kept", {});
    const soon = { expires_at: new Date(Date.now() + MINUTE_MS) };
    const { policy: __, ...oldExpiring } = fiftyOneDocument(FIRST.datasetId, "old", "expiring", soon);
    await insertAll(bare.documents, [
      ...documents,
      old,
      oldExpiring,
      fiftyOneDocument(FIRST.datasetId, "old", "persist expiring", soon),
      fiftyOneDocument(SECOND.datasetId, "c", "k", { policy: "evict" }),
    ]);
    expect(await deletions.clearCache(bare.collection, FIRST, undefined, undefined)).toBe(4);
    expect(await left()).toEqual(["a/l", "b/k", "c/k", "old/kept"]);
  });

  test("a context of thousands of stores goes in slices, whole", async () => {
    await insertAll(
      bare.documents,
      keys(2_500, {}, (index) => `store-${Math.floor(index / 3)}`),
    );
    await insertAll(bare.documents, [fiftyOneDocument("", "store-1", "k")]);
    expect(await deletions.cleanup(bare.collection, FIRST, undefined)).toBe(2_500);
    expect(await left()).toEqual(["store-1/k"]);
  });

  test("the stores of a name go from all contexts, and are counted by context", async () => {
    const ids = ["", ...Array.from({ length: 1_200 }, (_, index) => index.toString(16).padStart(24, "0"))];
    await insertAll(bare.documents, [
      ...ids.map((id) => fiftyOneDocument(id, "jobs", "__store__", { value: null })),
      ...ids.slice(0, 300).map((id) => fiftyOneDocument(id, "jobs", "k")),
      ...ids.slice(0, 5).map((id) => fiftyOneDocument(id, "jobs", `expired ${id}`, EXPIRED_CHANGES)),
      fiftyOneDocument(SECOND.datasetId, "jobs", "k", EXPIRED_CHANGES),
      fiftyOneDocument(FIRST.datasetId, "others", "k"),
      fiftyOneDocument("", "jobs", "k", { dataset_id: "text" }),
    ]);
    expect(await deletions.deleteStoreGlobal(bare.collection, "jobs", undefined)).toEqual({
      stores: 1_201,
      documents: 1_501,
    });
    const live = await bare.documents.find({ expires_at: null }).toArray();
    expect(live.map((each) => [each["store_name"], each["dataset_id"]?.toString()])).toEqual([
      ["others", FIRST.datasetId],
      ["jobs", "text"],
    ]);
  });

  test("names over what one command holds go, too", async () => {
    // Those ahead of the clock are named with their versions.
    const ahead = new Date(Date.now() + MINUTE_MS);
    for (const changes of [{}, { updated_at: ahead }]) {
      for (const field of ["store_name", "key"]) {
        const many = Array.from({ length: 300 }, (_, index) =>
          document("k", { ...changes, [field]: longAt(index) }),
        );
        await insertAll(bare.documents, many);
        expect(await deletions.cleanup(bare.collection, FIRST, undefined)).toBe(300);
      }
    }
    expect(await bare.documents.countDocuments()).toBe(0);
  }, 60_000);

  test("what was written within the last second goes, whenever in it", async () => {
    const now = Date.now();
    const count = 3_000;
    for (let index = 0; index < count; index += 1000) {
      await insertAll(
        bare.documents,
        Array.from({ length: 1000 }, (_, at) =>
          document(keyAt(index + at), { updated_at: new Date(now - ((index + at) % 1500)) }),
        ),
      );
    }
    expect(await deletions.deleteStore(bare.collection, FIRST, "jobs", undefined)).toBe(count);
    expect(await left()).toEqual([]);
  });

  test("what appears meanwhile stays, though its time was taken before the deletion began", async () => {
    await insertAll(bare.documents, keys(20_000));
    const deletion = deletions.deleteStore(bare.collection, FIRST, "jobs", undefined);
    // Set under way: as one whose time is taken just before it is written.
    const underWay = new Date(Date.now() - 300);
    await until(async () => (await bare.documents.countDocuments()) < 20_000, "a slice is gone");
    await insertAll(bare.documents, [document("under way", { updated_at: underWay })]);
    expect(await deletion).toBe(20_000);
    expect(await left()).toEqual(["jobs/under way"]);
  });

  test("an abort leaves the rest, and a repetition takes it", async () => {
    await insertAll(bare.documents, keys(5_000));
    const controller = new AbortController();
    const reason = new Error("enough");
    const deletion = deletions.deleteStore(bare.collection, FIRST, "jobs", { signal: controller.signal });
    const ended = expect(deletion).rejects.toBe(reason);
    await until(async () => (await bare.documents.countDocuments()) < 5_000, "a slice is gone");
    controller.abort(reason);
    await ended;
    const rest = await bare.documents.countDocuments();
    expect(rest).toBeGreaterThan(0);
    expect(await deletions.deleteStore(bare.collection, FIRST, "jobs", undefined)).toBeLessThanOrEqual(rest);
    expect(await left()).toEqual([]);
  });
});

describe.skipIf(leavesOut("mongodb"))("a deletion that loses its answers", () => {
  let set: TestReplicaSet | undefined;
  let client: MongoClient | undefined;

  beforeAll(async () => {
    set = await startReplicaSet({ members: 1, args: ["--setParameter", "enableTestCommands=1"] });
    client = await MongoClient.connect(set.uri);
  }, 60_000);
  afterAll(async () => {
    await client?.close();
    await set?.close();
  });

  test.each([
    ["before the deletion", { failCommands: ["delete"], closeConnection: true }, true],
    [
      "after the deletion",
      { failCommands: ["delete"], writeConcernError: { code: 189, errmsg: "by the test" } },
      true,
    ],
    ["before every deletion", { failCommands: ["delete"], closeConnection: true }, false],
  ])(
    "%s",
    async (_title, data, once) => {
      if (set === undefined || client === undefined) throw new Error("there is no replica set");
      const documents = client.db("execution_store").collection(DEFAULT_COLLECTION);
      const engine = await openMongoEngine({ uri: set.uri, collections: [DEFAULT_COLLECTION] });
      const fail = (mode: unknown, what: Document = {}): Promise<Document> | undefined =>
        client?.db("admin").command({
          configureFailPoint: "failCommand",
          mode,
          data: { ...what, appName: "execution-store" },
        });
      try {
        await documents.deleteMany({});
        await insertAll(documents, keys(2_500));
        await fail(once ? { times: 1 } : "alwaysOn", data);
        if (once) {
          expect(await engine.deleteStore(FIRST, "jobs")).toBe(2_500);
          expect(await documents.countDocuments()).toBe(0);
        } else {
          const failure = { kind: "UNAVAILABLE", outcome: "UNKNOWN" };
          await expect(engine.deleteStore(FIRST, "jobs")).rejects.toMatchObject(failure);
          await fail("off");
          expect(await engine.deleteStore(FIRST, "jobs")).toBe(2_500);
        }
      } finally {
        await fail("off");
        await engine.close();
      }
    },
    60_000,
  );
});
