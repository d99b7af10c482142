import type { Scope, StoreDocument } from "../../store/document.js";
import type { CallOptions, GlobalCursor, Page, PageRequest } from "../../store/engine.js";
import type { Collection } from "./collection.js";
import { readEntries, readKeys } from "./environment.js";
import {
  after,
  CONTEXTS_END,
  canHoldStore,
  contextKey,
  datasetIdOf,
  documentKey,
  evictableFrom,
  FIRST_CONTEXT,
  NO_TIME,
  namePrefix,
  prefixEnd,
  splitEvictableKey,
  storeKey,
  storeKeyOfNameKey,
  storeNameOfStoreKey,
  toBound,
} from "./keys.js";
import { readRecord, readValue } from "./reads.js";
import { isLive, toStoreDocument } from "./record.js";
import { type Snapshot, Turns, withSnapshot } from "./snapshot.js";
import { decodeStoreRecord, type StoreRecord } from "./store-record.js";

/** Store records read between two looks at the clock. */
const CHUNK = 64;

/** Whether a store exists at a time: live keys, or a live document of its own. */
function exists(
  collection: Collection,
  key: Buffer,
  record: StoreRecord,
  now: number,
  options?: Snapshot["options"],
): boolean {
  if (record.keys > record.expiring) return true;
  if (record.hasDocument && isLive({ expiresAt: record.documentExpiresAt }, now)) return true;
  if (record.expiring === 0) return false;
  // Every key expires: the store lives as long as the last one.
  const last = readKeys(collection.databases.evictables, {
    start: evictableFrom(key, NO_TIME),
    end: evictableFrom(key, 0),
    reverse: true,
    limit: 1,
    ...options,
  }).at(0);
  return last !== undefined && splitEvictableKey(last).time > now;
}

function storeExists(collection: Collection, key: Buffer): boolean {
  const bytes = collection.databases.stores.get(key);
  return bytes !== undefined && exists(collection, key, decodeStoreRecord(bytes), collection.clock.now());
}

/** See Engine.hasStore. */
export function hasStore(collection: Collection, scope: Scope, storeName: string): boolean {
  return canHoldStore(storeName) && storeExists(collection, storeKey(scope.datasetId, storeName));
}

/** See Engine.hasStoreGlobal. */
export async function hasStoreGlobal(
  collection: Collection,
  storeName: string,
  options: CallOptions | undefined,
): Promise<boolean> {
  for await (const key of storesNamed(collection, storeName, options)) {
    if (storeExists(collection, key)) return true;
  }
  return false;
}

/** The store keys of all contexts that have a store of this name on disk. */
export async function* storesNamed(
  collection: Collection,
  storeName: string,
  options: CallOptions | undefined,
): AsyncGenerator<Buffer> {
  if (!canHoldStore(storeName)) return;
  const turns = new Turns(collection.environment, options?.signal);
  const prefix = namePrefix(storeName);
  let start = prefix;
  for (;;) {
    const keys = readKeys(collection.databases.names, { start, end: prefixEnd(prefix), limit: CHUNK });
    for (const key of keys) yield storeKeyOfNameKey(key);
    const last = keys.at(-1);
    if (last === undefined || keys.length < CHUNK) return;
    start = after(last);
    await turns.rest();
  }
}

/** See Engine.getStore. */
export function getStore(collection: Collection, scope: Scope, storeName: string): StoreDocument | undefined {
  if (!hasStore(collection, scope, storeName)) return undefined;
  const record = readRecord(collection, documentKey(scope.datasetId, storeName, ""), true);
  const live = record !== undefined && isLive(record, collection.clock.now()) ? record : undefined;
  const metadata = live === undefined ? undefined : readValue(collection, live);
  return toStoreDocument(scope.datasetId, storeName, live, metadata, collection.etags);
}

/**
 * A page over store records from `start` on. `prefix` applies to the names; contexts without a match are jumped
 * over.
 */
async function pageOfStores<Item, Cursor>(
  collection: Collection,
  range: { readonly start: Buffer; readonly end: Buffer; readonly prefix: string; readonly limit: number },
  toItem: (key: Buffer) => Item,
  toCursor: (key: Buffer) => Cursor,
  options: CallOptions | undefined,
): Promise<Page<Item, Cursor>> {
  const turns = new Turns(collection.environment, options?.signal);
  const now = collection.clock.now();
  const items: Item[] = [];
  let start = range.start;
  for (;;) {
    const entries = readEntries(collection.databases.stores, { start, end: range.end, limit: CHUNK });
    let jump: Buffer | undefined;
    for (const { key, value } of entries) {
      jump = jumpTo(key, range.prefix);
      if (jump !== undefined) break;
      if (exists(collection, key, decodeStoreRecord(value), now)) items.push(toItem(key));
      if (items.length === range.limit) return { items, next: toCursor(key) };
    }
    const last = entries.at(-1);
    if (last === undefined || (jump === undefined && entries.length < CHUNK))
      return { items, next: undefined };
    start = jump ?? after(last.key);
    await turns.rest();
  }
}

/** Where to go on if a store's name has not the prefix: to the first with it, in this context or the next. */
function jumpTo(key: Buffer, prefix: string): Buffer | undefined {
  if (prefix === "") return undefined;
  const first = storeKey(datasetIdOf(key), prefix);
  if (key.subarray(0, first.length).equals(first)) return undefined;
  return Buffer.compare(key, first) < 0 ? toBound(first) : prefixEnd(contextKey(datasetIdOf(key)));
}

/** See Engine.listStores. */
export function listStores(
  collection: Collection,
  scope: Scope,
  page: PageRequest<string>,
  options: CallOptions | undefined,
): Promise<Page<string, string>> {
  const first = toBound(storeKey(scope.datasetId, page.prefix));
  return pageOfStores(
    collection,
    {
      start: page.after === undefined ? first : toBound(after(storeKey(scope.datasetId, page.after))),
      end: prefixEnd(first),
      prefix: "",
      limit: page.limit,
    },
    storeNameOfStoreKey,
    storeNameOfStoreKey,
    options,
  );
}

/** See Engine.listStoresGlobal. */
export function listStoresGlobal(
  collection: Collection,
  page: PageRequest<GlobalCursor>,
  options: CallOptions | undefined,
): Promise<Page<StoreDocument, GlobalCursor>> {
  const { after: cursor } = page;
  const now = collection.clock.now();
  return pageOfStores(
    collection,
    {
      start:
        cursor === undefined ? FIRST_CONTEXT : toBound(after(storeKey(cursor.datasetId, cursor.storeName))),
      end: CONTEXTS_END,
      prefix: page.prefix,
      limit: page.limit,
    },
    (key) => {
      const datasetId = datasetIdOf(key);
      const storeName = storeNameOfStoreKey(key);
      const record = readRecord(collection, documentKey(datasetId, storeName, ""), false);
      const live = record !== undefined && isLive(record, now) ? record : undefined;
      return toStoreDocument(datasetId, storeName, live, undefined, collection.etags);
    },
    (key) => ({ datasetId: datasetIdOf(key), storeName: storeNameOfStoreKey(key) }),
    options,
  );
}

function countRange(
  collection: Collection,
  start: Buffer,
  end: Buffer,
  options: CallOptions | undefined,
): Promise<number> {
  return withSnapshot(collection.environment, options?.signal, async (snapshot) => {
    const now = collection.clock.now();
    let count = 0;
    for await (const keys of snapshot.keys(collection.databases.stores, start, end)) {
      for (const key of keys) {
        const bytes = snapshot.get(collection.databases.stores, key);
        if (bytes === undefined) continue;
        if (exists(collection, key, decodeStoreRecord(bytes), now, snapshot.options)) count += 1;
      }
    }
    return count;
  });
}

/** See Engine.countStores. */
export function countStores(
  collection: Collection,
  scope: Scope,
  options: CallOptions | undefined,
): Promise<number> {
  const context = contextKey(scope.datasetId);
  return countRange(collection, context, prefixEnd(context), options);
}

/** See Engine.countStoresGlobal. */
export function countStoresGlobal(collection: Collection, options: CallOptions | undefined): Promise<number> {
  return countRange(collection, FIRST_CONTEXT, CONTEXTS_END, options);
}
