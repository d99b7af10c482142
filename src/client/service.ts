import { StoreServiceDefinition } from "../../gen/ts/execution_store/v1/execution_store.js";
import type { Policy } from "../store/document.js";
import { isStoreError } from "../store/errors.js";
import { type BatchTarget, batchDelete, batchGet, batchSet } from "./batch.js";
import { Connection } from "./connection.js";
import { decodeDocument, decodeMetadata, decodeSetResult, decodeStore, present } from "./decode.js";
import type {
  CompareAndSetResult,
  GlobalDeletion,
  KeyMetadata,
  ReadDocument,
  SetIfAbsentResult,
  SetResult,
  StoreDocument,
  ValueEncoding,
} from "./documents.js";
import * as encode from "./encode.js";
import type {
  CallOptions,
  CompareAndSetOptions,
  ContextOptions,
  CreateStoreOptions,
  DeleteKeyOptions,
  Expectation,
  ListOptions,
  ListValuesOptions,
  PrefixOptions,
  ReadOptions,
  ServiceOptions,
  SetCacheOptions,
  SetEntry,
  SetOptions,
} from "./options.js";
import { Pager } from "./pager.js";
import { Watch } from "./watch.js";
import type { WatchOptions } from "./watch-options.js";

const methods = StoreServiceDefinition.methods;

/**
 * A client of the service: a method per RPC, with plain values in and out. `null`, booleans, numbers, strings,
 * arrays, plain objects, Maps, Dates, bigints, Uint8Arrays, ObjectIds and the other classes of the bson package are
 * values; whole numbers beyond 2^53 come back as bigint. Values travel as BSON, exact in every type; see
 * `encoding` of the reads and RawValue for those who want the bytes.
 *
 * A service sees the stores of one context: of a dataset, or of none. Methods ending in `Global` see all. It
 * connects at the first call, and again by itself when the connection is lost.
 *
 * **Errors.** Every method rejects with StoreError only; tell errors apart by `kind` or `reason`, with isStoreError.
 * On errors of writes, `outcome` says whether anything was written. A missing key or store is `undefined` for
 * getKey and getStore; updateTtl and updatePolicy reject with KEY_NOT_FOUND.
 *
 * **Repetition.** A server that cannot be reached is tried again for ten seconds (RetryOptions.waitForServerMs).
 * Calls that fail as UNAVAILABLE after they were sent are repeated a few times within their time, if that is safe:
 * reads; writes that were certainly not applied; and of unknown outcome those that may be applied twice.
 * setKeyIfAbsent, compareAndSetKey and createStore of unknown outcome reject instead: read what is there, then
 * decide. Where a repetition happened, the answer is that of the last attempt: `created`, `deleted` and counts then
 * leave out what an attempt before it did, a ttl counts from the last attempt, and what another writer wrote in
 * between is overwritten or deleted. Who cannot have that gives `retry: false`, or uses etags.
 *
 * @example
 * const service = new ExecutionStoreService({ address: "127.0.0.1:50051" });
 * await service.setKey("results", "image-17", { sha256: "9f86d0…", width: 640 }, { ttl: 3600 });
 * const document = await service.getKey("results", "image-17");
 * if (document !== undefined) console.log(document.value, document.expiresAt);
 * for await (const key of service.listKeys("results", { prefix: "image-" })) console.log(key);
 * await service.close();
 */
export class ExecutionStoreService {
  readonly #connection: Connection;
  readonly #context: encode.RequestContext;

  /**
   * Connects to nothing yet. Throws StoreError CLIENT_OPTION_INVALID or DATASET_ID_INVALID.
   *
   * @param connection shared with other services; the options about connecting then count for nothing
   */
  constructor(options: ServiceOptions = {}, connection?: Connection) {
    this.#context = encode.encodeContext(options);
    this.#connection = connection ?? new Connection(options);
  }

  /** The server's address. */
  get address(): string {
    return this.#connection.address;
  }

  /** The dataset whose stores these are, as 24 lower-case hex digits; undefined: stores tied to no dataset. */
  get datasetId(): string | undefined {
    return this.#context.datasetId === "" ? undefined : this.#context.datasetId;
  }

  /** The collection; undefined: the server's default. */
  get collectionName(): string | undefined {
    return this.#context.collectionName === "" ? undefined : this.#context.collectionName;
  }

  /** A service for another context over the same connection: closing one closes both. */
  withContext(context: ContextOptions): ExecutionStoreService {
    return new ExecutionStoreService(context, this.#connection);
  }

  /** Gives a store its own document. Rejects with STORE_ALREADY_EXISTS if it has one. */
  async createStore(storeName: string, options: CreateStoreOptions = {}): Promise<StoreDocument> {
    const request = () => ({
      ...this.#store(storeName),
      metadata: encode.metadataField(options.metadata),
      policy: encode.policyField(options.policy),
    });
    const answer = await this.#connection.call(methods.createStore, request, options);
    return decodeStore(present(answer.store));
  }

  /** Reads a store's document; undefined if the store does not exist. */
  async getStore(storeName: string, options?: CallOptions): Promise<StoreDocument | undefined> {
    try {
      const answer = await this.#connection.call(methods.getStore, () => this.#store(storeName), options);
      return decodeStore(present(answer.store));
    } catch (error) {
      if (isStoreError(error, "STORE_NOT_FOUND")) return undefined;
      throw error;
    }
  }

  /** Whether a store exists: whether it has its own document or a key. */
  async hasStore(storeName: string, options?: CallOptions): Promise<boolean> {
    return (await this.#connection.call(methods.hasStore, () => this.#store(storeName), options)).exists;
  }

  /** Lists the names of the context's stores, in byte order of UTF-8. */
  listStores(options: ListOptions = {}): Pager<string> {
    return new Pager(async (pageToken) => {
      const request = () => ({ ...this.#context, ...encode.listFields(options), pageToken });
      const answer = await this.#connection.call(methods.listStores, request, options);
      return { items: answer.storeNames, nextPageToken: answer.nextPageToken };
    });
  }

  /** Counts the context's stores. */
  async countStores(options?: CallOptions): Promise<number> {
    return Number((await this.#connection.call(methods.countStores, () => this.#context, options)).count);
  }

  /**
   * Deletes a store with all its keys and answers how many live documents these were; 0 for one that does not
   * exist. Not atomic: an error may leave a part, and repeating is safe.
   */
  async deleteStore(storeName: string, options?: CallOptions): Promise<number> {
    const answer = await this.#connection.call(methods.deleteStore, () => this.#store(storeName), options);
    return Number(answer.deletedCount);
  }

  /**
   * Deletes what has policy "evict" or an expiry, from one store or, without a name, from all stores of the context,
   * and answers how many live documents these were. Not atomic, as deleteStore.
   */
  async clearCache(storeName?: string, options?: CallOptions): Promise<number> {
    const request = () => ({ ...this.#context, storeName: encode.cacheStoreField(storeName) });
    return Number((await this.#connection.call(methods.clearCache, request, options)).deletedCount);
  }

  /** Deletes every store of the context and answers how many live documents these were, as deleteStore. */
  async cleanup(options?: CallOptions): Promise<number> {
    return Number((await this.#connection.call(methods.cleanup, () => this.#context, options)).deletedCount);
  }

  /**
   * Sets a key, replacing value, policy and expiry together, or creates it. Without a ttl it does not expire. The
   * store need not exist before.
   */
  async setKey(storeName: string, key: string, value: unknown, options: SetOptions = {}): Promise<SetResult> {
    const request = () => ({ ...this.#key(storeName, key), ...encode.writeFields(value, options) });
    const answer = await this.#connection.call(methods.setKey, request, options);
    return decodeSetResult(answer);
  }

  /** Sets a key with policy "evict": clearCache may remove it, and so does its ttl, if any. */
  async setCacheKey(
    storeName: string,
    key: string,
    value: unknown,
    options: SetCacheOptions = {},
  ): Promise<SetResult> {
    const request = () => ({
      ...this.#key(storeName, key),
      ...encode.writeFields(value, { ttl: options.ttl }),
    });
    const answer = await this.#connection.call(methods.setCacheKey, request, options);
    return decodeSetResult(answer);
  }

  /** Sets a key only if no live document has it; of any number of concurrent callers one wins. */
  async setKeyIfAbsent(
    storeName: string,
    key: string,
    value: unknown,
    options: SetOptions = {},
  ): Promise<SetIfAbsentResult> {
    const request = () => ({ ...this.#key(storeName, key), ...encode.writeFields(value, options) });
    const answer = await this.#connection.call(methods.setKeyIfAbsent, request, options);
    return { set: answer.set, document: decodeMetadata(present(answer.document)) };
  }

  /**
   * Sets a key only if its present value equals `expected`, or its version is `etag`; comparison and write are one
   * atomic step. Numbers are equal by their exact value whatever their type, the order of fields does not matter. A
   * missing key is `set: false`.
   */
  async compareAndSetKey(
    storeName: string,
    key: string,
    expectation: Expectation,
    value: unknown,
    options: CompareAndSetOptions = {},
  ): Promise<CompareAndSetResult> {
    const answer = await this.#connection.call(
      methods.compareAndSetKey,
      () => ({
        ...this.#key(storeName, key),
        ...encode.compareAndSetFields(expectation, value, options),
      }),
      options,
    );
    const { set, document } = answer;
    return { set, document: document === undefined ? undefined : decodeMetadata(document) };
  }

  /** Reads a key; undefined if it is not there. */
  async getKey<T = unknown, E extends ValueEncoding = "plain">(
    storeName: string,
    key: string,
    options: ReadOptions<E> = {},
  ): Promise<ReadDocument<T, E> | undefined> {
    try {
      const request = () => ({
        ...this.#key(storeName, key),
        encoding: encode.encodingField(options.encoding),
      });
      const answer = await this.#connection.call(methods.getKey, request, options);
      return decodeDocument<T, E>(present(answer.document), options.encoding);
    } catch (error) {
      if (isStoreError(error, "KEY_NOT_FOUND")) return undefined;
      throw error;
    }
  }

  /** Whether a key is there. */
  async hasKey(storeName: string, key: string, options?: CallOptions): Promise<boolean> {
    return (await this.#connection.call(methods.hasKey, () => this.#key(storeName, key), options)).exists;
  }

  /** Deletes a key, or only one version of it, and answers whether this call did. */
  async deleteKey(storeName: string, key: string, options: DeleteKeyOptions = {}): Promise<boolean> {
    const request = () => ({ ...this.#key(storeName, key), ...encode.etagField(options) });
    return (await this.#connection.call(methods.deleteKey, request, options)).deleted;
  }

  /** Lets a key expire `ttl` seconds from now and makes its policy "evict". Rejects with KEY_NOT_FOUND. */
  async updateTtl(storeName: string, key: string, ttl: number, options?: CallOptions): Promise<KeyMetadata> {
    const request = () => ({ ...this.#key(storeName, key), ttl: encode.ttlField(ttl) });
    const answer = await this.#connection.call(methods.updateTtl, request, options);
    return decodeMetadata(present(answer.document));
  }

  /** Changes a key's policy: "persist" takes its expiry away, "evict" leaves it. Rejects with KEY_NOT_FOUND. */
  async updatePolicy(
    storeName: string,
    key: string,
    policy: Policy,
    options?: CallOptions,
  ): Promise<KeyMetadata> {
    const request = () => ({ ...this.#key(storeName, key), policy: encode.policyField(policy) });
    const answer = await this.#connection.call(methods.updatePolicy, request, options);
    return decodeMetadata(present(answer.document));
  }

  /** Lists the keys of a store, in byte order of UTF-8. */
  listKeys(storeName: string, options: ListOptions = {}): Pager<string> {
    return new Pager(async (pageToken) => {
      const request = () => ({ ...this.#store(storeName), ...encode.listFields(options), pageToken });
      const answer = await this.#connection.call(methods.listKeys, request, options);
      return { items: answer.keys, nextPageToken: answer.nextPageToken };
    });
  }

  /** Lists the documents of a store, ordered as listKeys. */
  listValues<T = unknown, E extends ValueEncoding = "plain">(
    storeName: string,
    options: ListValuesOptions<E> = {},
  ): Pager<ReadDocument<T, E>> {
    return new Pager(async (pageToken) => {
      const request = () => ({
        ...this.#store(storeName),
        ...encode.listFields(options),
        pageToken,
        encoding: encode.encodingField(options.encoding),
      });
      const answer = await this.#connection.call(methods.listValues, request, options);
      const items = answer.documents.map((document) => decodeDocument<T, E>(document, options.encoding));
      return { items, nextPageToken: answer.nextPageToken };
    });
  }

  /** Counts the keys of a store. */
  async countKeys(storeName: string, options: PrefixOptions = {}): Promise<number> {
    const request = () => ({ ...this.#store(storeName), prefix: encode.prefixField(options.prefix) });
    return Number((await this.#connection.call(methods.countKeys, request, options)).count);
  }

  /**
   * Reads many keys of a store, in as many requests as it takes; together they are no snapshot. Answers those that
   * are there, by key, in the order of first mention.
   */
  batchGetKeys<T = unknown, E extends ValueEncoding = "plain">(
    storeName: string,
    keys: Iterable<string>,
    options: ReadOptions<E> = {},
  ): Promise<Map<string, ReadDocument<T, E>>> {
    return batchGet<T, E>(this.#batch(storeName), keys, options);
  }

  /**
   * Sets many keys of a store, each as setKey does, and answers in order. A bad entry, or a key named twice, fails
   * the call before anything is written. Not atomic: over 1,000 entries or 16 MiB it takes several requests, and an
   * error may leave a part of the keys written.
   */
  batchSetKeys(
    storeName: string,
    entries: Iterable<SetEntry>,
    options: CallOptions = {},
  ): Promise<SetResult[]> {
    return batchSet(this.#batch(storeName), entries, options);
  }

  /** Deletes many keys of a store and answers how many were live. Not atomic, as batchSetKeys. */
  batchDeleteKeys(storeName: string, keys: Iterable<string>, options: CallOptions = {}): Promise<number> {
    return batchDelete(this.#batch(storeName), keys, options);
  }

  /** Whether a store of this name exists in any context. */
  async hasStoreGlobal(storeName: string, options?: CallOptions): Promise<boolean> {
    return (await this.#connection.call(methods.hasStoreGlobal, () => this.#store(storeName), options))
      .exists;
  }

  /** Lists the stores of all contexts, by dataset id (none first), then by name; without metadata. */
  listStoresGlobal(options: ListOptions = {}): Pager<StoreDocument> {
    return new Pager(async (pageToken) => {
      const request = () => ({ ...this.#context, ...encode.listFields(options), pageToken });
      const answer = await this.#connection.call(methods.listStoresGlobal, request, options);
      return { items: answer.stores.map(decodeStore), nextPageToken: answer.nextPageToken };
    });
  }

  /** Counts the stores of all contexts: one per store and context. */
  async countStoresGlobal(options?: CallOptions): Promise<number> {
    const answer = await this.#connection.call(methods.countStoresGlobal, () => this.#context, options);
    return Number(answer.count);
  }

  /** Deletes the stores of this name in all contexts. Not atomic, as deleteStore. */
  async deleteStoreGlobal(storeName: string, options?: CallOptions): Promise<GlobalDeletion> {
    const request = () => this.#store(storeName);
    const answer = await this.#connection.call(methods.deleteStoreGlobal, request, options);
    return { stores: Number(answer.deletedStoreCount), documents: Number(answer.deletedCount) };
  }

  /**
   * Watches keys: tells every change from now on, or first what is there, or what came after a token; see Watch.
   * Without options, of every store of the context.
   */
  watchKeys<T = unknown, E extends ValueEncoding = "plain">(options: WatchOptions<E> = {}): Watch<T, E> {
    return new Watch<T, E>(this.#connection, this.#context, options);
  }

  /**
   * Takes no more calls (they reject with CLIENT_CLOSED), ends watches, waits for calls under way without repeating
   * them, and closes the connection. Idempotent.
   */
  close(): Promise<void> {
    return this.#connection.close();
  }

  /** As close; for `await using` in TypeScript, and in JavaScript where the runtime has it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #store(storeName: string): encode.RequestContext & { storeName: string } {
    return { ...this.#context, storeName: encode.storeNameField(storeName) };
  }

  #key(storeName: string, key: string): encode.RequestContext & { storeName: string; key: string } {
    return { ...this.#context, storeName: encode.storeNameField(storeName), key: encode.keyField(key) };
  }

  #batch(storeName: string): BatchTarget {
    return { connection: this.#connection, context: this.#context, storeName };
  }
}
