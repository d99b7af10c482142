import { expect } from "vitest";
import type { KeyDocument } from "../../src/store/document.js";
import type { GlobalCursor, Page, PageRequest } from "../../src/store/engine.js";
import { DEFAULT_COLLECTION, MAX_PAGE_BYTES } from "../../src/store/limits.js";
import {
  type Check,
  documentsOf,
  FIRST,
  globalStoresOf,
  inUtf8Order,
  keysOf,
  pagesOf,
  persist,
  present,
  SECOND,
  storesOf,
  type World,
} from "./world.js";

const VALUES = { withValue: true, maxBytes: MAX_PAGE_BYTES };

/** One kind of list: how to add to it, take from it, and read it as names. */
interface Listing {
  add(name: string): Promise<unknown>;
  remove(name: string): Promise<unknown>;
  names(options: { limit: number; between?: () => Promise<void> }): Promise<string[]>;
}

async function flat<Item, Cursor>(
  read: (page: PageRequest<Cursor>) => Promise<Page<Item, Cursor>>,
  options: { limit: number; between?: () => Promise<void> },
): Promise<Item[]> {
  return (await pagesOf(read, options)).flat();
}

function nameAt(index: number): string {
  return `n-${String(index).padStart(4, "0")}`;
}

function listingsOf({ engine }: World): Record<string, Listing> {
  const key = {
    add: (name: string) => engine.setKey(FIRST, "jobs", name, persist(name)),
    remove: (name: string) => engine.deleteKey(FIRST, "jobs", name, undefined),
  };
  const store = {
    add: (name: string) => engine.setKey(SECOND, name, "key", persist()),
    remove: (name: string) => engine.deleteStore(SECOND, name),
  };
  return {
    listKeys: {
      ...key,
      names: (options) => flat((page: PageRequest<string>) => engine.listKeys(FIRST, "jobs", page), options),
    },
    listValues: {
      ...key,
      names: async (options) => {
        const documents = await flat<KeyDocument, string>(
          (page) => engine.listValues(FIRST, "jobs", { ...page, ...VALUES }),
          options,
        );
        return documents.map((document) => document.key);
      },
    },
    listStores: {
      ...store,
      names: (options) => flat((page: PageRequest<string>) => engine.listStores(SECOND, page), options),
    },
    listStoresGlobal: {
      ...store,
      names: async (options) => {
        const stores = await flat(
          (page: PageRequest<GlobalCursor>) => engine.listStoresGlobal(DEFAULT_COLLECTION, page),
          options,
        );
        return stores.filter(({ datasetId }) => datasetId !== "").map(({ storeName }) => storeName);
      },
    },
  };
}

const METHODS = ["listKeys", "listValues", "listStores", "listStoresGlobal"] as const;

/** Order, pages and prefixes. */
export function lists(check: Check): void {
  for (const method of METHODS) {
    check(`${method} shows what is there throughout exactly once while others come and go`, async (world) => {
      const list = present(listingsOf(world)[method]);
      // Every third name stays; the others come and go on both sides of the page's end.
      const stable = Array.from({ length: 60 }, (_, index) => nameAt(index * 3));
      for (const each of stable) await list.add(each);
      for (let index = 1; index < 180; index += 6) await list.add(nameAt(index));
      let page = 0;
      const between = async (): Promise<void> => {
        page += 1;
        for (const offset of [-5, -2, 1, 4, 7]) {
          const index = page * 7 + offset;
          if (index % 3 === 0) continue;
          await ((index + page) % 2 === 0 ? list.add(nameAt(index)) : list.remove(nameAt(index)));
        }
      };
      const seen = await list.names({ limit: 7, between });
      expect(seen).toEqual(inUtf8Order(seen));
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen.filter((each) => stable.includes(each))).toEqual(stable);
      expect(page).toBeGreaterThan(8);
    });

    check(`${method} goes on where the last name of a page was deleted`, async (world) => {
      const list = present(listingsOf(world)[method]);
      const names = ["a", "b", "c", "d", "e", "f"];
      for (const each of names) await list.add(each);
      const gone = ["b", "d", "f"];
      const seen = await list.names({
        limit: 2,
        between: async () => {
          await list.remove(gone.shift() ?? "");
        },
      });
      expect(seen).toEqual(names);
    });

    check(`${method} is whole with pages of every size`, async (world) => {
      const list = present(listingsOf(world)[method]);
      const names = Array.from({ length: 11 }, (_, index) => `name-${String.fromCharCode(97 + index)}`);
      for (const each of names.toReversed()) await list.add(each);
      for (const limit of [1, 2, 3, 5, 10, 11, 12, 10_000])
        expect(await list.names({ limit })).toEqual(names);
    });

    check(`${method} leaves out what has expired between two pages`, async (world) => {
      const list = present(listingsOf(world)[method]);
      const { engine, clock } = world;
      const ofStores = method === "listStores" || method === "listStoresGlobal";
      for (const name of ["a", "b", "c", "d", "e"]) {
        await list.add(name);
        if (name === "c" || name === "d") {
          await engine.updateTtl(
            ofStores ? SECOND : FIRST,
            ofStores ? name : "jobs",
            ofStores ? "key" : name,
            100_000,
          );
        }
      }
      const seen = await list.names({
        limit: 2,
        between: () => Promise.resolve(clock.advance(100_000)),
      });
      expect(seen).toEqual(["a", "b", "e"]);
    });
  }

  check("counts and lists twenty thousand keys", async ({ engine }) => {
    const keys = Array.from({ length: 20_000 }, (_, index) => `key-${String(index).padStart(5, "0")}`);
    for (let start = 0; start < keys.length; start += 1000) {
      const entries = keys.slice(start, start + 1000).map((key) => ({ key, ...persist(key) }));
      await engine.batchSetKeys(FIRST, "large", entries);
    }
    await engine.setKey(FIRST, "small", "key", persist());
    expect(await engine.countKeys(FIRST, "large", "")).toBe(20_000);
    expect(await engine.countKeys(FIRST, "large", "key-1")).toBe(10_000);
    expect(await engine.countKeys(FIRST, "large", "key-1234")).toBe(10);
    expect(await engine.countKeys(FIRST, "large", "key-12345")).toBe(1);
    expect(await engine.countKeys(FIRST, "large", "key-123456")).toBe(0);
    expect(await engine.countStores(FIRST)).toBe(2);
    expect(await storesOf(engine, FIRST)).toEqual(["large", "small"]);
    expect(await keysOf(engine, FIRST, "large", { limit: 10_000 })).toEqual(keys);
    expect(await keysOf(engine, FIRST, "large", { prefix: "key-0999", limit: 3 })).toEqual(
      keys.slice(9990, 10_000),
    );
    const documents = await documentsOf(engine, FIRST, "large", {
      prefix: "key-00",
      limit: 400,
      withValue: false,
    });
    expect(documents.map(({ key }) => key)).toEqual(keys.slice(0, 1000));
  });

  check("lists a thousand stores in order, in one context and in all", async ({ engine }) => {
    const names = Array.from({ length: 1000 }, (_, index) => `store-${(index * 7919) % 1000}`);
    await Promise.all(names.map((name) => engine.setKey(FIRST, name, "key", persist())));
    const sorted = inUtf8Order(names);
    expect(await engine.countStores(FIRST)).toBe(1000);
    expect(await storesOf(engine, FIRST, { limit: 333 })).toEqual(sorted);
    expect(await globalStoresOf(engine, DEFAULT_COLLECTION, { limit: 500 })).toEqual(
      sorted.map((name) => `${FIRST.datasetId}/${name}`),
    );
    expect(await storesOf(engine, FIRST, { prefix: "store-99" })).toEqual(
      sorted.filter((name) => name.startsWith("store-99")),
    );
  });

  check(
    "starts behind any name, whether it is there or not",
    async ({ engine }) => {
      for (const name of ["b", "d", "f"]) {
        await engine.setKey(FIRST, "jobs", name, persist(name));
        await engine.setKey(FIRST, `store-${name}`, "key", persist());
      }
      const cases: [after: string, left: string[]][] = [
        ["a", ["b", "d", "f"]],
        ["b", ["d", "f"]],
        ["b\u0001", ["d", "f"]],
        ["c", ["d", "f"]],
        ["f", []],
        ["z", []],
      ];
      for (const [after, left] of cases) {
        const page = { prefix: "", after, limit: 100 };
        expect((await engine.listKeys(FIRST, "jobs", page)).items).toEqual(left);
        const documents = (await engine.listValues(FIRST, "jobs", { ...page, ...VALUES })).items;
        expect(documents.map(({ key }) => key)).toEqual(left);
        const stores = await engine.listStores(FIRST, { ...page, after: `store-${after}` });
        expect(stores.items).toEqual(left.map((name) => `store-${name}`));
      }
    },
    "cursors",
  );
}
