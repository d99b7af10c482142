import type {
  BatchDeleteKeysRequest,
  BatchGetKeysRequest,
  BatchSetKeysRequest,
  CleanupRequest,
  ClearCacheRequest,
  CompareAndSetKeyRequest,
  CountKeysRequest,
  CountStoresGlobalRequest,
  CountStoresRequest,
  CreateStoreRequest,
  DeleteKeyRequest,
  DeleteStoreGlobalRequest,
  DeleteStoreRequest,
  GetKeyRequest,
  GetStoreRequest,
  HasKeyRequest,
  HasStoreGlobalRequest,
  HasStoreRequest,
  ListKeysRequest,
  ListStoresGlobalRequest,
  ListStoresRequest,
  ListValuesRequest,
  SetCacheKeyRequest,
  SetKeyIfAbsentRequest,
  SetKeyRequest,
  StoreServiceDefinition,
  UpdatePolicyRequest,
  UpdateTtlRequest,
  WatchKeysRequest,
} from "../../gen/ts/execution_store/v1/execution_store.js";
import type { WatchableEngine } from "../store/engine.js";
import { keyNotFound, storeNotFound } from "../store/errors.js";
import { MAX_PAGE_BYTES } from "../store/limits.js";
import type { HandlerOptions, Handlers } from "./call.js";
import type { EncodedMessage } from "./definition.js";
import { measureDocument } from "./document-field.js";
import { RequestCheck } from "./request-check.js";
import {
  batchGetResponse,
  batchSetResponse,
  conditionalSetResponse,
  documentResponse,
  documentsPage,
  metadataResponse,
  namesPage,
  setResponse,
  storeMessage,
  storesPage,
} from "./responses.js";
import type { StreamMessage } from "./stream-message.js";
import { WatchKeys, type WatchOptions } from "./watch-keys.js";

/** execution_store.v1.StoreService over an engine: every method decodes, calls and encodes. */
export class StoreService implements Handlers<typeof StoreServiceDefinition> {
  readonly #watches: WatchKeys;

  constructor(
    readonly engine: WatchableEngine,
    /** The collections that callers may name. */
    readonly collections: ReadonlySet<string>,
    watch?: WatchOptions,
  ) {
    this.#watches = new WatchKeys(engine, collections, watch);
  }

  async createStore(request: CreateStoreRequest, options: HandlerOptions) {
    const check = this.#check();
    const scope = check.scope(request);
    const storeName = check.storeName(request.storeName, "write");
    const metadata = check.metadata(request.metadata);
    const policy = check.policy(request.policy) ?? "persist";
    check.done();
    return {
      store: storeMessage(await this.engine.createStore(scope, storeName, metadata, policy, options)),
    };
  }

  async getStore(request: GetStoreRequest, options: HandlerOptions) {
    const check = this.#check();
    const scope = check.scope(request);
    const storeName = check.storeName(request.storeName, "find");
    check.done();
    const store = await this.engine.getStore(scope, storeName, options);
    if (store === undefined) throw storeNotFound(storeName);
    return { store: storeMessage(store) };
  }

  async hasStore(request: HasStoreRequest, options: HandlerOptions) {
    const check = this.#check();
    const scope = check.scope(request);
    const storeName = check.storeName(request.storeName, "find");
    check.done();
    return { exists: await this.engine.hasStore(scope, storeName, options) };
  }

  async listStores(request: ListStoresRequest, options: HandlerOptions): Promise<EncodedMessage> {
    const check = this.#check();
    const scope = check.scope(request);
    const list = check.list(request, { method: "ListStores", ...scope, storeName: "" });
    check.done();
    return namesPage(await this.engine.listStores(scope, list.page, options), list.token);
  }

  async countStores(request: CountStoresRequest, options: HandlerOptions) {
    const check = this.#check();
    const scope = check.scope(request);
    check.done();
    return { count: BigInt(await this.engine.countStores(scope, options)) };
  }

  async deleteStore(request: DeleteStoreRequest, options: HandlerOptions) {
    const check = this.#check();
    const scope = check.scope(request);
    const storeName = check.storeName(request.storeName, "find");
    check.done();
    return { deletedCount: BigInt(await this.engine.deleteStore(scope, storeName, options)) };
  }

  async clearCache(request: ClearCacheRequest, options: HandlerOptions) {
    const check = this.#check();
    const scope = check.scope(request);
    // Empty means all stores.
    const storeName = request.storeName === "" ? undefined : request.storeName;
    check.done();
    return { deletedCount: BigInt(await this.engine.clearCache(scope, storeName, options)) };
  }

  async cleanup(request: CleanupRequest, options: HandlerOptions) {
    const check = this.#check();
    const scope = check.scope(request);
    check.done();
    return { deletedCount: BigInt(await this.engine.cleanup(scope, options)) };
  }

  async setKey(request: SetKeyRequest, options: HandlerOptions): Promise<EncodedMessage> {
    const check = this.#check();
    const scope = check.scope(request);
    const storeName = check.storeName(request.storeName, "write");
    const key = check.key(request.key, "write");
    const write = check.write(request);
    check.done();
    return setResponse(await this.engine.setKey(scope, storeName, key, write, options));
  }

  async setCacheKey(request: SetCacheKeyRequest, options: HandlerOptions): Promise<EncodedMessage> {
    const check = this.#check();
    const scope = check.scope(request);
    const storeName = check.storeName(request.storeName, "write");
    const key = check.key(request.key, "write");
    const value = check.value(request);
    const ttlMs = check.ttl(request.ttl);
    check.done();
    return setResponse(
      await this.engine.setKey(scope, storeName, key, { value, ttlMs, policy: "evict" }, options),
    );
  }

  async setKeyIfAbsent(request: SetKeyIfAbsentRequest, options: HandlerOptions): Promise<EncodedMessage> {
    const check = this.#check();
    const scope = check.scope(request);
    const storeName = check.storeName(request.storeName, "write");
    const key = check.key(request.key, "write");
    const write = check.write(request);
    check.done();
    return conditionalSetResponse(await this.engine.setKeyIfAbsent(scope, storeName, key, write, options));
  }

  async compareAndSetKey(request: CompareAndSetKeyRequest, options: HandlerOptions): Promise<EncodedMessage> {
    const check = this.#check();
    const scope = check.scope(request);
    const storeName = check.storeName(request.storeName, "write");
    const key = check.key(request.key, "write");
    const value = check.value(request);
    const expected = check.expected(request, value);
    const write = { value, ttlMs: check.ttl(request.ttl), policy: check.policy(request.policy) };
    check.done();
    return conditionalSetResponse(
      await this.engine.compareAndSetKey(scope, storeName, key, expected, write, options),
    );
  }

  async getKey(request: GetKeyRequest, options: HandlerOptions): Promise<EncodedMessage> {
    const check = this.#check();
    const scope = check.scope(request);
    const storeName = check.storeName(request.storeName, "find");
    const key = check.key(request.key, "find");
    const form = check.encoding(request.encoding);
    check.done();
    const document = await this.engine.getKey(scope, storeName, key, form !== "none", options);
    if (document === undefined) throw keyNotFound(storeName, key);
    return documentResponse(measureDocument(document, form, true));
  }

  async hasKey(request: HasKeyRequest, options: HandlerOptions) {
    const check = this.#check();
    const scope = check.scope(request);
    const storeName = check.storeName(request.storeName, "find");
    const key = check.key(request.key, "find");
    check.done();
    return { exists: await this.engine.hasKey(scope, storeName, key, options) };
  }

  async deleteKey(request: DeleteKeyRequest, options: HandlerOptions) {
    const check = this.#check();
    const scope = check.scope(request);
    const storeName = check.storeName(request.storeName, "find");
    const key = check.key(request.key, "find");
    const etag = check.etag(request.etag);
    check.done();
    return { deleted: await this.engine.deleteKey(scope, storeName, key, etag, options) };
  }

  async updateTtl(request: UpdateTtlRequest, options: HandlerOptions): Promise<EncodedMessage> {
    const check = this.#check();
    const scope = check.scope(request);
    const storeName = check.storeName(request.storeName, "write");
    const key = check.key(request.key, "write");
    const ttlMs = check.requiredTtl(request.ttl);
    check.done();
    const document = await this.engine.updateTtl(scope, storeName, key, ttlMs, options);
    if (document === undefined) throw keyNotFound(storeName, key);
    return metadataResponse(document);
  }

  async updatePolicy(request: UpdatePolicyRequest, options: HandlerOptions): Promise<EncodedMessage> {
    const check = this.#check();
    const scope = check.scope(request);
    const storeName = check.storeName(request.storeName, "write");
    const key = check.key(request.key, "write");
    const policy = check.requiredPolicy(request.policy);
    check.done();
    const document = await this.engine.updatePolicy(scope, storeName, key, policy, options);
    if (document === undefined) throw keyNotFound(storeName, key);
    return metadataResponse(document);
  }

  async listKeys(request: ListKeysRequest, options: HandlerOptions): Promise<EncodedMessage> {
    const check = this.#check();
    const scope = check.scope(request);
    const storeName = check.storeName(request.storeName, "find");
    const list = check.list(request, { method: "ListKeys", ...scope, storeName });
    check.done();
    return namesPage(await this.engine.listKeys(scope, storeName, list.page, options), list.token);
  }

  async listValues(request: ListValuesRequest, options: HandlerOptions): Promise<EncodedMessage> {
    const check = this.#check();
    const scope = check.scope(request);
    const storeName = check.storeName(request.storeName, "find");
    const list = check.list(request, { method: "ListValues", ...scope, storeName });
    const form = check.encoding(request.encoding);
    check.done();
    const page = { ...list.page, withValue: form !== "none", maxBytes: MAX_PAGE_BYTES };
    return documentsPage(await this.engine.listValues(scope, storeName, page, options), form, list.token);
  }

  async countKeys(request: CountKeysRequest, options: HandlerOptions) {
    const check = this.#check();
    const scope = check.scope(request);
    const storeName = check.storeName(request.storeName, "find");
    const prefix = check.prefix(request.prefix);
    check.done();
    return { count: BigInt(await this.engine.countKeys(scope, storeName, prefix, options)) };
  }

  async batchGetKeys(request: BatchGetKeysRequest, options: HandlerOptions): Promise<EncodedMessage> {
    const check = this.#check();
    const scope = check.scope(request);
    const storeName = check.storeName(request.storeName, "find");
    const keys = check.keys(request.keys);
    const form = check.encoding(request.encoding);
    check.done();
    const values = { withValue: form !== "none", maxBytes: MAX_PAGE_BYTES };
    return batchGetResponse(
      keys,
      await this.engine.batchGetKeys(scope, storeName, keys, values, options),
      form,
    );
  }

  async batchSetKeys(request: BatchSetKeysRequest, options: HandlerOptions): Promise<EncodedMessage> {
    const check = this.#check();
    const scope = check.scope(request);
    const storeName = check.storeName(request.storeName, "write");
    const entries = check.entries(request.entries);
    check.done();
    return batchSetResponse(await this.engine.batchSetKeys(scope, storeName, entries, options));
  }

  async batchDeleteKeys(request: BatchDeleteKeysRequest, options: HandlerOptions) {
    const check = this.#check();
    const scope = check.scope(request);
    const storeName = check.storeName(request.storeName, "find");
    const keys = check.keys(request.keys);
    check.done();
    return { deletedCount: BigInt(await this.engine.batchDeleteKeys(scope, storeName, keys, options)) };
  }

  async hasStoreGlobal(request: HasStoreGlobalRequest, options: HandlerOptions) {
    const check = this.#check();
    const collection = check.collection(request);
    const storeName = check.storeName(request.storeName, "find");
    check.done();
    return { exists: await this.engine.hasStoreGlobal(collection, storeName, options) };
  }

  async listStoresGlobal(request: ListStoresGlobalRequest, options: HandlerOptions): Promise<EncodedMessage> {
    const check = this.#check();
    const collection = check.collection(request);
    const list = check.globalList(request, { method: "ListStoresGlobal", collection });
    check.done();
    return storesPage(await this.engine.listStoresGlobal(collection, list.page, options), list.token);
  }

  async countStoresGlobal(request: CountStoresGlobalRequest, options: HandlerOptions) {
    const check = this.#check();
    const collection = check.collection(request);
    check.done();
    return { count: BigInt(await this.engine.countStoresGlobal(collection, options)) };
  }

  async deleteStoreGlobal(request: DeleteStoreGlobalRequest, options: HandlerOptions) {
    const check = this.#check();
    const collection = check.collection(request);
    const storeName = check.storeName(request.storeName, "find");
    check.done();
    const { stores, documents } = await this.engine.deleteStoreGlobal(collection, storeName, options);
    return { deletedStoreCount: BigInt(stores), deletedCount: BigInt(documents) };
  }

  watchKeys(request: WatchKeysRequest, options: HandlerOptions): AsyncIterable<StreamMessage> {
    return this.#watches.watch(request, options);
  }

  #check(): RequestCheck {
    return new RequestCheck(this.collections);
  }
}
