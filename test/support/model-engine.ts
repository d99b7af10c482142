import type { KeyDocument, Scope, StoreDocument } from "../../src/store/document.js";
import type {
  CallOptions,
  ConditionalSetResult,
  ConditionalWrite,
  Expectation,
  GlobalCursor,
  Page,
  PageRequest,
  SetResult,
  ValueRequest,
  WatchableEngine,
  Write,
} from "../../src/store/engine.js";
import { StoreError, storeAlreadyExists } from "../../src/store/errors.js";
import { equalValues } from "../../src/value/equal.js";
import { type Content, type Entry, ModelDocuments, type Place } from "./model-documents.js";

/** How to make a model. */
export interface ModelEngineOptions {
  /**
   * The clock, in milliseconds since 1970; it may stand still or go back, the model's own time does not.
   *
   * @default Date.now
   */
  readonly now?: () => number;
}

/** Order of the UTF-8 bytes. */
function compareUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function compareCursors(a: GlobalCursor, b: GlobalCursor): number {
  return compareUtf8(a.datasetId, b.datasetId) || compareUtf8(a.storeName, b.storeName);
}

function copy(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes === undefined ? undefined : Uint8Array.from(bytes);
}

function versionOf({
  createdAt,
  updatedAt,
  expiresAt,
  policy,
  etag,
}: Entry): Omit<Entry, keyof Place | "bytes"> {
  return { createdAt, updatedAt, expiresAt, policy, etag };
}

function keyDocument(entry: Entry, withValue: boolean): KeyDocument {
  const { datasetId, storeName, key = "" } = entry;
  return { datasetId, storeName, key, ...versionOf(entry), value: withValue ? copy(entry.bytes) : undefined };
}

function storeDocument(entries: readonly Entry[], place: GlobalCursor, withMetadata: boolean): StoreDocument {
  const entry = entries.find(({ key }) => key === undefined);
  const own = entry && { ...versionOf(entry), metadata: withMetadata ? copy(entry.bytes) : undefined };
  return { datasetId: place.datasetId, storeName: place.storeName, own };
}

/** Sorted and distinct items after the cursor, cut at the limit. */
function pageOf<Item>(
  items: readonly Item[],
  compare: (a: Item, b: Item) => number,
  { after, limit }: Pick<PageRequest<Item>, "after" | "limit">,
): Page<Item, Item> {
  const sorted = items.toSorted(compare);
  const distinct = sorted.filter((item, index) => {
    const previous = sorted[index - 1];
    return previous === undefined || compare(previous, item) !== 0;
  });
  const rest = distinct.filter((item) => after === undefined || compare(item, after) > 0);
  const page = rest.slice(0, limit);
  return { items: page, next: rest.length > page.length ? page.at(-1) : undefined };
}

/** How many of the values fit: all before the sum exceeds `maxBytes`, but one at least. */
function fitting(entries: readonly (Entry | undefined)[], { withValue, maxBytes }: ValueRequest): number {
  let bytes = 0;
  let documents = 0;
  for (const [index, entry] of entries.entries()) {
    if (entry === undefined) continue;
    bytes += withValue ? (entry.bytes?.length ?? 0) : 0;
    if (bytes > maxBytes && documents > 0) return index;
    documents += 1;
  }
  return entries.length;
}

function written({ value, ttlMs, policy }: Write, time: number): Content {
  const bytes = copy(value);
  return ttlMs === undefined
    ? { bytes, expiresAt: undefined, policy }
    : { bytes, expiresAt: time + ttlMs, policy: "evict" };
}

function rewritten(before: Entry, { value, ttlMs, policy }: ConditionalWrite, time: number): Content {
  if (ttlMs !== undefined) return written({ value, ttlMs, policy: "evict" }, time);
  const expiresAt = policy === "persist" ? undefined : before.expiresAt;
  return { bytes: copy(value), expiresAt, policy: policy ?? before.policy };
}

function isExpected(entry: Entry, expected: Expectation): boolean {
  if ("etag" in expected) return entry.etag === expected.etag;
  return entry.bytes !== undefined && equalValues(entry.bytes, expected.value);
}

function inScope({ collection, datasetId }: Scope): (entry: Entry) => boolean {
  return (entry) => entry.collection === collection && entry.datasetId === datasetId;
}

function inStore(scope: Scope, storeName: string): (entry: Entry) => boolean {
  return (entry) => inScope(scope)(entry) && entry.storeName === storeName;
}

function isCache({ policy, expiresAt }: Entry): boolean {
  return policy === "evict" || expiresAt !== undefined;
}

function countPairs(entries: readonly Entry[]): number {
  return new Set(entries.map(({ datasetId, storeName }) => JSON.stringify([datasetId, storeName]))).size;
}

/**
 * The Engine interface in memory, by the simplest means: the oracle that real engines are compared with. Correct
 * by inspection, not fast; every call costs what all documents cost, and nothing is ever forgotten.
 */
export function createModelEngine(options: ModelEngineOptions = {}): WatchableEngine {
  const documents = new ModelDocuments(options.now ?? Date.now);
  let closed = false;

  function begin(call: CallOptions | undefined): void {
    if (closed) {
      throw new StoreError("SHUTTING_DOWN", "the store is closed; open it again", { outcome: "NOT_APPLIED" });
    }
    call?.signal?.throwIfAborted();
    documents.tick();
  }

  function keysOf(scope: Scope, storeName: string, prefix: string): Entry[] {
    const ofStore = inStore(scope, storeName);
    return documents.select((entry) => ofStore(entry) && entry.key?.startsWith(prefix) === true);
  }

  function set(scope: Scope, storeName: string, key: string, write: Write): SetResult {
    const { entry, created } = documents.put({ ...scope, storeName, key }, (time) => written(write, time));
    return { document: keyDocument(entry, false), created };
  }

  function update(
    place: Place,
    contentAt: (before: Entry, time: number) => Content,
  ): KeyDocument | undefined {
    const before = documents.find(place);
    if (before === undefined) return undefined;
    return keyDocument(documents.put(place, (time) => contentAt(before, time)).entry, false);
  }

  function compareAndSet(place: Place, expected: Expectation, write: ConditionalWrite): ConditionalSetResult {
    const before = documents.find(place);
    if (before === undefined) return { set: false, document: undefined };
    if (!isExpected(before, expected)) return { set: false, document: keyDocument(before, false) };
    return { set: true, document: update(place, (entry, time) => rewritten(entry, write, time)) };
  }

  function batchGet(scope: Scope, storeName: string, keys: readonly string[], values: ValueRequest) {
    const entries = keys.map((key) => documents.find({ ...scope, storeName, key }));
    const answered = entries.slice(0, fitting(entries, values));
    return { documents: answered.map((entry) => entry && keyDocument(entry, values.withValue)) };
  }

  function listValues(scope: Scope, storeName: string, page: PageRequest<string> & ValueRequest) {
    const { items, next } = pageOf(
      keysOf(scope, storeName, page.prefix).map(({ key = "" }) => key),
      compareUtf8,
      page,
    );
    const found = items.flatMap((key) => documents.find({ ...scope, storeName, key }) ?? []);
    const kept = found.slice(0, fitting(found, page));
    const cut = kept.length < found.length;
    return {
      items: kept.map((entry) => keyDocument(entry, page.withValue)),
      next: cut ? kept.at(-1)?.key : next,
    };
  }

  function listStoresGlobal(collection: string, page: PageRequest<GlobalCursor>) {
    const entries = documents.select(
      (entry) => entry.collection === collection && entry.storeName.startsWith(page.prefix),
    );
    const { items, next } = pageOf<GlobalCursor>(
      entries.map(({ datasetId, storeName }) => ({ datasetId, storeName })),
      compareCursors,
      page,
    );
    const stores = items.map((place) =>
      storeDocument(
        entries.filter((entry) => compareCursors(entry, place) === 0),
        place,
        false,
      ),
    );
    return { items: stores, next };
  }

  function storeNames(scope: Scope, page: PageRequest<string>): Page<string, string> {
    const names = documents.select(inScope(scope)).map(({ storeName }) => storeName);
    return pageOf(
      names.filter((name) => name.startsWith(page.prefix)),
      compareUtf8,
      page,
    );
  }

  /** A method whose work is one synchronous step. */
  function step<Args extends unknown[], Result>(
    call: CallOptions | undefined,
    work: (...args: Args) => Result,
    ...args: Args
  ): Promise<Result> {
    return new Promise((resolve) => {
      begin(call);
      resolve(work(...args));
    });
  }

  return {
    createStore: (scope, storeName, metadata, policy, call) =>
      step(call, () => {
        const place = { ...scope, storeName, key: undefined };
        if (documents.find(place) !== undefined) throw storeAlreadyExists(storeName);
        const { entry } = documents.put(place, () => ({
          bytes: copy(metadata),
          expiresAt: undefined,
          policy,
        }));
        return storeDocument([entry], entry, true);
      }),
    getStore: (scope, storeName, call) =>
      step(call, () => {
        const entries = documents.select(inStore(scope, storeName));
        const place = { datasetId: scope.datasetId, storeName };
        return entries.length === 0 ? undefined : storeDocument(entries, place, true);
      }),
    hasStore: (scope, storeName, call) =>
      step(call, () => documents.select(inStore(scope, storeName)).length > 0),
    listStores: (scope, page, call) => step(call, storeNames, scope, page),
    countStores: (scope, call) => step(call, () => countPairs(documents.select(inScope(scope)))),
    deleteStore: (scope, storeName, call) =>
      step(call, () => documents.remove(inStore(scope, storeName)).length),
    clearCache: (scope, storeName, call) =>
      step(call, () => {
        const matches = storeName === undefined ? inScope(scope) : inStore(scope, storeName);
        return documents.remove((entry) => matches(entry) && isCache(entry)).length;
      }),
    cleanup: (scope, call) => step(call, () => documents.remove(inScope(scope)).length),

    setKey: (scope, storeName, key, write, call) => step(call, set, scope, storeName, key, write),
    setKeyIfAbsent: (scope, storeName, key, write, call) =>
      step(call, () => {
        const current = documents.find({ ...scope, storeName, key });
        if (current !== undefined) return { set: false, document: keyDocument(current, false) };
        return { set: true, document: set(scope, storeName, key, write).document };
      }),
    compareAndSetKey: (scope, storeName, key, expected, write, call) =>
      step(call, compareAndSet, { ...scope, storeName, key }, expected, write),
    getKey: (scope, storeName, key, withValue, call) =>
      step(call, () => {
        const entry = documents.find({ ...scope, storeName, key });
        return entry && keyDocument(entry, withValue);
      }),
    hasKey: (scope, storeName, key, call) =>
      step(call, () => documents.find({ ...scope, storeName, key }) !== undefined),
    deleteKey: (scope, storeName, key, etag, call) =>
      step(call, () => {
        const current = documents.find({ ...scope, storeName, key });
        if (current === undefined || (etag !== undefined && etag !== current.etag)) return false;
        documents.remove((entry) => entry === current);
        return true;
      }),
    updateTtl: (scope, storeName, key, ttlMs, call) =>
      step(call, update, { ...scope, storeName, key }, ({ bytes }, time) => {
        return { bytes, expiresAt: time + ttlMs, policy: "evict" } as const;
      }),
    updatePolicy: (scope, storeName, key, policy, call) =>
      step(call, update, { ...scope, storeName, key }, ({ bytes, expiresAt }) => {
        return { bytes, expiresAt: policy === "persist" ? undefined : expiresAt, policy };
      }),

    listKeys: (scope, storeName, page, call) =>
      step(call, () => {
        const keys = keysOf(scope, storeName, page.prefix).map(({ key = "" }) => key);
        return pageOf(keys, compareUtf8, page);
      }),
    listValues: (scope, storeName, page, call) => step(call, listValues, scope, storeName, page),
    countKeys: (scope, storeName, prefix, call) => step(call, () => keysOf(scope, storeName, prefix).length),
    batchGetKeys: (scope, storeName, keys, values, call) =>
      step(call, batchGet, scope, storeName, keys, values),
    batchSetKeys: (scope, storeName, entries, call) =>
      step(call, () => entries.map((entry) => set(scope, storeName, entry.key, entry))),
    batchDeleteKeys: (scope, storeName, keys, call) =>
      step(call, () => {
        const ofStore = inStore(scope, storeName);
        const wanted = new Set<string | undefined>(keys);
        return documents.remove((entry) => ofStore(entry) && entry.key !== undefined && wanted.has(entry.key))
          .length;
      }),

    hasStoreGlobal: (collection, storeName, call) =>
      step(call, () => {
        return (
          documents.select((entry) => entry.collection === collection && entry.storeName === storeName)
            .length > 0
        );
      }),
    listStoresGlobal: (collection, page, call) => step(call, listStoresGlobal, collection, page),
    countStoresGlobal: (collection, call) =>
      step(call, () => countPairs(documents.select((entry) => entry.collection === collection))),
    deleteStoreGlobal: (collection, storeName, call) =>
      step(call, () => {
        const removed = documents.remove(
          (entry) => entry.collection === collection && entry.storeName === storeName,
        );
        return { stores: countPairs(removed), documents: removed.length };
      }),

    changes() {
      throw new Error("the model has no history");
    },
    close: () => {
      closed = true;
      return Promise.resolve();
    },
  };
}
