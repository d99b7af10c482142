import { expect } from "vitest";
import type { Selector } from "../../../src/store/changes.js";
import { MAX_PAGE_BYTES } from "../../../src/store/limits.js";
import { until } from "../../support/until.js";
import { expiring, FIRST, inUtf8Order, NONE, persist, present, SECOND } from "../world.js";
import {
  type ChangeCheck,
  type ChangeWorld,
  changesAfter,
  EVERYTHING,
  type SeenDocument,
  seen,
  snapshotPages,
  typesOf,
} from "./change-world.js";

const SCOPES = [NONE, FIRST, SECOND];
/** In the order of UTF-8, which is neither that of UTF-16 nor of any language; names that start alike. */
const STORES = ["a", "a\u0001", "ab", "jobs", "jobs!", "z", "é", "\uffee", "😀"];
const KEYS = ["a", "a\u0001", "ab", "b", "key", "key-1", "key-10", "é", "\uffee", "😀"];

/** Everything that there is, in the order of lists. */
async function fill({ engine }: ChangeWorld): Promise<SeenDocument[]> {
  const all: SeenDocument[] = [];
  for (const scope of SCOPES) {
    await engine.createStore(scope, "empty", undefined, "persist");
    for (const store of STORES) {
      if (store !== "ab") await engine.createStore(scope, store, undefined, "persist");
      const writes = KEYS.map((key) => ({ key, ...persist(`${store}/${key}`) }));
      const results = await engine.batchSetKeys(scope, store, writes);
      for (const [index, { document }] of results.entries()) {
        all.push(seen({ ...document, value: present(writes[index]).value }));
      }
    }
  }
  return all;
}

function matches({ datasetId, storeName, key, keyPrefix }: Selector, document: SeenDocument): boolean {
  return (
    (datasetId === undefined || datasetId === document.datasetId) &&
    (storeName === undefined || storeName === document.storeName) &&
    (key === undefined ? document.key.startsWith(keyPrefix) : key === document.key)
  );
}

function textOf({ datasetId, storeName, key, keyPrefix }: Selector): string {
  return JSON.stringify({ datasetId, storeName, key, keyPrefix });
}

/** What snapshots have. */
export function snapshots(check: ChangeCheck): void {
  check("have exactly what their selector matches, in the order of lists", async (world) => {
    expect(inUtf8Order(STORES)).toEqual(STORES);
    expect(inUtf8Order(KEYS)).toEqual(KEYS);
    const all = await fill(world);
    const wholes = [undefined, "", FIRST.datasetId, "f".repeat(24)];
    for (const datasetId of wholes) {
      for (const storeName of [undefined, "a", "jobs", "ab", "empty", "none", "jo\0bs", "x".repeat(3000)]) {
        for (const [key, keyPrefix] of [
          [undefined, ""],
          ["key-1", ""],
          ["😀", ""],
          ["nothing", ""],
          ["a\0b", ""],
          ["x".repeat(3000), ""],
          [undefined, "a"],
          [undefined, "key"],
          [undefined, "key-1"],
          [undefined, "é"],
          [undefined, "nothing"],
          [undefined, "a\0"],
          [undefined, "x".repeat(3000)],
        ] as const) {
          const selector = { datasetId, storeName, key, keyPrefix };
          const { pages } = await snapshotPages(world.source, selector);
          const expected = all.filter((document) => matches(selector, document));
          expect(pages.flat(), textOf(selector)).toEqual(expected);
        }
      }
    }
  });

  check("have no values where nobody asks for them", async (world) => {
    const { engine, source } = world;
    const { document: small } = await engine.setKey(FIRST, "jobs", "a", persist("small"));
    const { document: large } = await engine.setKey(FIRST, "jobs", "b", persist("x".repeat(100_000)));
    const { pages } = await snapshotPages(source, EVERYTHING, false);
    expect(pages).toEqual([[seen(small), seen(large)]]);
    expect(pages[0]?.[1]?.value).toBeUndefined();
  });

  check("leave out what has expired", async (world) => {
    const { engine, source } = world;
    await engine.setKey(FIRST, "jobs", "kept", expiring(1_000_000));
    const { document } = await engine.setKey(FIRST, "jobs", "gone", expiring(50));
    await until(() => Date.now() > present(document.expiresAt), "the time has come");
    const { pages } = await snapshotPages(source, EVERYTHING);
    expect(pages.flat().map(({ key }) => key)).toEqual(["kept"]);
  });

  check("are empty where there is nothing, with a place to go on from", async (world) => {
    const { engine, source } = world;
    const { point, pages } = await snapshotPages(source, EVERYTHING);
    expect(pages).toEqual([]);
    await engine.setKey(FIRST, "jobs", "key", persist());
    expect(typesOf(await changesAfter(world, point))).toEqual(["key: created"]);
  });

  check("come in pages of limited size, unless one document is larger", async (world) => {
    const { engine, source } = world;
    const sizes = [900_000, 900_000, 900_000, 900_000, 900_000, 8_000_000, 100, 2_500_000, 2_500_000, 100];
    for (const [index, size] of sizes.entries())
      await engine.setKey(FIRST, "jobs", `key-${index}`, persist("x".repeat(size)));
    const { pages } = await snapshotPages(source, EVERYTHING);
    expect(pages.flat().map(({ key }) => key)).toEqual(sizes.map((_, index) => `key-${index}`));
    for (const page of pages) {
      const bytes = page.reduce((sum, { bytes: size }) => sum + present(size), 0);
      if (page.length > 1) expect(bytes).toBeLessThanOrEqual(MAX_PAGE_BYTES);
    }
    expect(pages.length).toBeGreaterThanOrEqual(5);
    expect(pages.length).toBeLessThan(sizes.length);
  });

  check("stay as they were taken while all of it changes", async (world) => {
    const { engine, source } = world;
    const size = 500_000;
    const keys = Array.from({ length: 40 }, (_, index) => `key-${String(index).padStart(2, "0")}`);
    for (const key of keys) await engine.setKey(FIRST, "jobs", key, persist("o".repeat(size)));
    let round = 0;
    const { point, pages } = await snapshotPages(source, EVERYTHING, true, async () => {
      round += 1;
      await engine.deleteStore(FIRST, "jobs");
      await engine.setKey(FIRST, "jobs", keys.at(-1) ?? "", persist(round));
      await engine.setKey(FIRST, "jobs", `another-${round}`, persist(round));
    });
    expect(round).toBeGreaterThan(3);
    expect(pages.flat().map(({ key }) => key)).toEqual(keys);
    expect(new Set(pages.flat().map(({ bytes }) => bytes))).toEqual(
      new Set([present(persist("o".repeat(size)).value).length]),
    );
    const state = new Map(pages.flat().map((document) => [document.key, document.etag]));
    for (const { key, events } of await changesAfter(world, point)) {
      for (const { document } of events) {
        if (document === undefined) state.delete(key);
        else state.set(key, document.etag);
      }
    }
    const now = (await snapshotPages(source, EVERYTHING)).pages.flat();
    expect(Object.fromEntries(state)).toEqual(Object.fromEntries(now.map(({ key, etag }) => [key, etag])));
  });
}
