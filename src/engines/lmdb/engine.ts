import type { Scope } from "../../store/document.js";
import type { CallOptions, Engine, WatchableEngine } from "../../store/engine.js";
import type { Archive } from "../../store/transfer.js";
import { createChangeSource } from "./change-source.js";
import { Clock } from "./clock.js";
import { type Collection, type History, openCollection } from "./collection.js";
import * as deletions from "./deletions.js";
import { type Environment, openEnvironment, shuttingDown } from "./environment.js";
import { contextKey } from "./keys.js";
import * as reads from "./reads.js";
import * as stores from "./stores.js";
import { startSweeper } from "./sweeper.js";
import { createArchive } from "./transfer.js";
import { openWriter, type Writer } from "./writer.js";
import * as writes from "./writes.js";

/** How to open the embedded engine. */
export interface LmdbEngineOptions {
  /** The database directory. One process at a time owns it. */
  readonly path: string;
  /** Whether to make the database if it is not there. @default true */
  readonly make?: boolean;
  /** The collections to serve. */
  readonly collections: readonly string[];
  /** How long changes are kept for watchers, in ms. @default 3_600_000 */
  readonly historyTimeMs?: number;
  /** How many bytes of changes are kept at most, values included. @default 256 MiB */
  readonly historyBytes?: number;
  /** The process's clock, in ms since 1970. @default Date.now */
  readonly now?: () => number;
  /** Hears of faults in the background. @default nobody */
  readonly onBackgroundError?: (error: unknown) => void;
}

/** The embedded engine, and what only it has. */
export interface LmdbEngine extends WatchableEngine {
  /** Removes what has expired, and history beyond its bounds, now instead of within a moment. */
  sweep(): Promise<void>;
  /** Its documents, for copies to and from other engines. */
  readonly archive: Archive;
}

const HOUR_MS = 3_600_000;
const DEFAULT_HISTORY_BYTES = 256 * 1024 * 1024;
const NOT_OPENED = "a collection that the engine was not opened with";

/** What the methods share. */
interface Parts {
  readonly writer: Writer;
  /** Throws once the engine is closed, or the call aborted. */
  readonly collection: (name: string, options: CallOptions | undefined) => Collection;
  readonly target: (scope: Scope, storeName: string) => writes.Target;
  /** Runs what takes more than one turn of the event loop: closing waits for it. */
  readonly long: <Result>(
    name: string,
    options: CallOptions | undefined,
    work: (collection: Collection) => Promise<Result>,
  ) => Promise<Result>;
}

/**
 * Opens the embedded engine: LMDB, in one directory, owned by one process.
 *
 * @throws StoreError DIRECTORY_IN_USE, FORMAT_UNKNOWN or DIRECTORY_UNUSABLE
 */
export async function openLmdbEngine(options: LmdbEngineOptions): Promise<LmdbEngine> {
  const environment = await openEnvironment(options.path, options.collections.length, options.make);
  try {
    return openEngine(environment, options);
  } catch (error) {
    await environment.close();
    throw error;
  }
}

function openEngine(environment: Environment, options: LmdbEngineOptions): LmdbEngine {
  const clock = new Clock(options.now ?? Date.now);
  const history: History = {
    maxAgeMs: options.historyTimeMs ?? HOUR_MS,
    maxBytes: options.historyBytes ?? DEFAULT_HISTORY_BYTES,
  };
  const collections = options.collections.map((name) => openCollection(environment, name, clock, history));
  const writer = openWriter(environment);
  const sweeper = startSweeper(writer, collections, options.onBackgroundError ?? (() => undefined));
  const running = new Set<Promise<unknown>>();
  const sources = new Map(collections.map((each) => [each.name, createChangeSource(each)]));
  const parts = partsOf(environment, writer, collections, running);
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    environment.startClosing();
    await Promise.allSettled(running);
    await sweeper.close();
    await writer.close();
    await environment.close();
  };
  return {
    ...storeMethods(parts),
    ...keyMethods(parts),
    ...listMethods(parts),
    ...globalMethods(parts),
    sweep: () => sweeper.sweep(),
    archive: createArchive(parts),
    changes: (name) => {
      const source = sources.get(name);
      if (source === undefined) throw new Error(NOT_OPENED);
      return source;
    },
    close: () => (closing ??= close()),
  };
}

function partsOf(
  environment: Environment,
  writer: Writer,
  collections: readonly Collection[],
  running: Set<Promise<unknown>>,
): Parts {
  const byName = new Map(collections.map((collection) => [collection.name, collection]));
  const find = (name: string, options: CallOptions | undefined): Collection => {
    options?.signal?.throwIfAborted();
    if (environment.closing.aborted) throw shuttingDown();
    const collection = byName.get(name);
    if (collection === undefined) throw new Error(NOT_OPENED);
    return collection;
  };
  return {
    writer,
    collection: find,
    target: (scope, storeName) => ({
      writer,
      collection: find(scope.collection, undefined),
      scope,
      storeName,
    }),
    async long(name, options, work) {
      const promise = work(find(name, options));
      running.add(promise);
      try {
        return await promise;
      } finally {
        running.delete(promise);
      }
    },
  };
}

type StoreMethods = Pick<
  Engine,
  | "createStore"
  | "getStore"
  | "hasStore"
  | "listStores"
  | "countStores"
  | "deleteStore"
  | "clearCache"
  | "cleanup"
>;

function storeMethods({ writer, collection, target, long }: Parts): StoreMethods {
  const remove = (scope: Scope, selection: deletions.Selection, options: CallOptions | undefined) =>
    long(scope.collection, options, (from) => deletions.deleteSelection(writer, from, selection, options));
  return {
    createStore: async (scope, storeName, metadata, policy, options) =>
      writes.createStore(target(scope, storeName), metadata, policy, options),
    getStore: async (scope, storeName, options) =>
      stores.getStore(collection(scope.collection, options), scope, storeName),
    hasStore: async (scope, storeName, options) =>
      stores.hasStore(collection(scope.collection, options), scope, storeName),
    listStores: (scope, page, options) =>
      long(scope.collection, options, (from) => stores.listStores(from, scope, page, options)),
    countStores: (scope, options) =>
      long(scope.collection, options, (from) => stores.countStores(from, scope, options)),
    deleteStore: (scope, storeName, options) =>
      remove(scope, deletions.inStore(deletions.documentsIn, scope, storeName), options),
    clearCache: (scope, storeName, options) => {
      const selection =
        storeName === undefined
          ? deletions.evictablesIn(contextKey(scope.datasetId))
          : deletions.inStore(deletions.evictablesIn, scope, storeName);
      return remove(scope, selection, options);
    },
    cleanup: (scope, options) => remove(scope, deletions.documentsIn(contextKey(scope.datasetId)), options),
  };
}

type KeyMethods = Pick<
  Engine,
  | "setKey"
  | "setKeyIfAbsent"
  | "compareAndSetKey"
  | "getKey"
  | "hasKey"
  | "deleteKey"
  | "updateTtl"
  | "updatePolicy"
>;

function keyMethods({ collection, target }: Parts): KeyMethods {
  return {
    setKey: async (scope, storeName, key, write, options) =>
      writes.setKey(target(scope, storeName), key, write, options),
    setKeyIfAbsent: async (scope, storeName, key, write, options) =>
      writes.setKeyIfAbsent(target(scope, storeName), key, write, options),
    compareAndSetKey: async (scope, storeName, key, expected, write, options) =>
      writes.compareAndSetKey(target(scope, storeName), key, expected, write, options),
    getKey: async (scope, storeName, key, withValue, options) =>
      reads.getKey(collection(scope.collection, options), scope, storeName, key, withValue),
    hasKey: async (scope, storeName, key, options) =>
      reads.hasKey(collection(scope.collection, options), scope, storeName, key),
    deleteKey: async (scope, storeName, key, etag, options) =>
      writes.deleteKey(target(scope, storeName), key, etag, options),
    updateTtl: async (scope, storeName, key, ttlMs, options) =>
      writes.updateTtl(target(scope, storeName), key, ttlMs, options),
    updatePolicy: async (scope, storeName, key, policy, options) =>
      writes.updatePolicy(target(scope, storeName), key, policy, options),
  };
}

type ListMethods = Pick<
  Engine,
  "listKeys" | "listValues" | "countKeys" | "batchGetKeys" | "batchSetKeys" | "batchDeleteKeys"
>;

function listMethods({ collection, target, long }: Parts): ListMethods {
  return {
    listKeys: (scope, storeName, page, options) =>
      long(scope.collection, options, (from) => reads.listKeys(from, scope, storeName, page, options)),
    listValues: (scope, storeName, page, options) =>
      long(scope.collection, options, (from) => reads.listValues(from, scope, storeName, page, options)),
    countKeys: (scope, storeName, prefix, options) =>
      long(scope.collection, options, (from) => reads.countKeys(from, scope, storeName, prefix, options)),
    batchGetKeys: async (scope, storeName, keys, values, options) =>
      reads.batchGetKeys(collection(scope.collection, options), scope, storeName, keys, values),
    batchSetKeys: async (scope, storeName, entries, options) =>
      writes.batchSetKeys(target(scope, storeName), entries, options),
    batchDeleteKeys: async (scope, storeName, keys, options) =>
      writes.batchDeleteKeys(target(scope, storeName), keys, options),
  };
}

type GlobalMethods = Pick<
  Engine,
  "hasStoreGlobal" | "listStoresGlobal" | "countStoresGlobal" | "deleteStoreGlobal"
>;

function globalMethods({ writer, long }: Parts): GlobalMethods {
  return {
    hasStoreGlobal: (name, storeName, options) =>
      long(name, options, (from) => stores.hasStoreGlobal(from, storeName, options)),
    listStoresGlobal: (name, page, options) =>
      long(name, options, (from) => stores.listStoresGlobal(from, page, options)),
    countStoresGlobal: (name, options) =>
      long(name, options, (from) => stores.countStoresGlobal(from, options)),
    deleteStoreGlobal: (name, storeName, options) =>
      long(name, options, (from) => deletions.deleteStoreGlobal(writer, from, storeName, options)),
  };
}
