import { serialize } from "bson";
import { expect } from "vitest";
import type { KeyDocument, Scope } from "../../src/store/document.js";
import type { Engine, GlobalCursor, Page, PageRequest, Write } from "../../src/store/engine.js";
import { DEFAULT_COLLECTION, MAX_PAGE_BYTES } from "../../src/store/limits.js";
import type { CheckIn } from "./describe-topics.js";

/** A second collection that every engine under test serves. */
export const OTHER_COLLECTION = "other_store";
/** The context of stores that are tied to no dataset. */
export const NONE: Scope = { collection: DEFAULT_COLLECTION, datasetId: "" };
/** The context of one dataset. */
export const FIRST: Scope = { collection: DEFAULT_COLLECTION, datasetId: "0123456789abcdef01234567" };
/** The context of another dataset, next to the first in order. */
export const SECOND: Scope = { collection: DEFAULT_COLLECTION, datasetId: "0123456789abcdef01234568" };
/** The first dataset in the other collection. */
export const ELSEWHERE: Scope = { collection: OTHER_COLLECTION, datasetId: FIRST.datasetId };
/** When every test's clock starts: whole milliseconds since 1970. */
export const START = 1_800_000_000_000;

/**
 * The clock of the store under test, as far as tests move it. Time may pass by itself, too, for much less than 5 s in a
 * test, so that tests take longer steps than that; those that need a clock which stands still say so.
 */
export interface TestClock {
  /** Moves by `ms`; backwards, if it is negative, only where the engine has the capability "clock". */
  advance(ms: number): void;
  /**
   * What the clock shows, or showed, once it has been moved by `ms` in all. For `toEqual` and `toMatchObject`: where
   * time passes by itself it stands for all the time since then.
   */
  at(ms: number): number;
}

/** A clock that moves only when it is told to. */
export interface StandingClock extends TestClock {
  readonly now: () => number;
}

/** Makes a clock that stands at START. */
export function createTestClock(): StandingClock {
  let time = START;
  return {
    now: () => time,
    advance: (ms) => {
      time += ms;
    },
    at: (ms) => START + ms,
  };
}

/** What an engine under test is opened with. */
export interface EngineTestOptions {
  /** The store's clock, where it is not the engine that brings one. */
  readonly now: () => number;
  /** The collections to serve. */
  readonly collections: readonly string[];
}

/** An engine over data of its own, as a factory makes it. */
export interface EngineUnderTest {
  readonly engine: Engine;
  /** The engine's own clock. @default the one that it was opened with */
  readonly clock?: TestClock;
  /** Closes the engine and opens it over the same data; only where the engine keeps data beyond its life. */
  readonly reopen?: () => Promise<EngineUnderTest>;
  /** Closes the engine and removes its data. */
  close(): Promise<void>;
}

/** What some engines lack by design; a factory that skips one gives the reason. */
export type Capability = "durability" | "slices" | "cuts" | "cursors" | "lifecycle" | "clock";

/** What a test works with: an engine over empty collections, and its clock. */
export interface World {
  readonly engine: Engine;
  readonly clock: TestClock;
  /** Closes the engine and opens it over the same data; `engine` is the new one afterwards. */
  reopen(): Promise<void>;
}

/** Registers a test, which is skipped where the engine lacks what it needs. */
export type Check = CheckIn<World, Capability>;

/** A value document around any value that the bson package serializes. */
export function valueOf(value: unknown): Uint8Array {
  return serialize({ value }, { ignoreUndefined: false });
}

/** A write of a value without expiry. */
export function persist(value: unknown = "value"): Write {
  return { value: valueOf(value), ttlMs: undefined, policy: "persist" };
}

/** A write of an evictable value without expiry. */
export function evict(value: unknown = "value"): Write {
  return { value: valueOf(value), ttlMs: undefined, policy: "evict" };
}

/** A write of a value that expires. */
export function expiring(ttlMs: number, value: unknown = "value"): Write {
  return { value: valueOf(value), ttlMs, policy: "evict" };
}

/** Sorts by the bytes of UTF-8, which is not the order of UTF-16 that `sort()` has. */
export function inUtf8Order(names: readonly string[]): string[] {
  return names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** All pages of a list; `between` runs after each page but the last. */
export async function pagesOf<Item, Cursor>(
  read: (page: PageRequest<Cursor>) => Promise<Page<Item, Cursor>>,
  {
    prefix = "",
    limit = 1000,
    between,
  }: { prefix?: string; limit?: number; between?: () => Promise<void> } = {},
): Promise<Item[][]> {
  const pages: Item[][] = [];
  let after: Cursor | undefined;
  for (;;) {
    const page = await read({ prefix, after, limit });
    expect(page.items.length).toBeLessThanOrEqual(limit);
    pages.push([...page.items]);
    if (page.next === undefined) return pages;
    after = page.next;
    await between?.();
  }
}

/** The keys of a store, page by page. */
export async function keysOf(
  engine: Engine,
  scope: Scope,
  storeName: string,
  options?: { prefix?: string; limit?: number },
): Promise<string[]> {
  return (
    await pagesOf((page: PageRequest<string>) => engine.listKeys(scope, storeName, page), options)
  ).flat();
}

/** The documents of a store with their values, page by page. */
export async function documentsOf(
  engine: Engine,
  scope: Scope,
  storeName: string,
  options: { prefix?: string; limit?: number; withValue?: boolean; maxBytes?: number } = {},
): Promise<KeyDocument[]> {
  const { withValue = true, maxBytes = MAX_PAGE_BYTES } = options;
  return (
    await pagesOf<KeyDocument, string>(
      (page) => engine.listValues(scope, storeName, { ...page, withValue, maxBytes }),
      options,
    )
  ).flat();
}

/** The stores of a context, page by page. */
export async function storesOf(
  engine: Engine,
  scope: Scope,
  options?: { prefix?: string; limit?: number },
): Promise<string[]> {
  return (await pagesOf((page: PageRequest<string>) => engine.listStores(scope, page), options)).flat();
}

/** The stores of all contexts as `datasetId/storeName`, page by page. */
export async function globalStoresOf(
  engine: Engine,
  collection: string = DEFAULT_COLLECTION,
  options?: { prefix?: string; limit?: number },
): Promise<string[]> {
  const pages = await pagesOf(
    (page: PageRequest<GlobalCursor>) => engine.listStoresGlobal(collection, page),
    options,
  );
  return pages.flat().map(({ datasetId, storeName }) => `${datasetId}/${storeName}`);
}

/** The value of a live key as BSON; undefined if the key is missing. */
export async function readValue(
  engine: Engine,
  scope: Scope,
  storeName: string,
  key: string,
): Promise<Uint8Array | undefined> {
  return (await engine.getKey(scope, storeName, key, true))?.value;
}

/** Fails if there is nothing. */
export function present<T>(thing: T | undefined): T {
  expect(thing).toBeDefined();
  return thing as T;
}

/** Plain bytes, so that a Buffer compares equal to a Uint8Array. */
export function plain(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes && Uint8Array.from(bytes);
}
