import { randomUUID } from "node:crypto";
import type { Policy } from "../store/document.js";
import { invalidField } from "../store/errors.js";
import { checkIterable } from "./check-iterable.js";
import type { KeyDocument, KeyMetadata } from "./documents.js";
import { beforeSending } from "./errors.js";
import { Mirror, type MirrorOptions } from "./mirror.js";
import type {
  CallOptions,
  CompareAndSetOptions,
  DeleteKeyOptions,
  Expectation,
  ListOptions,
  PrefixOptions,
  ServiceOptions,
  SetCacheOptions,
  SetOptions,
} from "./options.js";
import type { Pager } from "./pager.js";
import { ExecutionStoreService } from "./service.js";
import { type StoreCallback, Subscription, type SubscriptionErrorHandler } from "./subscription.js";
import type { Watch } from "./watch.js";
import type { StoreWatchOptions, WatchTuning } from "./watch-options.js";

/** How a store is opened. */
export interface ExecutionStoreOptions extends ServiceOptions {
  /** Where a setting call names no policy; never for compareAndSet. @default "persist" */
  readonly defaultPolicy?: Policy | undefined;
  /**
   * A service whose connection to use, in the context of `datasetId` and `collectionName` as given here; the options
   * about connecting then count for nothing, and closing the store leaves the service open.
   */
  readonly service?: ExecutionStoreService | undefined;
}

/** What a subscription is about, and how it is kept. */
export interface SubscribeOptions extends Pick<WatchTuning, "retry" | "onInterruption"> {
  /** Only keys that start with it. @default "" */
  readonly keyPrefix?: string | undefined;
  /**
   * Hears what the callback throws, after which the subscription goes on; and of the StoreError that ends the
   * subscription, if the store cannot be watched (see Watch).
   *
   * @default a warning of the process, by default on stderr
   */
  readonly onError?: SubscriptionErrorHandler | undefined;
}

/**
 * One store: keys with values, a time to live and a policy. It need not be created on the server before; it exists
 * there while it has a key. Values, errors and repetition are as in ExecutionStoreService, and so are the options of
 * the methods: `signal` and `timeoutMs` everywhere.
 *
 * @example
 * const store = ExecutionStore.create("results");
 * await store.set("image-17", { sha256: "9f86d0…", width: 640 });
 * await store.setCache("thumbnail-17", thumbnailBytes, { ttl: 600 });
 * const result = await store.get<Result>("image-17"); // undefined if it is not there
 * await store.close();
 */
export class ExecutionStore {
  /** The name of the store. */
  readonly storeName: string;
  /** Where a setting call names no policy. */
  readonly defaultPolicy: Policy;
  /** The service behind it, in this store's context. */
  readonly service: ExecutionStoreService;
  readonly #ownsService: boolean;
  readonly #subscriptions = new Map<string, { close(): void }>();

  private constructor(storeName: string, options: ExecutionStoreOptions) {
    const { service, defaultPolicy = "persist" } = options;
    if (defaultPolicy !== "persist" && defaultPolicy !== "evict") {
      throw invalidField(
        "POLICY_INVALID",
        "defaultPolicy",
        'is neither "persist" nor "evict"; expected one of these two',
      );
    }
    this.storeName = storeName;
    this.defaultPolicy = defaultPolicy;
    this.service = service?.withContext(options) ?? new ExecutionStoreService(options);
    this.#ownsService = service === undefined;
  }

  /**
   * Opens a store. Nothing is sent yet. Throws StoreError CLIENT_OPTION_INVALID, DATASET_ID_INVALID or
   * POLICY_INVALID.
   *
   * @example
   * const store = ExecutionStore.create("results", { datasetId: "65f0c1d2e3a4b5c6d7e8f901", defaultPolicy: "evict" });
   */
  static create(storeName: string, options: ExecutionStoreOptions = {}): ExecutionStore {
    return new ExecutionStore(storeName, options);
  }

  /** The dataset whose store this is, as 24 lower-case hex digits; undefined: tied to no dataset. */
  get datasetId(): string | undefined {
    return this.service.datasetId;
  }

  /** Lists the names of all stores of this store's context. */
  listStores(options?: ListOptions): Pager<string> {
    return this.service.listStores(options);
  }

  /** Reads a value; undefined if the key is not there. */
  async get<T = unknown>(key: string, options?: CallOptions): Promise<T | undefined> {
    const document = await this.service.getKey<T>(this.storeName, key, only(options));
    return document?.value;
  }

  /** Sets a key, replacing value, policy and expiry together. Without a ttl it does not expire. */
  async set(key: string, value: unknown, options: SetOptions = {}): Promise<KeyMetadata> {
    const { document } = await this.service.setKey(this.storeName, key, value, this.#withPolicy(options));
    return document;
  }

  /** Sets a key with policy "evict": clearCache may remove it, and so does its ttl, if any. */
  async setCache(key: string, value: unknown, options?: SetCacheOptions): Promise<KeyMetadata> {
    const { document } = await this.service.setCacheKey(this.storeName, key, value, options);
    return document;
  }

  /** Sets a key only if it is not there, and answers whether this call did. The primitive for locks and claims. */
  async setIfAbsent(key: string, value: unknown, options: SetOptions = {}): Promise<boolean> {
    const { set } = await this.service.setKeyIfAbsent(this.storeName, key, value, this.#withPolicy(options));
    return set;
  }

  /**
   * Sets a key only if its present value, or its version, is the expected one, and answers whether this call did.
   * Without ttl and policy both stay as they were.
   *
   * @example
   * const next = (await store.get<number>("counter") ?? 0) + 1;
   * const won = await store.compareAndSet("counter", { expected: next - 1 }, next);
   */
  async compareAndSet(
    key: string,
    expectation: Expectation,
    value: unknown,
    options?: CompareAndSetOptions,
  ): Promise<boolean> {
    const { set } = await this.service.compareAndSetKey(this.storeName, key, expectation, value, options);
    return set;
  }

  /** Deletes a key, or only one version of it, and answers whether this call did. */
  delete(key: string, options?: DeleteKeyOptions): Promise<boolean> {
    return this.service.deleteKey(this.storeName, key, options);
  }

  /** Whether a key is there. */
  has(key: string, options?: CallOptions): Promise<boolean> {
    return this.service.hasKey(this.storeName, key, options);
  }

  /** Deletes the store with all its keys and answers how many live documents these were. Not atomic. */
  clear(options?: CallOptions): Promise<number> {
    return this.service.deleteStore(this.storeName, options);
  }

  /** Deletes what has policy "evict" or an expiry, and answers how many live documents these were. Not atomic. */
  clearCache(options?: CallOptions): Promise<number> {
    return this.service.clearCache(this.storeName, options);
  }

  /** Lets a key expire `ttl` seconds from now and makes its policy "evict". Rejects with KEY_NOT_FOUND. */
  updateTtl(key: string, ttl: number, options?: CallOptions): Promise<KeyMetadata> {
    return this.service.updateTtl(this.storeName, key, ttl, options);
  }

  /** Changes a key's policy: "persist" takes its expiry away, "evict" leaves it. Rejects with KEY_NOT_FOUND. */
  updatePolicy(key: string, policy: Policy, options?: CallOptions): Promise<KeyMetadata> {
    return this.service.updatePolicy(this.storeName, key, policy, options);
  }

  /** What is known of a key besides its value; undefined if it is not there. */
  getMetadata(key: string, options?: CallOptions): Promise<KeyMetadata | undefined> {
    return this.service.getKey(this.storeName, key, { ...only(options), encoding: "none" });
  }

  /** Lists the keys, in byte order of UTF-8. */
  listKeys(options?: ListOptions): Pager<string> {
    return this.service.listKeys(this.storeName, options);
  }

  /** Lists the documents, ordered as listKeys. */
  listValues<T = unknown>(options: ListOptions = {}): Pager<KeyDocument<T>> {
    const { signal, timeoutMs, prefix, pageSize } = options;
    return this.service.listValues<T>(this.storeName, { signal, timeoutMs, prefix, pageSize });
  }

  /** Counts the keys. */
  count(options?: PrefixOptions): Promise<number> {
    return this.service.countKeys(this.storeName, options);
  }

  /** Reads many values, by key; keys that are not there are left out. Together they are no snapshot. */
  async getMany<T = unknown>(keys: Iterable<string>, options?: CallOptions): Promise<Map<string, T>> {
    const documents = await this.service.batchGetKeys<T>(this.storeName, keys, only(options));
    return new Map(Array.from(documents, ([key, { value }]) => [key, value]));
  }

  /**
   * Sets many keys with one ttl and policy, given as pairs or as a Map. Not atomic.
   *
   * @example
   * await store.setMany(Object.entries({ a: 1, b: 2 }), { ttl: 60 });
   */
  async setMany(entries: Iterable<readonly [string, unknown]>, options: SetOptions = {}): Promise<void> {
    const { ttl, policy } = this.#withPolicy(options);
    const pairs = beforeSending(true, () => checkIterable(entries, "entries", "pairs of key and value"));
    const list = Array.from(pairs, ([key, value]) => ({ key, value, ttl, policy }));
    await this.service.batchSetKeys(this.storeName, list, only(options));
  }

  /** Deletes many keys and answers how many were live. Not atomic. */
  deleteMany(keys: Iterable<string>, options?: CallOptions): Promise<number> {
    return this.service.batchDeleteKeys(this.storeName, keys, options);
  }

  /**
   * Watches the store: every change from now on, or first what is there, or what came after a token; see Watch.
   *
   * @example
   * for await (const event of store.watch({ key: "progress", snapshot: true })) {
   *   if ("document" in event) console.log(event.document.value);
   * }
   */
  watch<T = unknown>(options: StoreWatchOptions = {}): Watch<T> {
    const own = { storeName: this.storeName, allContexts: false, encoding: "plain" } as const;
    return this.service.watchKeys<T>({ ...options, ...own });
  }

  /** Opens a map of the store in this process's memory that a watch keeps current; close it after use. See Mirror. */
  mirror<T = unknown>(options: MirrorOptions = {}): Mirror<T> {
    return new Mirror<T>(this.#watchAll<T>(options));
  }

  /**
   * Calls back with the current state, a message for each key, then with every change, once and in order, until
   * unsubscribe() or close(). What the callback returns is awaited before its next message; other subscriptions do not
   * wait for it. Messages have the shape that FiftyOne's have. Where changes cannot be told one by one any more (see
   * Watch), those that are left are told as one per key.
   *
   * @returns an id for unsubscribe()
   */
  subscribe<T = unknown>(callback: StoreCallback<T>, options: SubscribeOptions = {}): string {
    const { onError } = options;
    const watch = this.#watchAll<T>(options);
    const subscription = new Subscription<T>({ watch, datasetId: this.datasetId, callback, onError });
    const id = randomUUID();
    this.#subscriptions.set(id, subscription);
    void subscription.run().finally(() => this.#subscriptions.delete(id));
    return id;
  }

  /** Ends a subscription: its callback is not called again. Answers whether there was one. */
  unsubscribe(id: string): boolean {
    this.#subscriptions.get(id)?.close();
    return this.#subscriptions.delete(id);
  }

  /** Ends subscriptions and closes the connection, unless it is that of a service that was given. Idempotent. */
  async close(): Promise<void> {
    for (const id of this.#subscriptions.keys()) this.unsubscribe(id);
    if (this.#ownsService) await this.service.close();
  }

  /** As close; for `await using` in TypeScript, and in JavaScript where the runtime has it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What is there, then every change, also over lost history. */
  #watchAll<T>(options: MirrorOptions): Watch<T> {
    const { keyPrefix, progressIntervalMs, bufferEvents, bufferBytes, retry, onInterruption } = options;
    const tuning = { progressIntervalMs, bufferEvents, bufferBytes, retry, onInterruption };
    return this.watch<T>({ ...tuning, keyPrefix, snapshot: true, onHistoryLost: "snapshot" });
  }

  #withPolicy(options: SetOptions): SetOptions {
    return { ...options, policy: options.policy ?? this.defaultPolicy };
  }
}

/** What every call takes, and nothing else that an object may carry. */
function only(options: CallOptions = {}): CallOptions {
  const { signal, timeoutMs } = options;
  return { signal, timeoutMs };
}
