import { setTimeout as delay } from "node:timers/promises";
import type { ChangeSource } from "../../store/changes.js";
import type { Scope } from "../../store/document.js";
import type { CallOptions, Engine, WatchableEngine } from "../../store/engine.js";
import { type MongoCollection, openCollection } from "./collection.js";
import {
  type ConnectOptions,
  createMongoConnection,
  type MongoConnection,
  type MongoEvent,
} from "./connection.js";
import { countKeys } from "./count-keys.js";
import * as deletions from "./deletions.js";
import { databaseUnreachable, closing as shuttingDown } from "./errors.js";
import { watchIndexes } from "./index-watch.js";
import { type Indexes, openIndexes } from "./indexes.js";
import { batchDeleteKeys, type KeyWrites, openKeyWrites } from "./key-writes.js";
import * as reads from "./reads.js";
import { RunningCalls } from "./running-calls.js";
import * as stores from "./stores.js";
import { type Sweeper, startSweeper } from "./sweeper.js";
import type { Target } from "./versions.js";
import type { ImagesOption } from "./watch/images.js";
import { createSource, type MongoSource } from "./watch/source.js";
import { WatchConnection } from "./watch/watch-connection.js";
import * as writes from "./writes.js";

/** How to reach a MongoDB. */
export interface MongoEngineOptions {
  /** `mongodb://…` or `mongodb+srv://…`; its path names the database. @default database execution_store */
  readonly uri: string;
  /** The collections to serve. */
  readonly collections: readonly string[];
  /** Hears what an operator may want to know, and of faults in the background. @default nobody */
  readonly onEvent?: (event: MongoEvent) => void;
  /** The longest time between two looks for what has expired, in ms. @default 200 */
  readonly sweepIntervalMs?: number;
  /**
   * Whether a collection that is watched has MongoDB keep its pre- and post-images from then on: "off" leaves it as it
   * is. Without images, watches cannot resume nor show previous documents. @default "auto"
   */
  readonly images?: ImagesOption;
}

/** The engine over MongoDB, and what only it has. */
export interface MongoEngine extends WatchableEngine {
  /**
   * Connects, makes the indexes, and starts to sweep. Until then every call is refused with DATABASE_UNREACHABLE.
   *
   * @throws StoreError DATABASE_UNREACHABLE or DATABASE_UNUSABLE, or the signal's reason
   */
  connect(options?: Pick<ConnectOptions, "timeoutMs" | "signal">): Promise<void>;
  /** Removes what has expired, now instead of within a moment. */
  sweep(): Promise<void>;
}

/** How long closing waits for calls of single keys and batches, in ms. */
const CLOSE_WITHIN_MS = 5_000;

/** A collection with what joins its calls. */
interface Served {
  readonly documents: MongoCollection;
  readonly keyReads: reads.KeyReads;
  readonly keyWrites: KeyWrites;
  readonly indexes: Indexes;
  readonly source: MongoSource;
}

/** What the methods share. */
interface Parts {
  /** Throws before the connection is made, and once a call is aborted. */
  readonly served: (name: string, options: CallOptions | undefined) => Served;
  readonly collection: (name: string, options: CallOptions | undefined) => MongoCollection;
}

/** Makes the engine and connects it. Throws what connect() throws, and DATABASE_URI_INVALID. */
export async function openMongoEngine(
  options: MongoEngineOptions & Pick<ConnectOptions, "timeoutMs" | "signal">,
): Promise<MongoEngine> {
  const engine = createMongoEngine(options);
  try {
    await engine.connect(options);
    return engine;
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/**
 * Makes the engine over MongoDB, which is not connected yet.
 *
 * @throws StoreError DATABASE_URI_INVALID; its message follows the name of the option that gave the URI
 */
export function createMongoEngine(options: MongoEngineOptions): MongoEngine {
  const onEvent = options.onEvent ?? (() => undefined);
  const connection = createMongoConnection({ uri: options.uri, onEvent });
  const watchConnection = new WatchConnection(options.uri);
  const served = new Map<string, Served>();
  let upkeep: Sweeper | undefined;
  let closing: Promise<void> | undefined;
  const prepare = async (): Promise<void> => {
    for (const name of options.collections) {
      served.set(name, await serve({ connection, watchConnection, onEvent, ...options }, name));
    }
  };
  const brief = new RunningCalls();
  const close = async (): Promise<void> => {
    for (const { source } of served.values()) source.close();
    await Promise.race([brief.settled(), delay(CLOSE_WITHIN_MS, undefined, { ref: false })]);
    await upkeep?.close();
    // Whatever still runs ends with SHUTTING_DOWN.
    await Promise.all([connection.close(), watchConnection.close()]);
    await brief.settled();
  };
  const find = (name: string, callOptions: CallOptions | undefined): Served => {
    callOptions?.signal?.throwIfAborted();
    if (closing !== undefined) throw shuttingDown("write", "NOT_APPLIED");
    const found = served.get(name);
    if (found !== undefined) return found;
    if (options.collections.includes(name)) throw databaseUnreachable("write", "NOT_APPLIED");
    throw new Error("a collection that the engine was not made for");
  };
  const sources = new Map<string, ChangeSource>();
  const parts: Parts = {
    served: find,
    collection: (name, callOptions) => find(name, callOptions).documents,
  };
  return {
    ...storeMethods(parts),
    ...brief.tracking(keyMethods(parts)),
    ...listMethods(parts),
    ...brief.tracking(batchMethods(parts)),
    ...globalMethods(parts),
    async connect({ timeoutMs, signal } = {}) {
      await connection.connect({
        prepare,
        ...(timeoutMs !== undefined && { timeoutMs }),
        ...(signal !== undefined && { signal }),
      });
      upkeep = startUpkeep(connection, served, options);
    },
    sweep: async () => upkeep?.sweep(),
    changes: (name) => {
      const known = sources.get(name);
      if (known !== undefined) return known;
      const source = changesOf((callOptions) => find(name, callOptions).source);
      sources.set(name, source);
      return source;
    },
    close: () => (closing ??= close()),
  };
}

/** Sweeps, and looks after the indexes. */
function startUpkeep(
  connection: MongoConnection,
  served: ReadonlyMap<string, Served>,
  { onEvent = () => undefined, sweepIntervalMs }: MongoEngineOptions,
): Sweeper {
  const watches = [...served].map(([collection, { indexes }]) =>
    watchIndexes({ connection, collection, indexes, onEvent }),
  );
  const message = "expired documents could not be removed; it is tried again";
  const sweeper = startSweeper(
    [...served.values()].map(({ documents }) => documents),
    {
      ...(sweepIntervalMs !== undefined && { intervalMs: sweepIntervalMs }),
      onError: (cause) => onEvent({ level: "error", message, cause }),
    },
  );
  return {
    sweep: () => sweeper.sweep(),
    close: async () => {
      for (const watch of watches) watch.close();
      await sweeper.close();
    },
  };
}

/** What a collection is served with. */
interface Serving extends Pick<MongoEngineOptions, "images"> {
  readonly connection: MongoConnection;
  readonly watchConnection: WatchConnection;
  readonly onEvent: (event: MongoEvent) => void;
}

async function serve(
  { connection, watchConnection, images = "auto", onEvent }: Serving,
  name: string,
): Promise<Served> {
  const indexes = await openIndexes(connection, name, onEvent);
  const collection = openCollection(connection, name, indexes.ready);
  return {
    documents: collection,
    keyReads: reads.openKeyReads(collection),
    keyWrites: openKeyWrites(collection),
    indexes,
    source: createSource({ collection, watchConnection, images, onEvent }),
  };
}

/** A source that is looked for at each call, since there is none before the connection is made. */
function changesOf(find: (options: CallOptions | undefined) => ChangeSource): ChangeSource {
  return {
    now: async (needs, options) => find(options).now(needs, options),
    read: async function* (after, needs, signal) {
      yield* find({ signal }).read(after, needs, signal);
    },
    snapshot: async (selector, withValues, options) => find(options).snapshot(selector, withValues, options),
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

function storeMethods({ collection }: Parts): StoreMethods {
  return {
    createStore: async (scope, storeName, metadata, policy, options) =>
      writes.createStore(collection(scope.collection, options), scope, storeName, metadata, policy, options),
    getStore: async (scope, storeName, options) =>
      stores.getStore(collection(scope.collection, options), scope, storeName, options),
    hasStore: async (scope, storeName, options) =>
      stores.hasStore(collection(scope.collection, options), scope, storeName, options),
    listStores: async (scope, page, options) =>
      stores.listStores(collection(scope.collection, options), scope, page, options),
    countStores: async (scope, options) =>
      stores.countStores(collection(scope.collection, options), scope, options),
    deleteStore: async (scope, storeName, options) =>
      deletions.deleteStore(collection(scope.collection, options), scope, storeName, options),
    clearCache: async (scope, storeName, options) =>
      deletions.clearCache(collection(scope.collection, options), scope, storeName, options),
    cleanup: async (scope, options) =>
      deletions.cleanup(collection(scope.collection, options), scope, options),
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

function targetOf(scope: Scope, storeName: string, key: string): Target {
  return { scope, storeName, key };
}

function keyMethods({ collection, served }: Parts): KeyMethods {
  return {
    setKey: async (scope, storeName, key, write, options) =>
      served(scope.collection, options).keyWrites.setKey(targetOf(scope, storeName, key), write, options),
    setKeyIfAbsent: async (scope, storeName, key, write, options) =>
      writes.setKeyIfAbsent(
        collection(scope.collection, options),
        targetOf(scope, storeName, key),
        write,
        options,
      ),
    compareAndSetKey: async (scope, storeName, key, expected, write, options) =>
      writes.compareAndSetKey(
        collection(scope.collection, options),
        targetOf(scope, storeName, key),
        expected,
        write,
        options,
      ),
    getKey: async (scope, storeName, key, withValue, options) =>
      served(scope.collection, options).keyReads.getKey(targetOf(scope, storeName, key), withValue, options),
    hasKey: async (scope, storeName, key, options) => {
      const { keyReads } = served(scope.collection, options);
      return (await keyReads.getKey(targetOf(scope, storeName, key), false, options)) !== undefined;
    },
    deleteKey: async (scope, storeName, key, etag, options) =>
      writes.deleteKey(collection(scope.collection, options), targetOf(scope, storeName, key), etag, options),
    updateTtl: async (scope, storeName, key, ttlMs, options) =>
      writes.updateTtl(
        collection(scope.collection, options),
        targetOf(scope, storeName, key),
        ttlMs,
        options,
      ),
    updatePolicy: async (scope, storeName, key, policy, options) =>
      writes.updatePolicy(
        collection(scope.collection, options),
        targetOf(scope, storeName, key),
        policy,
        options,
      ),
  };
}

type ListMethods = Pick<Engine, "listKeys" | "listValues" | "countKeys">;

function listMethods({ collection }: Parts): ListMethods {
  return {
    listKeys: async (scope, storeName, page, options) =>
      reads.listKeys(collection(scope.collection, options), scope, storeName, page, options),
    listValues: async (scope, storeName, page, options) =>
      reads.listValues(collection(scope.collection, options), scope, storeName, page, options),
    countKeys: async (scope, storeName, prefix, options) =>
      countKeys(collection(scope.collection, options), scope, storeName, prefix, options),
  };
}

type BatchMethods = Pick<Engine, "batchGetKeys" | "batchSetKeys" | "batchDeleteKeys">;

function batchMethods({ collection, served }: Parts): BatchMethods {
  return {
    batchGetKeys: async (scope, storeName, keys, values, options) =>
      reads.batchGetKeys(collection(scope.collection, options), scope, storeName, keys, values, options),
    batchSetKeys: async (scope, storeName, entries, options) =>
      served(scope.collection, options).keyWrites.batchSetKeys(scope, storeName, entries, options),
    batchDeleteKeys: async (scope, storeName, keys, options) =>
      batchDeleteKeys(collection(scope.collection, options), scope, storeName, keys, options),
  };
}

type GlobalMethods = Pick<
  Engine,
  "hasStoreGlobal" | "listStoresGlobal" | "countStoresGlobal" | "deleteStoreGlobal"
>;

function globalMethods({ collection }: Parts): GlobalMethods {
  return {
    hasStoreGlobal: async (name, storeName, options) =>
      stores.hasStoreGlobal(collection(name, options), storeName, options),
    listStoresGlobal: async (name, page, options) =>
      stores.listStoresGlobal(collection(name, options), page, options),
    countStoresGlobal: async (name, options) => stores.countStoresGlobal(collection(name, options), options),
    deleteStoreGlobal: async (name, storeName, options) =>
      deletions.deleteStoreGlobal(collection(name, options), storeName, options),
  };
}
