import type { Scope } from "../../store/document.js";
import type { CallOptions, GlobalDeletion } from "../../store/engine.js";
import { type Collection, readState } from "./collection.js";
import { type Bytes, readKeys } from "./environment.js";
import {
  after,
  canHoldStore,
  contextKey,
  documentKey,
  prefixEnd,
  splitEvictableKey,
  storePrefix,
} from "./keys.js";
import { isLive } from "./record.js";
import { Turns } from "./snapshot.js";
import { storesNamed } from "./stores.js";
import { inParts, type Submit, type Writer } from "./writer.js";

/** Documents deleted in one transaction. */
const CHUNK = 128;

/** What a deletion of many goes over. */
export interface Selection {
  readonly database: (collection: Collection) => Bytes;
  readonly start: Buffer;
  readonly end: Buffer;
  readonly documentKey: (key: Buffer) => Buffer;
}

/** The documents whose keys start with a prefix. */
export function documentsIn(prefix: Buffer): Selection {
  return {
    database: ({ databases }) => databases.documents,
    start: prefix,
    end: prefixEnd(prefix),
    documentKey: (key) => key,
  };
}

/** Those of them that may be evicted. */
export function evictablesIn(prefix: Buffer): Selection {
  return {
    database: ({ databases }) => databases.evictables,
    start: prefix,
    end: prefixEnd(prefix),
    documentKey: (key) => splitEvictableKey(key).document,
  };
}

/** What a selection by prefix has of one store: nothing, if the store cannot be here. */
export function inStore(
  select: (prefix: Buffer) => Selection,
  { datasetId }: Scope,
  storeName: string,
): Selection {
  if (canHoldStore(storeName)) return select(documentKey(datasetId, storeName, ""));
  const all = select(contextKey(datasetId));
  return { ...all, end: all.start };
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
          if (existing === undefined || existing.record.revision > bound) return false;
          batch.remove(key, existing);
          return isLive(existing.record, batch.now);
        }),
    });
    deleted += gone.length;
    if (found.length < CHUNK) return deleted;
    start = after(last);
  }
}

/** See Engine.deleteStore, clearCache and cleanup. */
export function deleteSelection(
  writer: Writer,
  collection: Collection,
  selection: Selection,
  options: CallOptions | undefined,
): Promise<number> {
  const bound = lastRevision(collection);
  return inParts(writer, (submit) => deleteMany(submit, collection, selection, options, bound));
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
      const selection = documentsIn(storePrefix(store));
      const deleted = await deleteMany(submit, collection, selection, options, bound);
      documents += deleted;
      if (deleted > 0) stores += 1;
    }
    return { stores, documents };
  });
}
