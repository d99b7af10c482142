import type { CommandStartedEvent, Document } from "mongodb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { countKeys } from "../../src/engines/mongo/count-keys.js";
import * as deletions from "../../src/engines/mongo/deletions.js";
import * as reads from "../../src/engines/mongo/reads.js";
import * as stores from "../../src/engines/mongo/stores.js";
import { DEFAULT_COLLECTION, MAX_PAGE_BYTES } from "../../src/store/limits.js";
import { FIRST, NONE, SECOND } from "../conformance/world.js";
import { leavesOut } from "../support/left-out.js";
import { type BareCollection, fiftyOneDocument, insertAll, openBareCollection } from "./mongo-collection.js";

const STORES = 9;
const OTHER_STORES = ["store-004-other", "store-009-other"];
const KEYS = 10_000;
const COMMANDS = new Set(["find", "aggregate", "distinct", "count", "delete"]);
/** What a driver adds to a command and explain() does not take. */
const OF_SESSIONS = new Set([
  "lsid",
  "txnNumber",
  "$clusterTime",
  "$db",
  "maxTimeMS",
  "readConcern",
  "writeConcern",
]);
/** A page far from the beginning. */
const PAGE = { prefix: "", after: "key-005000", limit: 100 };

interface Cost {
  readonly commands: number;
  /** Index entries looked at. */
  readonly keys: number;
  /** Documents fetched. */
  readonly documents: number;
}

function storeAt(index: number): string {
  return `store-${String(index).padStart(3, "0")}`;
}

function keyAt(index: number): string {
  return `key-${String(index).padStart(6, "0")}`;
}

/** Two contexts with stores of the same names, and one with stores of its own between them in the order of names. */
function* threeContexts(): Generator<Document> {
  const later = new Date(Date.now() + 3_600_000);
  for (const { datasetId } of [NONE, FIRST, SECOND]) {
    const names = Array.from({ length: STORES }, (_, store) => storeAt(store));
    for (const storeName of datasetId === SECOND.datasetId ? OTHER_STORES : names) {
      for (let key = 0; key < KEYS; key += 1) {
        const changes = key % 2 === 0 ? {} : { expires_at: later, policy: "evict" };
        yield fiftyOneDocument(datasetId, storeName, keyAt(key), changes);
      }
    }
  }
}

/** Adds up the figures of the stages that have any; those of inner pipelines stand beside their stage. */
function add(total: { keys: number; documents: number }, explained: Document): void {
  const { executionStats, stages } = explained;
  if (executionStats !== undefined) {
    total.keys += Number(executionStats.totalKeysExamined);
    total.documents += Number(executionStats.totalDocsExamined);
  }
  for (const stage of stages ?? []) {
    if (stage.$cursor !== undefined) add(total, stage.$cursor);
    else if (stage.$lookup !== undefined) {
      total.keys += Number(stage.totalKeysExamined);
      total.documents += Number(stage.totalDocsExamined);
    }
  }
}

/**
 * What the server says of the very commands that a call sent.
 *
 * @param restore brings back what the call changed, before the server is asked
 */
async function costOn(
  { connection }: BareCollection,
  call: () => Promise<unknown>,
  restore: () => Promise<void> = async () => undefined,
): Promise<Cost> {
  const sent: Document[] = [];
  const listen = ({ commandName, command }: CommandStartedEvent): void => {
    if (!COMMANDS.has(commandName)) return;
    sent.push(Object.fromEntries(Object.entries(command).filter(([field]) => !OF_SESSIONS.has(field))));
  };
  connection.client.on("commandStarted", listen);
  try {
    await call();
  } finally {
    connection.client.off("commandStarted", listen);
  }
  await restore();
  const total = { keys: 0, documents: 0 };
  for (const command of sent) {
    add(total, await connection.db.command({ explain: command, verbosity: "executionStats" }));
  }
  expect(sent.length).toBeGreaterThan(0);
  return { commands: sent.length, ...total };
}

describe.skipIf(leavesOut("mongodb"))("what reads cost among 200,000 documents", () => {
  let bare: BareCollection;

  beforeAll(async () => {
    bare = await openBareCollection(DEFAULT_COLLECTION);
    await insertAll(bare.documents, threeContexts());
    // The first one also makes sure that the primary is still one.
    const target = { scope: NONE, storeName: storeAt(3), key: keyAt(777) };
    await reads.openKeyReads(bare.collection).getKey(target, false, undefined);
  }, 300_000);
  afterAll(() => bare?.close());

  const costOf = (call: () => Promise<unknown>): Promise<Cost> => costOn(bare, call);

  describe.each([
    ["the empty context", NONE],
    ["a dataset's context", FIRST],
  ])("in %s", (_title, scope) => {
    test("GetKey and HasKey fetch one document", async () => {
      const keyReads = reads.openKeyReads(bare.collection);
      const target = { scope, storeName: storeAt(3), key: keyAt(777) };
      for (const withValue of [true, false]) {
        const cost = await costOf(async () =>
          expect(await keyReads.getKey(target, withValue, undefined)).toBeDefined(),
        );
        expect(cost.commands).toBe(1);
        expect(cost.documents).toBe(1);
        expect(cost.keys).toBeLessThanOrEqual(2);
      }
    });

    test("ListKeys and ListValues look at a page", async () => {
      const values = { withValue: false, maxBytes: MAX_PAGE_BYTES };
      const calls = [
        async () => reads.listKeys(bare.collection, scope, storeAt(5), PAGE, undefined),
        async () => reads.listValues(bare.collection, scope, storeAt(5), { ...PAGE, ...values }, undefined),
      ];
      for (const call of calls) {
        const cost = await costOf(async () => expect((await call()).items.length).toBe(PAGE.limit));
        expect(cost.documents).toBeLessThanOrEqual(PAGE.limit + 1);
        expect(cost.keys).toBeLessThanOrEqual(PAGE.limit + 5);
      }
    });

    test("CountKeys looks at the keys that it counts, and at no document", async () => {
      const cost = await costOf(async () =>
        expect(await countKeys(bare.collection, scope, storeAt(5), "key-0012", undefined)).toBe(100),
      );
      expect(cost.keys).toBeLessThanOrEqual(110);
      expect(cost.documents).toBe(0);
    });

    test("HasStore and GetStore look at a document or two", async () => {
      for (const read of [stores.hasStore, stores.getStore]) {
        const cost = await costOf(() => read(bare.collection, scope, storeAt(4), undefined));
        expect(cost.keys).toBeLessThanOrEqual(6);
        expect(cost.documents).toBeLessThanOrEqual(2);
      }
    });

    test("ListStores and CountStores look at about as many keys as there are stores, and at no document", async () => {
      const page = { prefix: "", after: undefined, limit: 1_000 };
      const calls = [
        async () => (await stores.listStores(bare.collection, scope, page, undefined)).items.length,
        async () => stores.countStores(bare.collection, scope, undefined),
      ];
      for (const call of calls) {
        const cost = await costOf(async () => expect(await call()).toBe(STORES));
        expect(cost.keys).toBeLessThanOrEqual(2 * STORES);
        expect(cost.documents).toBe(0);
      }
    });
  });

  test("what goes over all contexts looks at about as many keys as there are stores", async () => {
    const page = { prefix: "", after: undefined, limit: 1_000 };
    const calls = [
      async () => (await stores.listStoresGlobal(bare.collection, page, undefined)).items.length,
      async () => stores.countStoresGlobal(bare.collection, undefined),
    ];
    for (const call of calls) {
      const cost = await costOf(async () => expect(await call()).toBe(2 * STORES + OTHER_STORES.length));
      expect(cost.keys).toBeLessThanOrEqual(8 * STORES);
      expect(cost.documents).toBe(0);
    }
    const cost = await costOf(() => stores.hasStoreGlobal(bare.collection, storeAt(8), undefined));
    expect(cost.documents).toBe(1);
  });
});

describe.skipIf(leavesOut("mongodb"))("what 10,000 stores cost", () => {
  const count = 10_000;
  let bare: BareCollection;

  function* manyStores(): Generator<Document> {
    for (const { datasetId } of [NONE, FIRST]) {
      for (let store = 0; store < count; store += 1) {
        yield fiftyOneDocument(datasetId, `store-${String(store).padStart(6, "0")}`, "k");
      }
    }
  }

  beforeAll(async () => {
    bare = await openBareCollection(DEFAULT_COLLECTION);
    await insertAll(bare.documents, manyStores());
  }, 120_000);
  afterAll(() => bare?.close());

  test.each([
    ["the empty context", NONE],
    ["a dataset's context", FIRST],
  ])("CountStores takes at most a second in %s, and a page what the page has", async (_title, scope) => {
    const begun = performance.now();
    expect(await stores.countStores(bare.collection, scope, undefined)).toBe(count);
    expect(performance.now() - begun).toBeLessThan(1_000);
    const page = { prefix: "", after: "store-005000", limit: 50 };
    const sent: string[] = [];
    const listen = ({ commandName }: CommandStartedEvent): void => void sent.push(commandName);
    bare.connection.client.on("commandStarted", listen);
    const { items, next } = await stores.listStores(bare.collection, scope, page, undefined);
    bare.connection.client.off("commandStarted", listen);
    expect(items.length).toBe(50);
    expect(next).toBe("store-005050");
    // Steps through the index, of at most four times as many entries.
    expect(sent.filter((name) => name === "find").length).toBeGreaterThan(0);
    expect(sent.length).toBeLessThan(10);
  });
});

describe.skipIf(leavesOut("mongodb"))("what deletions cost among 12,000 documents", () => {
  /** Keys of each store; the first one's are many slices. */
  const sizes = [5_000, 500, 500];
  const count = 6_000;
  let bare: BareCollection;

  beforeAll(async () => {
    bare = await openBareCollection(DEFAULT_COLLECTION);
    for (const { datasetId } of [NONE, FIRST]) await insertAll(bare.documents, threeStores(datasetId));
  });
  afterAll(() => bare?.close());

  function* threeStores(datasetId: string): Generator<Document> {
    for (const [store, size] of sizes.entries()) {
      for (let key = 0; key < size; key += 1) {
        yield fiftyOneDocument(datasetId, storeAt(store), keyAt(key), { policy: "evict" });
      }
    }
  }

  test.each([
    ["the empty context", NONE],
    ["a dataset's context", FIRST],
  ])(
    "ClearCache and Cleanup look at each document of %s twice, to name and to delete it",
    async (_title, scope) => {
      const restore = (): Promise<void> => insertAll(bare.documents, threeStores(scope.datasetId));
      const calls = [
        () => deletions.clearCache(bare.collection, scope, undefined, undefined),
        () => deletions.cleanup(bare.collection, scope, undefined),
      ];
      for (const call of calls) {
        const cost = await costOn(bare, async () => expect(await call()).toBe(count), restore);
        expect(cost.documents).toBeLessThanOrEqual(2.1 * count);
        expect(cost.keys).toBeLessThanOrEqual(2.5 * count);
      }
    },
  );
});
