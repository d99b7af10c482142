import { expect } from "vitest";
import type { Engine } from "../../src/store/engine.js";
import {
  DEFAULT_COLLECTION,
  MAX_KEY_BYTES,
  MAX_PAGE_BYTES,
  MAX_STORE_NAME_BYTES,
} from "../../src/store/limits.js";
import {
  type Check,
  documentsOf,
  evict,
  expiring,
  FIRST,
  globalStoresOf,
  inUtf8Order,
  keysOf,
  NONE,
  persist,
  plain,
  readValue,
  storesOf,
  valueOf,
} from "./world.js";

/** Names that separators, sort orders and escapes get wrong; many are prefixes of each other. */
const AWKWARD = [
  "a",
  "A",
  "ab",
  "abc",
  "b",
  "a\u{10FFFF}",
  "a\u{10FFFF}\u{10FFFF}",
  "a\u{10000}",
  "a\uFFFF",
  "a\uFFFE",
  "a\uFFFD",
  "a\uFF61",
  "a\u{1F600}",
  "a\uE000",
  "a\uD7FF",
  "a\u07FF",
  "a\u0800",
  "a\u0080",
  "a\u007F",
  "a\u0001",
  "a\u0001b",
  "a\u0002",
  "\u0001",
  "\u007F",
  "\u{10FFFF}",
  "\uFFFF",
  "\uFF61",
  "\u{1F600}",
  "\u{1F600}\u{1F600}",
  "\u{1F468}\u200D\u{1F469}\u200D\u{1F467}",
  "\u00E9",
  "e\u0301",
  "e",
  "\u0301",
  "\uFEFF",
  "\u200B",
  "\u2028",
  "%",
  "%00",
  "%2F",
  "100%",
  ".",
  "..",
  "a.b",
  "a/b",
  "/",
  "//",
  "\\",
  "a\\b",
  " ",
  "a ",
  " a",
  "\t",
  "\n",
  "\r\n",
  '"',
  "'",
  "$",
  "$a",
  "[]",
  "[1,",
  "{}",
  "null",
  "__proto__",
  "constructor",
  "__store",
  "__store__ ",
  "__store__a",
  "_",
  "0",
  "1",
  "10",
  "2",
  "-1",
  "ß",
  "ẞ",
  "İ",
  "ı",
];

/** Prefixes to try: the names, their parts, and what lies just behind them. */
const PREFIXES = [
  ...new Set([
    "",
    ...AWKWARD.flatMap((name) => {
      const characters = Array.from(name);
      return [
        name,
        ...characters.map((_, index) => characters.slice(0, index + 1).join("")),
        `${name}\u0001`,
      ];
    }),
    "a\u{10FFFE}",
    "zzz",
  ]),
];

function matching(prefix: string, all: readonly string[] = AWKWARD): string[] {
  return inUtf8Order(all.filter((name) => name.startsWith(prefix)));
}

/** Names of every kind, at every length. */
export function names(check: Check): void {
  check("takes every awkward key, in UTF-8 order and under every prefix", async ({ engine }) => {
    await engine.setKey(FIRST, "neighbour", "a", persist());
    await engine.batchSetKeys(
      FIRST,
      "jobs",
      AWKWARD.map((key) => ({ key, ...persist(key) })),
    );
    for (const key of AWKWARD) {
      expect(plain(await readValue(engine, FIRST, "jobs", key)), JSON.stringify(key)).toEqual(
        plain(valueOf(key)),
      );
    }
    for (const prefix of PREFIXES) {
      const expected = matching(prefix);
      const title = JSON.stringify(prefix);
      expect(await keysOf(engine, FIRST, "jobs", { prefix }), title).toEqual(expected);
      expect(await engine.countKeys(FIRST, "jobs", prefix), title).toBe(expected.length);
      const documents = await documentsOf(engine, FIRST, "jobs", { prefix });
      expect(
        documents.map(({ key }) => key),
        title,
      ).toEqual(expected);
    }
    expect(await keysOf(engine, FIRST, "jobs", { limit: 1 })).toEqual(matching(""));
    expect(await keysOf(engine, FIRST, "jobs", { prefix: "a", limit: 1 })).toEqual(matching("a"));
  });

  check("takes every awkward store name, in UTF-8 order and under every prefix", async ({ engine }) => {
    const all = [...AWKWARD, "__store__"];
    for (const [index, name] of all.entries()) {
      if (index % 2 === 0) await engine.createStore(FIRST, name, undefined, "persist");
      else await engine.setKey(FIRST, name, "key", persist());
    }
    for (const prefix of PREFIXES) {
      const expected = matching(prefix, all);
      expect(await storesOf(engine, FIRST, { prefix, limit: 50 }), JSON.stringify(prefix)).toEqual(expected);
    }
    expect(await storesOf(engine, FIRST, { limit: 1 })).toEqual(matching("", all));
    expect(await engine.countStores(FIRST)).toBe(all.length);
    expect(await globalStoresOf(engine, DEFAULT_COLLECTION, { limit: 10 })).toEqual(
      matching("", all).map((name) => `${FIRST.datasetId}/${name}`),
    );
    let left = all.length;
    for (const name of all) {
      expect(await engine.hasStore(FIRST, name)).toBe(true);
      expect(await engine.deleteStore(FIRST, name), JSON.stringify(name)).toBe(1);
      left -= 1;
      expect(await engine.countStores(FIRST)).toBe(left);
    }
  });

  check("does not mix up where a store's name ends and a key begins", async ({ engine }) => {
    const pairs: [store: string, key: string][] = [
      ["a", "bc"],
      ["ab", "c"],
      ["abc", "c"],
      ["a", "\u0001b"],
      ["a\u0001", "b"],
      ["a/", "b"],
      ["a", "/b"],
      ["a\u{10FFFF}", "x"],
      ["a", "\u{10FFFF}x"],
    ];
    for (const [store, key] of pairs) await engine.setKey(NONE, store, key, persist(`${store}|${key}`));
    for (const [store, key] of pairs) {
      expect(plain(await readValue(engine, NONE, store, key))).toEqual(plain(valueOf(`${store}|${key}`)));
      const own = inUtf8Order(pairs.filter(([name]) => name === store).map(([, name]) => name));
      expect(await keysOf(engine, NONE, store)).toEqual(own);
      expect(await engine.countKeys(NONE, store, "")).toBe(own.length);
    }
    expect(await engine.deleteStore(NONE, "a")).toBe(4);
    expect(await storesOf(engine, NONE)).toEqual(["a\u0001", "a/", "ab", "abc", "a\u{10FFFF}"]);
  });

  check("takes the longest names in every method", async ({ engine }) => {
    const storeNames = ["s".repeat(MAX_STORE_NAME_BYTES), `${"\u{1F600}".repeat(63)}abc`];
    const base = "\u{1F600}".repeat(MAX_KEY_BYTES / 4 - 1);
    const keys = inUtf8Order([`${base}abcd`, `${base}abce`, `${base}\u{1F600}`, "k".repeat(MAX_KEY_BYTES)]);
    for (const store of storeNames) {
      expect(Buffer.byteLength(store)).toBe(MAX_STORE_NAME_BYTES);
      await engine.createStore(FIRST, store, undefined, "persist");
      for (const key of keys) {
        expect(Buffer.byteLength(key)).toBe(MAX_KEY_BYTES);
        await engine.setKey(FIRST, store, key, { ...persist(key), ttlMs: 100_000 });
        await engine.updateTtl(FIRST, store, key, 200_000);
      }
      expect(await keysOf(engine, FIRST, store, { limit: 1 })).toEqual(keys);
      expect(await keysOf(engine, FIRST, store, { prefix: `${base}abcd` })).toEqual([`${base}abcd`]);
      expect(await engine.countKeys(FIRST, store, base)).toBe(3);
      expect(await engine.countKeys(FIRST, store, keys[0] ?? "")).toBe(1);
      expect(plain(await readValue(engine, FIRST, store, `${base}abce`))).toEqual(
        plain(valueOf(`${base}abce`)),
      );
      expect(await engine.deleteKey(FIRST, store, `${base}abcd`, undefined)).toBe(true);
      expect(await engine.countKeys(FIRST, store, "")).toBe(3);
    }
    expect(await storesOf(engine, FIRST, { limit: 1 })).toEqual(inUtf8Order(storeNames));
    expect(await storesOf(engine, FIRST, { prefix: storeNames[1] ?? "" })).toEqual([storeNames[1]]);
    expect(await engine.clearCache(FIRST, storeNames[0])).toBe(3);
    expect(await engine.deleteStoreGlobal(DEFAULT_COLLECTION, storeNames[1] ?? "")).toEqual({
      stores: 1,
      documents: 4,
    });
    expect(await storesOf(engine, FIRST)).toEqual([storeNames[0]]);
  });

  check("has nothing by names that only other writers may have made", async ({ engine }) => {
    await engine.createStore(NONE, "a", undefined, "evict");
    for (const key of ["b", "c"]) await engine.setKey(NONE, "a", key, expiring(1_000_000));
    await engine.setKey(FIRST, "a", "b", evict());
    for (const name of UNWRITABLE) {
      const title = JSON.stringify(name.slice(0, 20));
      await expectNoStore(engine, name, title);
      await expectNoKey(engine, "a", name, title);
      await expectNoKey(engine, name, "b", title);
      await expectNoKey(engine, name, name, title);
    }
    expect(await engine.countStoresGlobal(DEFAULT_COLLECTION)).toBe(2);
    expect(await keysOf(engine, NONE, "a")).toEqual(["b", "c"]);
  });

  check(
    "goes on behind, and matches by, names of any length",
    async ({ engine }) => {
      for (const store of ["a", "b", "c"]) {
        for (const key of ["a", "b", "c"]) await engine.setKey(FIRST, store, key, persist());
      }
      const rest: [after: string, names: string[]][] = [
        ["b\0", ["c"]],
        [`b${"x".repeat(1_000_000)}`, ["c"]],
        [`b${"\u{1F600}".repeat(10_000)}`, ["c"]],
        [`a${"\0".repeat(5000)}`, ["b", "c"]],
        ["d".repeat(5000), []],
      ];
      for (const [after, expected] of rest) {
        const title = JSON.stringify(after.slice(0, 20));
        const page = { prefix: "", after, limit: 10 };
        expect(await engine.listStores(FIRST, page), title).toEqual({ items: expected, next: undefined });
        expect(await engine.listKeys(FIRST, "a", page), title).toEqual({ items: expected, next: undefined });
        const values = { ...page, withValue: false, maxBytes: MAX_PAGE_BYTES };
        const documents = await engine.listValues(FIRST, "a", values);
        expect(
          documents.items.map(({ key }) => key),
          title,
        ).toEqual(expected);
        const cursor = { datasetId: FIRST.datasetId, storeName: after };
        const stores = await engine.listStoresGlobal(DEFAULT_COLLECTION, { ...page, after: cursor });
        expect(
          stores.items.map(({ storeName }) => storeName),
          title,
        ).toEqual(expected);
      }
    },
    "cursors",
  );
}

/** Nothing has such a name unless another writer made it. NULs are where an engine may have separators or numbers. */
const UNWRITABLE = ["s".repeat(MAX_KEY_BYTES + 1), "k".repeat(200_000), "\0", "a\0", "a\0\0", "a\0b"];

async function expectNoStore(engine: Engine, name: string, title: string): Promise<void> {
  const page = { prefix: "", after: undefined, limit: 10 };
  const values = { withValue: true, maxBytes: MAX_PAGE_BYTES };
  expect(await engine.getStore(NONE, name), title).toBeUndefined();
  expect(await engine.hasStore(NONE, name), title).toBe(false);
  expect(await engine.hasStoreGlobal(DEFAULT_COLLECTION, name), title).toBe(false);
  expect(await engine.deleteStore(NONE, name), title).toBe(0);
  expect(await engine.clearCache(NONE, name), title).toBe(0);
  const nothing = { stores: 0, documents: 0 };
  expect(await engine.deleteStoreGlobal(DEFAULT_COLLECTION, name), title).toEqual(nothing);
  expect(await engine.listKeys(NONE, name, page), title).toEqual({ items: [], next: undefined });
  expect(await engine.listValues(NONE, name, { ...page, ...values }), title).toEqual({
    items: [],
    next: undefined,
  });
  expect(await engine.countKeys(NONE, name, ""), title).toBe(0);
  expect(await storesOf(engine, NONE, { prefix: name }), title).toEqual([]);
  expect(await globalStoresOf(engine, DEFAULT_COLLECTION, { prefix: name }), title).toEqual([]);
}

async function expectNoKey(engine: Engine, store: string, key: string, title: string): Promise<void> {
  expect(await engine.getKey(NONE, store, key, true), title).toBeUndefined();
  expect(await engine.hasKey(NONE, store, key), title).toBe(false);
  expect(await engine.deleteKey(NONE, store, key, undefined), title).toBe(false);
  expect(await engine.deleteKey(NONE, store, key, "version"), title).toBe(false);
  const values = { withValue: true, maxBytes: MAX_PAGE_BYTES };
  const found = await engine.batchGetKeys(NONE, store, ["x", key], values);
  expect(found.documents, title).toEqual([undefined, undefined]);
  expect(await engine.batchDeleteKeys(NONE, store, ["x", key]), title).toBe(0);
  if (key === "b") return;
  expect(await keysOf(engine, NONE, store, { prefix: key }), title).toEqual([]);
  expect(await engine.countKeys(NONE, store, key), title).toBe(0);
}
