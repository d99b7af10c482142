import { type Document, Double, Long, ObjectId, Timestamp } from "mongodb";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { countKeys } from "../../src/engines/mongo/count-keys.js";
import * as stores from "../../src/engines/mongo/stores.js";
import type { Scope } from "../../src/store/document.js";
import type { GlobalCursor, PageRequest } from "../../src/store/engine.js";
import { FIRST, inUtf8Order, NONE, pagesOf, SECOND } from "../conformance/world.js";
import { leavesOut } from "../support/left-out.js";
import {
  type BareCollection,
  EXPIRED_CHANGES,
  fiftyOneDocument,
  insertAll,
  openBareCollection,
} from "./mongo-collection.js";

const CONTEXTS = [
  ["the empty context", NONE],
  ["a dataset's context", FIRST],
] as const;

describe.skipIf(leavesOut("mongodb"))("stores over MongoDB", () => {
  let bare: BareCollection;

  beforeAll(async () => {
    bare = await openBareCollection("execution_store");
  });
  afterAll(() => bare?.close());
  afterEach(() => bare.documents.deleteMany({}));

  const list = async (scope: Scope, limit = 1000, prefix = ""): Promise<string[][]> =>
    pagesOf((page: PageRequest<string>) => stores.listStores(bare.collection, scope, page, undefined), {
      limit,
      prefix,
    });
  const listGlobal = async (limit = 1000, prefix = ""): Promise<string[]> => {
    const pages = await pagesOf(
      (page: PageRequest<GlobalCursor>) => stores.listStoresGlobal(bare.collection, page, undefined),
      { limit, prefix },
    );
    return pages.flat().map(({ datasetId, storeName, own }) => `${datasetId}/${storeName}${own ? "*" : ""}`);
  };
  const count = (scope: Scope): Promise<number> => stores.countStores(bare.collection, scope, undefined);

  describe.each(CONTEXTS)("in %s", (_title, scope) => {
    const document = (storeName: string, key: string, changes: Document = {}): Document =>
      fiftyOneDocument(scope.datasetId, storeName, key, changes);

    test("a store ends with its last live document, removed or not", async () => {
      await insertAll(bare.documents, [
        document("all expired", "a", EXPIRED_CHANGES),
        document("all expired", "b", EXPIRED_CHANGES),
        document("first expired", "a", EXPIRED_CHANGES),
        document("first expired", "b"),
        document("own expired", "__store__", { ...EXPIRED_CHANGES, value: { a: 1 } }),
        document("own lives", "__store__", { value: { a: 1 } }),
        document("own lives", "a", EXPIRED_CHANGES),
        document("own went", "__store__", { ...EXPIRED_CHANGES, value: { a: 1 } }),
        document("own went", "a"),
      ]);
      const { collection } = bare;
      expect((await list(scope)).flat()).toEqual(["first expired", "own lives", "own went"]);
      expect(await count(scope)).toBe(3);
      expect(await stores.countStoresGlobal(collection, undefined)).toBe(3);
      const { datasetId } = scope;
      expect(await listGlobal()).toEqual([
        `${datasetId}/first expired`,
        `${datasetId}/own lives*`,
        `${datasetId}/own went`,
      ]);
      const exists = { "all expired": false, "first expired": true, "own expired": false, "own lives": true };
      for (const [storeName, expected] of Object.entries({ ...exists, "own went": true })) {
        expect(await stores.hasStore(collection, scope, storeName, undefined)).toBe(expected);
        expect(await stores.hasStoreGlobal(collection, storeName, undefined)).toBe(expected);
        const store = await stores.getStore(collection, scope, storeName, undefined);
        expect(store !== undefined).toBe(expected);
        expect(store?.own !== undefined).toBe(storeName === "own lives");
      }
    });

    test("keys are counted while they are live, removed or not", async () => {
      const { collection } = bare;
      const counted = (prefix = ""): Promise<number> => countKeys(collection, scope, "s", prefix, undefined);
      await insertAll(bare.documents, [
        document("s", "__store__", { value: null }),
        ...Array.from({ length: 20 }, (_, index) => document("s", `live ${index}`)),
        ...Array.from({ length: 30 }, (_, index) => document("s", `expired ${index}`, EXPIRED_CHANGES)),
        document("s", "number", { key: 5 }),
        document("t", "other store"),
        fiftyOneDocument(SECOND.datasetId, "s", "other context"),
      ]);
      expect(await counted()).toBe(20);
      expect(await counted("live 1")).toBe(11);
      expect(await counted("expired")).toBe(0);
      // Too many to be left out by name, and a document that is of no context.
      const many = Array.from({ length: 1_100 }, (_, index) =>
        document("s", `many ${index}`, EXPIRED_CHANGES),
      );
      await insertAll(bare.documents, many);
      expect(await counted()).toBe(20);
      await bare.documents.deleteMany({ key: /^many/ });
      await insertAll(bare.documents, [document("s", "stray", { dataset_id: "text" })]);
      expect(await counted()).toBe(20);
    });

    test("a page whose stores have all expired is empty and leads on", async () => {
      const expired = Array.from({ length: 30 }, (_, index) => document(`a${index}`, "k", EXPIRED_CHANGES));
      await insertAll(bare.documents, [...expired, document("b", "k")]);
      const pages = await list(scope, 10);
      expect(pages[0]).toEqual([]);
      expect(pages.flat()).toEqual(["b"]);
    });

    test.each([
      ["few keys", 2],
      ["many keys", 40],
    ])("pages are whole and in the order of UTF-8 with stores of %s", async (_keys, keys) => {
      const names = inUtf8Order(
        Array.from({ length: 150 }, (_, index) => `${["a", "｡", "😀", "ab"][index % 4]}${index}`),
      );
      await insertAll(
        bare.documents,
        names.flatMap((name) => Array.from({ length: keys }, (_, key) => document(name, `${key}`))),
      );
      // The first listing shows that the context is large, the next ones go through it in steps.
      expect(await count(scope)).toBe(150);
      for (const limit of [1, 7, 30, 149, 150, 151]) {
        const pages = await list(scope, limit);
        expect(pages.flat()).toEqual(names);
        expect(pages.length).toBe(Math.ceil(150 / limit));
      }
      for (const prefix of ["a", "ab", "😀", "｡1", "b"]) {
        const expected = names.filter((name) => name.startsWith(prefix));
        expect((await list(scope, 7, prefix)).flat()).toEqual(expected);
        expect(await listGlobal(7, prefix)).toEqual(expected.map((name) => `${scope.datasetId}/${name}`));
      }
    });

    test("more names than one reply holds", async () => {
      const names = Array.from(
        { length: 1_100 },
        (_, index) => `${String(index).padStart(5, "0")}${"n".repeat(16_000)}`,
      );
      await insertAll(
        bare.documents,
        names.map((name) => document(name, "k")),
      );
      expect(await count(scope)).toBe(1_100);
      expect((await list(scope, 500)).flat()).toEqual(names);
      expect(await stores.countStoresGlobal(bare.collection, undefined)).toBe(1_100);
    });
  });

  test("contexts come in order, large ones among small ones", async () => {
    const ids = [
      "",
      ...Array.from({ length: 40 }, (_, index) => (index + 10).toString(16).padStart(24, "0")),
    ];
    const places = ids.flatMap((id, index) =>
      Array.from(
        { length: index === 7 ? 1_500 : 2 },
        (_, store) => [id, `s${String(store).padStart(5, "0")}`] as const,
      ),
    );
    await insertAll(
      bare.documents,
      places.map(([id, name]) => fiftyOneDocument(id, name, "k")),
    );
    const expected = places.map(([id, name]) => `${id}/${name}`);
    expect(await stores.countStoresGlobal(bare.collection, undefined)).toBe(expected.length);
    for (const limit of [3, 100, 1_000, 10_000]) {
      if (limit > 3) expect(await listGlobal(limit)).toEqual(expected);
      else
        expect(await listGlobal(limit, "s00001")).toEqual(
          expected.filter((place) => place.endsWith("1") && place.includes("/s00001")),
        );
    }
  });

  test("documents of other shapes make no store, and are no obstacle", async () => {
    const odd = [
      7,
      "0123456789abcdef01234567",
      "",
      new Double(1.5),
      true,
      new Date(),
      new Timestamp(5n),
      { a: 1 },
      Number.NaN,
      Long.MAX_VALUE,
    ];
    const { dataset_id: _, policy: __, ...old } = fiftyOneDocument("", "old", "k");
    await insertAll(bare.documents, [
      ...odd.flatMap((datasetId, index) => [
        fiftyOneDocument("", `odd${index}`, "k", { dataset_id: datasetId }),
        fiftyOneDocument("", "shared", "k", { dataset_id: datasetId }),
      ]),
      fiftyOneDocument("", "shared", "k"),
      fiftyOneDocument(FIRST.datasetId, "number", "k", { key: 5 }),
      fiftyOneDocument("", "number", "k", { key: 5 }),
      fiftyOneDocument("", "x", "k", { store_name: 5 }),
      fiftyOneDocument("", "y", "k", { store_name: null }),
      fiftyOneDocument(SECOND.datasetId, "z", "k", { store_name: 5 }),
      fiftyOneDocument("", "by id", "k", { _id: { "2": 1, a: new ObjectId() } }),
      old,
    ]);
    expect((await list(NONE)).flat()).toEqual(["by id", "old", "shared"]);
    expect(await count(NONE)).toBe(3);
    expect(await count(FIRST)).toBe(0);
    expect(await listGlobal()).toEqual(["/by id", "/old", "/shared"]);
    expect(await stores.countStoresGlobal(bare.collection, undefined)).toBe(3);
    expect(await stores.hasStoreGlobal(bare.collection, "odd1", undefined)).toBe(false);
    expect(await stores.hasStoreGlobal(bare.collection, "number", undefined)).toBe(false);
    expect(await stores.hasStoreGlobal(bare.collection, "shared", undefined)).toBe(true);
    expect(await stores.hasStore(bare.collection, NONE, "odd0", undefined)).toBe(false);
  });

  test("an aborted call ends at once with the signal's reason", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const calls = [
      stores.countStoresGlobal(bare.collection, { signal: controller.signal }),
      stores.listStores(
        bare.collection,
        NONE,
        { prefix: "", after: undefined, limit: 5 },
        { signal: controller.signal },
      ),
    ];
    controller.abort(reason);
    for (const call of calls) await expect(call).rejects.toBe(reason);
  });
});
