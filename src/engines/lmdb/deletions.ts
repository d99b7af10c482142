import type { CallOptions, GlobalDeletion } from "../../store/engine.js";
import { type Collection, readState } from "./collection.js";
import { type Bytes, readKeys } from "./environment.js";
import { after, contextKey, prefixEnd, splitEvictableKey } from "./keys.js";
import { isLive, type StoredRecord } from "./record.js";
import { Turns } from "./snapshot.js";
import { storesNamed } from "./stores.js";
import { inParts, type Submit, type Writer } from "./writer.js";

/** Documents deleted in one transaction. */
const CHUNK = 128;

/** What a deletion of many goes over. */
interface Selection {
  readonly database: (collection: Collection) => Bytes;
  readonly start: Buffer;
  readonly end: Buffer;
  readonly documentKey: (key: Buffer) => Buffer;
}

/** The documents of one store or of a whole context, by their keys. */
function documentsIn(prefix: Buffer, end: Buffer): Selection {
  return { database: ({ databases }) => databases.documents, start: prefix, end, documentKey: (key) => key };
}

/** Those of them that may be evicted. */
function evictablesIn(prefix: Buffer, end: Buffer): Selection {
  return {
    database: ({ databases }) => databases.evictables,
    start: prefix,
    end,
    documentKey: (key) => splitEvictableKey(key).document,
  };
}

/** Documents of a store: its key, NUL, key. */
function storeRange(store: Buffer): readonly [Buffer, Buffer] {
  const prefix = after(store);
  return [prefix, prefixEnd(prefix)];
}

/** The last change that can be read now. */
function lastRevision({ environment, name }: Collection): number {
  return readState(environment.meta, name).revision;
}

/**
 * Deletes what was live at the change numbered `bound` and was not changed since, in slices that let other writes in
 * between. What it meets expired goes as expired and is not counted.
 */
async function deleteMany(
  submit: Submit,
  collection: Collection,
  selection: Selection,
  options: CallOptions | undefined,
  bound: number,
): Promise<number> {
  const turns = new Turns(collection.environment, options?.signal);
  let deleted = 0;
  let { start } = selection;
  for (;;) {
    await turns.rest();
    const found = readKeys(selection.database(collection), { start, end: selection.end, limit: CHUNK });
    const last = found.at(-1);
    if (last === undefined) return deleted;
    const keys = found.map(selection.documentKey);
    const gone = await submit({
      collection,
      signal: options?.signal,
      apply: (batch) =>
        keys.filter((key) => {
          const existing = batch.read(key);
          if (existing === undefined || isLater(existing.record, bound)) return false;
          batch.remove(key, existing);
          return isLive(existing.record, batch.now);
        }),
    });
    deleted += gone.length;
    if (found.length < CHUNK) return deleted;
    start = after(last);
  }
}

function isLater(record: StoredRecord, revision: number): boolean {
  return record.revision > revision;
}

function deleteSelection(
  writer: Writer,
  collection: Collection,
  selection: Selection,
  options: CallOptions | undefined,
): Promise<number> {
  const bound = lastRevision(collection);
  return inParts(writer, (submit) => deleteMany(submit, collection, selection, options, bound));
}

/** See Engine.deleteStore. `store` is a store key. */
export function deleteStore(
  writer: Writer,
  collection: Collection,
  store: Buffer,
  options: CallOptions | undefined,
): Promise<number> {
  return deleteSelection(writer, collection, documentsIn(...storeRange(store)), options);
}

/** See Engine.clearCache, for one store. `store` is a store key. */
export function clearStoreCache(
  writer: Writer,
  collection: Collection,
  store: Buffer,
  options: CallOptions | undefined,
): Promise<number> {
  return deleteSelection(writer, collection, evictablesIn(...storeRange(store)), options);
}

/** See Engine.clearCache, for all stores of a context. */
export function clearContextCache(
  writer: Writer,
  collection: Collection,
  datasetId: string,
  options: CallOptions | undefined,
): Promise<number> {
  const context = contextKey(datasetId);
  return deleteSelection(writer, collection, evictablesIn(context, prefixEnd(context)), options);
}

/** See Engine.cleanup. */
export function cleanup(
  writer: Writer,
  collection: Collection,
  datasetId: string,
  options: CallOptions | undefined,
): Promise<number> {
  const context = contextKey(datasetId);
  return deleteSelection(writer, collection, documentsIn(context, prefixEnd(context)), options);
}

/** See Engine.deleteStoreGlobal. */
export function deleteStoreGlobal(
  writer: Writer,
  collection: Collection,
  storeName: string,
  options: CallOptions | undefined,
): Promise<GlobalDeletion> {
  const bound = lastRevision(collection);
  return inParts(writer, async (submit) => {
    let stores = 0;
    let documents = 0;
    for await (const store of storesNamed(collection, storeName, options)) {
      const selection = documentsIn(...storeRange(store));
      const deleted = await deleteMany(submit, collection, selection, options, bound);
      documents += deleted;
      if (deleted > 0) stores += 1;
    }
    return { stores, documents };
  });
}
