import type { Scope } from "../../store/document.js";
import type { CallOptions, Engine } from "../../store/engine.js";
import { StoreError } from "../../store/errors.js";
import { Clock } from "./clock.js";
import { type Collection, openCollection } from "./collection.js";
import * as deletions from "./deletions.js";
import { type Environment, openEnvironment } from "./environment.js";
import { storeKey } from "./keys.js";
import * as reads from "./reads.js";
import * as stores from "./stores.js";
import { type Sweeper, startSweeper } from "./sweeper.js";
import { openWriter, type Writer } from "./writer.js";
import * as writes from "./writes.js";

/** How to open the embedded engine. */
export interface LmdbEngineOptions {
  /** The database directory; made if it is not there. One process at a time owns it. */
  readonly path: string;
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
export interface LmdbEngine extends Engine {
  /** Removes what has expired, and history beyond its bounds, now instead of within a moment. */
  sweep(): Promise<void>;
}

const HOUR_MS = 3_600_000;
const DEFAULT_HISTORY_BYTES = 256 * 1024 * 1024;

/** What the methods share. */
interface Parts {
  readonly environment: Environment;
  readonly writer: Writer;
  readonly sweeper: Sweeper;
  /** Throws once the engine is closed, or the call aborted. */
  readonly collection: (name: string, options?: CallOptions) => Collection;
  readonly target: (scope: Scope, storeName: string) => writes.Target;
}

/**
 * Opens the embedded engine: LMDB, in one directory, owned by one process.
 *
 * @throws StoreError DIRECTORY_IN_USE, FORMAT_UNKNOWN or DIRECTORY_UNUSABLE
 */
export async function openLmdbEngine(options: LmdbEngineOptions): Promise<LmdbEngine> {
  const environment = await openEnvironment(options.path, options.collections.length);
  const clock = new Clock(options.now ?? Date.now);
  const collections = new Map(
    options.collections.map((name) => [name, openCollection(environment, name, clock)]),
  );
  const writer = openWriter(environment);
  const sweeper = startSweeper(
    writer,
    [...collections.values()],
    {
      maxAgeMs: options.historyTimeMs ?? HOUR_MS,
      maxBytes: options.historyBytes ?? DEFAULT_HISTORY_BYTES,
    },
    options.onBackgroundError ?? (() => undefined),
  );
  let closing: Promise<void> | undefined;
  const parts: Parts = {
    environment,
    writer,
    sweeper,
    collection(name, call) {
      call?.signal?.throwIfAborted();
      if (closing !== undefined) {
        throw new StoreError("SHUTTING_DOWN", "the database is closing; try again in a moment", {
          outcome: "NOT_APPLIED",
        });
      }
      const collection = collections.get(name);
      if (collection === undefined) throw new Error("a collection that the engine was not opened with");
      return collection;
    },
    target: (scope, storeName) => ({
      writer,
      collection: parts.collection(scope.collection),
      scope,
      storeName,
    }),
  };
  const close = async (): Promise<void> => {
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
    close: () => (closing ??= close()),
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

function storeMethods({ environment, writer, collection, target }: Parts): StoreMethods {
  return {
    createStore: async (scope, storeName, metadata, policy, options) =>
      writes.createStore(target(scope, storeName), metadata, policy, options),
    getStore: async (scope, storeName, options) =>
      stores.getStore(collection(scope.collection, options), scope, storeName),
    hasStore: async (scope, storeName, options) =>
      stores.hasStore(collection(scope.collection, options), scope, storeName),
    listStores: async (scope, page, options) =>
      stores.listStores(collection(scope.collection, options), scope, page, options),
    countStores: async (scope, options) =>
      stores.countStores(environment, collection(scope.collection), scope, options),
    deleteStore: async (scope, storeName, options) =>
      deletions.deleteStore(
        writer,
        collection(scope.collection),
        storeKey(scope.datasetId, storeName),
        options,
      ),
    clearCache: async (scope, storeName, options) =>
      storeName === undefined
        ? deletions.clearContextCache(writer, collection(scope.collection), scope.datasetId, options)
        : deletions.clearStoreCache(
            writer,
            collection(scope.collection),
            storeKey(scope.datasetId, storeName),
            options,
          ),
    cleanup: async (scope, options) =>
      deletions.cleanup(writer, collection(scope.collection), scope.datasetId, options),
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

function listMethods({ environment, collection, target }: Parts): ListMethods {
  return {
    listKeys: async (scope, storeName, page, options) =>
      reads.listKeys(collection(scope.collection, options), scope, storeName, page, options),
    listValues: async (scope, storeName, page, options) =>
      reads.listValues(collection(scope.collection, options), scope, storeName, page, options),
    countKeys: async (scope, storeName, prefix, options) =>
      reads.countKeys(environment, collection(scope.collection), scope, storeName, prefix, options),
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

function globalMethods({ environment, writer, collection }: Parts): GlobalMethods {
  return {
    hasStoreGlobal: async (name, storeName, options) =>
      stores.hasStoreGlobal(collection(name, options), storeName, options),
    listStoresGlobal: async (name, page, options) =>
      stores.listStoresGlobal(collection(name, options), page, options),
    countStoresGlobal: async (name, options) =>
      stores.countStoresGlobal(environment, collection(name), options),
    deleteStoreGlobal: async (name, storeName, options) =>
      deletions.deleteStoreGlobal(writer, collection(name), storeName, options),
  };
}
