import type { ChangeSource } from "./changes.js";
import type { KeyDocument, Policy, Scope, StoreDocument } from "./document.js";

/** What accompanies every call. */
export interface CallOptions {
  /**
   * Ends the call. A read, or a write that has not begun, then throws `signal.reason`; a write that has begun
   * may finish or throw. Work in slices checks it at every slice.
   */
  readonly signal?: AbortSignal;
}

/** What a set writes besides the key. */
export interface Write {
  /** A BSON document with the one field `value`, at most MAX_VALUE_BYTES; stored as these bytes. */
  readonly value: Uint8Array;
  /** Whole milliseconds, greater than 0; undefined: the key does not expire. */
  readonly ttlMs: number | undefined;
  /** Ignored where there is a ttl: the key is then "evict". */
  readonly policy: Policy;
}

/** What a compare-and-set writes. Without ttl: no policy keeps policy and expiry, "persist" removes the expiry, "evict" keeps it. */
export interface ConditionalWrite {
  readonly value: Uint8Array;
  readonly ttlMs: number | undefined;
  readonly policy: Policy | undefined;
}

/** What must be there for a compare-and-set to write: an equal value (see value/equal.ts) or exactly this version. */
export type Expectation = { readonly value: Uint8Array } | { readonly etag: string };

/** Result of an unconditional set; `document` comes without its value. */
export interface SetResult {
  readonly document: KeyDocument;
  /** Whether no live document had the key before. */
  readonly created: boolean;
}

/** Result of a conditional set; `document` is the live one after the call, without its value. */
export interface ConditionalSetResult {
  readonly set: boolean;
  readonly document: KeyDocument | undefined;
}

/** One entry of a batch. */
export interface BatchEntry extends Write {
  readonly key: string;
}

/** Which part of a list to answer. */
export interface PageRequest<Cursor> {
  /** Only names that start with it; empty matches all. */
  readonly prefix: string;
  /** Exclusive: the `next` of the page before; undefined for the first page. */
  readonly after: Cursor | undefined;
  /** The most items, at least 1. */
  readonly limit: number;
}

/** Part of a list. It may be short, or empty, while `next` is set. */
export interface Page<Item, Cursor> {
  readonly items: readonly Item[];
  /** Where the next page starts; undefined after the last. */
  readonly next: Cursor | undefined;
}

/** Whether values come along, and how many bytes of them. */
export interface ValueRequest {
  readonly withValue: boolean;
  /** The answer is cut before the stored values exceed it, but never below one document. */
  readonly maxBytes: number;
}

/** A place in the list of all contexts' stores. */
export interface GlobalCursor {
  readonly datasetId: string;
  readonly storeName: string;
}

/** Result of reading many keys. */
export interface BatchResult {
  /** One per key asked for, in order, up to the cut; undefined where the key is missing. */
  readonly documents: readonly (KeyDocument | undefined)[];
}

/** Result of deleting a store everywhere. */
export interface GlobalDeletion {
  /** Pairs of store and context that had a live document deleted. */
  readonly stores: number;
  /** Live documents deleted, store documents included. */
  readonly documents: number;
}

/**
 * What a storage engine promises. Everything above it, the wire included, relies on this text alone.
 *
 * **Arguments** are valid when they arrive: names well-formed and not empty, `datasetId` empty or 24 lower-case hex
 * digits, `collection` one of those the engine was opened with, values well-formed BSON, the key never STORE_KEY.
 * Engines do not check them again. What is written (`createStore`, the sets, the updates) has a name within the
 * limits of limits.ts and without NUL. All other methods find what is there by names of any length and content, NUL
 * included, since other writers may have made them. Cursors may be as long, prefixes up to their own limit. An engine
 * that cannot hold such a name answers as for one that is not there.
 *
 * **Time** is the store's clock, in whole milliseconds, and never goes back. A document is live before its
 * `expiresAt` and gone from that millisecond on: not read, listed or counted, no conflict; a set then creates,
 * with a new `createdAt`. Nothing revives it. Removal from disk follows within a second.
 *
 * **Versions.** `updatedAt` of a key, or of a store document, grows strictly with every change, across
 * deletion and re-creation, too. (Over a database that others write, and that keeps nothing of what was deleted: with
 * every change but those that overlap a deletion of the same key.) `etag` changes with every change and never returns.
 *
 * **Consistency.** Operations on one key are linearizable. A write is durable before its promise resolves, and
 * nothing that could still be lost is ever read.
 *
 * **Errors.** Everything that can be foreseen is an answer; StoreError is thrown for `storeNotFound`-like facts
 * only where a method says so, and for faults (UNAVAILABLE, RESOURCE_EXHAUSTED, INTERNAL). Every StoreError of a
 * write has an `outcome`. A fault that rejects with anything else counts as INTERNAL with an outcome of UNKNOWN.
 *
 * **Order** is that of UTF-8 bytes; lists over all contexts go by dataset id (none first), then store name. What
 * is there throughout a listing appears in exactly one of its pages.
 *
 * **Deletions of many** (`deleteStore`, `clearCache`, `cleanup`, `deleteStoreGlobal`) remove every document that
 * was live when the call began and was not rewritten since. They are not atomic: an error may leave a part, and
 * repeating is safe. They count live documents, store documents included, and never hold up other calls for more
 * than a few milliseconds.
 *
 * **Cost.** Store listings and counts cost what the number of stores costs, whatever the number of keys. Pages
 * cost what they answer. No method reads values that were not asked for.
 */
export interface Engine {
  /** Gives the store its own document. Throws STORE_ALREADY_EXISTS if it has a live one. */
  createStore(
    scope: Scope,
    storeName: string,
    metadata: Uint8Array | undefined,
    policy: Policy,
    options?: CallOptions,
  ): Promise<StoreDocument>;
  /** The store with its metadata, or undefined if it does not exist. */
  getStore(scope: Scope, storeName: string, options?: CallOptions): Promise<StoreDocument | undefined>;
  /** A store exists while it has a live document of its own or at least one live key. */
  hasStore(scope: Scope, storeName: string, options?: CallOptions): Promise<boolean>;
  listStores(scope: Scope, page: PageRequest<string>, options?: CallOptions): Promise<Page<string, string>>;
  countStores(scope: Scope, options?: CallOptions): Promise<number>;
  deleteStore(scope: Scope, storeName: string, options?: CallOptions): Promise<number>;
  /** Deletes what is "evict" or has an expiry, from one store or (undefined) from all of the context. */
  clearCache(scope: Scope, storeName: string | undefined, options?: CallOptions): Promise<number>;
  /** Deletes every store of the context. */
  cleanup(scope: Scope, options?: CallOptions): Promise<number>;

  /** Replaces value, policy and expiry together, or creates. */
  setKey(
    scope: Scope,
    storeName: string,
    key: string,
    write: Write,
    options?: CallOptions,
  ): Promise<SetResult>;
  /** Creates, or leaves the live document as it is. */
  setKeyIfAbsent(
    scope: Scope,
    storeName: string,
    key: string,
    write: Write,
    options?: CallOptions,
  ): Promise<ConditionalSetResult>;
  /** Compares and writes in one atomic step, also against other writers. A missing key is `set: false`. */
  compareAndSetKey(
    scope: Scope,
    storeName: string,
    key: string,
    expected: Expectation,
    write: ConditionalWrite,
    options?: CallOptions,
  ): Promise<ConditionalSetResult>;
  getKey(
    scope: Scope,
    storeName: string,
    key: string,
    withValue: boolean,
    options?: CallOptions,
  ): Promise<KeyDocument | undefined>;
  hasKey(scope: Scope, storeName: string, key: string, options?: CallOptions): Promise<boolean>;
  /** Deletes a live key; with an etag only that version. Answers whether it did. */
  deleteKey(
    scope: Scope,
    storeName: string,
    key: string,
    etag: string | undefined,
    options?: CallOptions,
  ): Promise<boolean>;
  /** Sets the expiry to now + ttl and the policy to "evict"; undefined if the key is missing. Without the value. */
  updateTtl(
    scope: Scope,
    storeName: string,
    key: string,
    ttlMs: number,
    options?: CallOptions,
  ): Promise<KeyDocument | undefined>;
  /** Sets the policy; "persist" removes the expiry, "evict" keeps it. Undefined if the key is missing. Without the value. */
  updatePolicy(
    scope: Scope,
    storeName: string,
    key: string,
    policy: Policy,
    options?: CallOptions,
  ): Promise<KeyDocument | undefined>;

  listKeys(
    scope: Scope,
    storeName: string,
    page: PageRequest<string>,
    options?: CallOptions,
  ): Promise<Page<string, string>>;
  listValues(
    scope: Scope,
    storeName: string,
    page: PageRequest<string> & ValueRequest,
    options?: CallOptions,
  ): Promise<Page<KeyDocument, string>>;
  /** Counts live keys that start with `prefix`; never holds up other calls for more than a few milliseconds. */
  countKeys(scope: Scope, storeName: string, prefix: string, options?: CallOptions): Promise<number>;
  /** Reads distinct keys. Where the answer is cut, `documents` is shorter than `keys`. */
  batchGetKeys(
    scope: Scope,
    storeName: string,
    keys: readonly string[],
    values: ValueRequest,
    options?: CallOptions,
  ): Promise<BatchResult>;
  /** Sets distinct keys, each as setKey does, and answers in order. Not atomic across keys. */
  batchSetKeys(
    scope: Scope,
    storeName: string,
    entries: readonly BatchEntry[],
    options?: CallOptions,
  ): Promise<readonly SetResult[]>;
  /** Deletes keys and answers how many were live. Not atomic. */
  batchDeleteKeys(
    scope: Scope,
    storeName: string,
    keys: readonly string[],
    options?: CallOptions,
  ): Promise<number>;

  hasStoreGlobal(collection: string, storeName: string, options?: CallOptions): Promise<boolean>;
  /** Without metadata. */
  listStoresGlobal(
    collection: string,
    page: PageRequest<GlobalCursor>,
    options?: CallOptions,
  ): Promise<Page<StoreDocument, GlobalCursor>>;
  countStoresGlobal(collection: string, options?: CallOptions): Promise<number>;
  deleteStoreGlobal(collection: string, storeName: string, options?: CallOptions): Promise<GlobalDeletion>;

  /** Waits for changes that have begun, ends long reads and deletions with SHUTTING_DOWN, and frees everything. Idempotent. */
  close(): Promise<void>;
}

/** An engine whose changes can be watched. */
export interface WatchableEngine extends Engine {
  /** The changes of a collection's keys. */
  changes(collection: string): ChangeSource;
}
