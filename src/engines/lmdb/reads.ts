import type { KeyDocument, Scope } from "../../store/document.js";
import type { BatchResult, CallOptions, Page, PageRequest, ValueRequest } from "../../store/engine.js";
import type { Collection } from "./collection.js";
import { readEntries, readKeys } from "./environment.js";
import {
  after,
  canHold,
  canHoldStore,
  DocumentKeys,
  documentKey,
  evictableFrom,
  prefixEnd,
  splitEvictableKey,
  storeKey,
  timeKey,
  toBound,
} from "./keys.js";
import { decodeRecord, isBlob, isLive, keyDocument, type StoredRecord, valueLength } from "./record.js";
import { type Snapshot, Turns, withSnapshot } from "./snapshot.js";
import { decodeStoreRecord } from "./store-record.js";

/** Documents read between two looks at the clock. */
const CHUNK = 256;
/** What a document takes in an answer besides its key and its value, in bytes. */
export const DOCUMENT_OVERHEAD_BYTES = 64;

/** A record on disk, live or not; without `withValue` an inline value is left out and nothing is copied. */
export function readRecord(
  collection: Collection,
  key: Buffer,
  withValue: boolean,
): StoredRecord | undefined {
  const { documents } = collection.databases;
  const bytes = documents.getBinaryFast(key);
  return bytes === undefined ? undefined : decodeRecord(bytes, withValue ? "copy" : "none");
}

/**
 * A record's value. Without a transaction, call it in the turn of the event loop that read the record: a later one may
 * not find it.
 */
export function readValue(
  collection: Collection,
  record: StoredRecord,
  options?: Snapshot["options"],
): Uint8Array | undefined {
  if (!isBlob(record.value)) return record.value;
  const blob = collection.databases.blobs.get(timeKey(record.value.revision), options);
  if (blob === undefined) throw new Error("a document refers to a value that is not there");
  return blob;
}

function readLive(
  collection: Collection,
  key: Buffer,
  withValue: boolean,
  now = collection.clock.now(),
): StoredRecord | undefined {
  const record = readRecord(collection, key, withValue);
  return record !== undefined && isLive(record, now) ? record : undefined;
}

/** See Engine.getKey. */
export function getKey(
  collection: Collection,
  scope: Scope,
  storeName: string,
  key: string,
  withValue: boolean,
): KeyDocument | undefined {
  if (!canHold(storeName, key)) return undefined;
  const record = readLive(collection, documentKey(scope.datasetId, storeName, key), withValue);
  if (record === undefined) return undefined;
  const value = withValue ? readValue(collection, record) : undefined;
  return keyDocument(scope.datasetId, storeName, key, record, value, collection.etags);
}

/** See Engine.hasKey. */
export function hasKey(collection: Collection, scope: Scope, storeName: string, key: string): boolean {
  if (!canHold(storeName, key)) return false;
  return readLive(collection, documentKey(scope.datasetId, storeName, key), false) !== undefined;
}

/** See Engine.batchGetKeys. */
export function batchGetKeys(
  collection: Collection,
  scope: Scope,
  storeName: string,
  keys: readonly string[],
  values: ValueRequest,
): BatchResult {
  const documents: (KeyDocument | undefined)[] = [];
  const documentKeys = new DocumentKeys(scope.datasetId, storeName);
  const now = collection.clock.now();
  let bytes = 0;
  let found = false;
  for (const key of keys) {
    const record = canHold(storeName, key)
      ? readLive(collection, documentKeys.of(key), values.withValue, now)
      : undefined;
    if (record === undefined) {
      documents.push(undefined);
      continue;
    }
    bytes += DOCUMENT_OVERHEAD_BYTES + (values.withValue ? valueLength(record.value) : 0);
    if (found && bytes > values.maxBytes) break;
    found = true;
    const value = values.withValue ? readValue(collection, record) : undefined;
    documents.push(keyDocument(scope.datasetId, storeName, key, record, value, collection.etags));
  }
  return { documents };
}

interface DocumentRange {
  readonly start: Buffer;
  readonly end: Buffer;
  /** Bytes of a document key before the key proper. */
  readonly skip: number;
}

function keyRange(
  scope: Scope,
  storeName: string,
  prefix: string,
  cursor: string | undefined,
): DocumentRange {
  const first = documentKey(scope.datasetId, storeName, "");
  const from = prefix === "" ? after(first) : documentKey(scope.datasetId, storeName, prefix);
  return {
    start: toBound(cursor === undefined ? from : after(documentKey(scope.datasetId, storeName, cursor))),
    end: prefixEnd(toBound(prefix === "" ? first : from)),
    skip: first.length,
  };
}

/** Whether keys of the store have expired that are still on disk. */
function hasExpired(collection: Collection, store: Buffer, now: number): boolean {
  const range = { start: evictableFrom(store, 0), end: evictableFrom(store, now + 1), limit: 1 };
  return readKeys(collection.databases.evictables, range).length > 0;
}

/** See Engine.listKeys. */
export async function listKeys(
  collection: Collection,
  scope: Scope,
  storeName: string,
  page: PageRequest<string>,
  options: CallOptions | undefined,
): Promise<Page<string, string>> {
  if (!canHoldStore(storeName)) return { items: [], next: undefined };
  const turns = new Turns(collection.environment, options?.signal);
  const { databases, clock } = collection;
  const store = storeKey(scope.datasetId, storeName);
  const { start, end, skip } = keyRange(scope, storeName, page.prefix, page.after);
  const items: string[] = [];
  let from = start;
  for (;;) {
    const limit = Math.min(CHUNK, page.limit - items.length);
    const keys = readKeys(databases.documents, { start: from, end, limit });
    // Keys alone do not tell what has expired; there is hardly ever something, since it is removed at once.
    const mixed = hasExpired(collection, store, clock.now());
    for (const key of keys) {
      if (!mixed || readLive(collection, key, false) !== undefined) items.push(key.toString("utf8", skip));
    }
    const last = keys.at(-1);
    if (last === undefined || keys.length < limit) return { items, next: undefined };
    if (items.length >= page.limit) return { items, next: last.toString("utf8", skip) };
    from = after(last);
    await turns.rest();
  }
}

/** See Engine.listValues. */
export async function listValues(
  collection: Collection,
  scope: Scope,
  storeName: string,
  page: PageRequest<string> & ValueRequest,
  options: CallOptions | undefined,
): Promise<Page<KeyDocument, string>> {
  if (!canHoldStore(storeName)) return { items: [], next: undefined };
  const turns = new Turns(collection.environment, options?.signal);
  const { start, end, skip } = keyRange(scope, storeName, page.prefix, page.after);
  const items: KeyDocument[] = [];
  let bytes = 0;
  let from = start;
  let passed: string | undefined;
  for (;;) {
    const now = collection.clock.now();
    const limit = Math.min(CHUNK, page.limit - items.length);
    const entries = readEntries(collection.databases.documents, { start: from, end, limit });
    for (const { key, value: recordBytes } of entries) {
      const record = decodeRecord(recordBytes, page.withValue ? "view" : "none");
      const name = key.toString("utf8", skip);
      if (isLive(record, now)) {
        bytes += DOCUMENT_OVERHEAD_BYTES + name.length + (page.withValue ? valueLength(record.value) : 0);
        if (items.length > 0 && bytes > page.maxBytes) return { items, next: passed };
        const value = page.withValue ? readValue(collection, record) : undefined;
        items.push(keyDocument(scope.datasetId, storeName, name, record, value, collection.etags));
      }
      passed = name;
    }
    const last = entries.at(-1);
    if (last === undefined || entries.length < limit) return { items, next: undefined };
    if (items.length >= page.limit) return { items, next: passed };
    from = after(last.key);
    await turns.rest();
  }
}

/** See Engine.countKeys: what is on disk, less what has expired, both as of one snapshot. */
export function countKeys(
  collection: Collection,
  scope: Scope,
  storeName: string,
  prefix: string,
  options: CallOptions | undefined,
): Promise<number> {
  return withSnapshot(collection.environment, options?.signal, async (snapshot) => {
    if (!canHoldStore(storeName)) return 0;
    const store = storeKey(scope.datasetId, storeName);
    const bytes = snapshot.get(collection.databases.stores, store);
    if (bytes === undefined) return 0;
    const record = decodeStoreRecord(bytes);
    const onDisk =
      prefix === ""
        ? record.keys
        : await countOnDisk(collection, snapshot, keyRange(scope, storeName, prefix, undefined));
    if (onDisk === 0 || record.expiring === 0) return onDisk;
    const from = documentKey(scope.datasetId, storeName, prefix);
    return onDisk - (await countExpired(collection, snapshot, store, from));
  });
}

async function countOnDisk(
  collection: Collection,
  snapshot: Snapshot,
  range: DocumentRange,
): Promise<number> {
  let count = 0;
  for await (const keys of snapshot.keys(collection.databases.documents, range.start, range.end)) {
    count += keys.length;
  }
  return count;
}

/** Expired keys on disk whose document keys start with `from`; the store's own document is no key. */
async function countExpired(
  collection: Collection,
  snapshot: Snapshot,
  store: Buffer,
  from: Buffer,
): Promise<number> {
  const end = evictableFrom(store, collection.clock.now() + 1);
  let count = 0;
  for await (const keys of snapshot.keys(collection.databases.evictables, evictableFrom(store, 0), end)) {
    for (const key of keys) {
      const { document } = splitEvictableKey(key);
      const isKey = document.length > store.length + 1;
      if (isKey && document.subarray(0, from.length).equals(from)) count += 1;
    }
  }
  return count;
}
