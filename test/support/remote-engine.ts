import type {
  KeyDocument as ClientKey,
  StoreDocument as ClientStore,
  KeyMetadata,
} from "../../src/client/documents.js";
import type { ServiceOptions } from "../../src/client/options.js";
import type { FetchedPage, Pager } from "../../src/client/pager.js";
import { RawValue } from "../../src/client/raw-value.js";
import { ExecutionStoreService } from "../../src/client/service.js";
import type { KeyDocument, Scope, StoreDocument } from "../../src/store/document.js";
import type {
  CallOptions,
  ConditionalWrite,
  Engine,
  GlobalCursor,
  Page,
  PageRequest,
  Write,
} from "../../src/store/engine.js";
import { isStoreError, StoreError } from "../../src/store/errors.js";
import { fromDocumentBson, toDocumentBson } from "../../src/value/plain.js";

/**
 * An engine behind the wire: every method goes through the TypeScript client to a server. It is as an engine should
 * be, with these exceptions, which are the wire's:
 * - a page's `next` is the server's page token, and good for nothing else;
 * - pages and batches are cut at MAX_PAGE_BYTES, whatever `maxBytes` says; batches are then put together again;
 * - a store's metadata travels as JSON, so that a double of a whole number comes back as an integer.
 */
export function createRemoteEngine(options: ServiceOptions): Engine {
  const service = new ExecutionStoreService(options);
  const at = ({ collection, datasetId }: Scope): ExecutionStoreService =>
    service.withContext({ collectionName: collection, datasetId });
  const everywhere = (collection: string): ExecutionStoreService => at({ collection, datasetId: "" });
  return {
    ...storeMethods(at),
    ...keyMethods(at),
    ...listMethods(at),
    hasStoreGlobal: (collection, storeName, call) =>
      as(call, () => everywhere(collection).hasStoreGlobal(storeName, call)),
    listStoresGlobal: (collection, page, call) =>
      as(call, async () => {
        const pager = everywhere(collection).listStoresGlobal({
          prefix: page.prefix,
          pageSize: page.limit,
          ...call,
        });
        const { items, nextPageToken } = await pager.page(page.after?.storeName);
        const next: GlobalCursor | undefined =
          nextPageToken === "" ? undefined : { datasetId: "", storeName: nextPageToken };
        return { items: items.map(toStore), next };
      }),
    countStoresGlobal: (collection, call) => as(call, () => everywhere(collection).countStoresGlobal(call)),
    deleteStoreGlobal: (collection, storeName, call) =>
      as(call, () => everywhere(collection).deleteStoreGlobal(storeName, call)),
    close: () => service.close(),
  };
}

type At = (scope: Scope) => ExecutionStoreService;
type StoreMethods =
  | "createStore"
  | "getStore"
  | "hasStore"
  | "countStores"
  | "deleteStore"
  | "clearCache"
  | "cleanup";
type ListMethods =
  | "listStores"
  | "listKeys"
  | "listValues"
  | "countKeys"
  | "batchGetKeys"
  | "batchSetKeys"
  | "batchDeleteKeys";
type KeyMethods =
  | "setKey"
  | "setKeyIfAbsent"
  | "compareAndSetKey"
  | "getKey"
  | "hasKey"
  | "deleteKey"
  | "updateTtl"
  | "updatePolicy";

function storeMethods(at: At): Pick<Engine, StoreMethods> {
  return {
    createStore: (scope, storeName, metadata, policy, call) =>
      as(call, async () =>
        toStore(
          await at(scope).createStore(storeName, {
            ...call,
            policy,
            metadata: metadata === undefined ? undefined : fromDocumentBson(metadata),
          }),
        ),
      ),
    getStore: (scope, storeName, call) =>
      as(call, async () => {
        const store = await at(scope).getStore(storeName, call);
        return store === undefined ? undefined : toStore(store);
      }),
    hasStore: (scope, storeName, call) => as(call, () => at(scope).hasStore(storeName, call)),
    countStores: (scope, call) => as(call, () => at(scope).countStores(call)),
    deleteStore: (scope, storeName, call) => as(call, () => at(scope).deleteStore(storeName, call)),
    clearCache: (scope, storeName, call) => as(call, () => at(scope).clearCache(storeName, call)),
    cleanup: (scope, call) => as(call, () => at(scope).cleanup(call)),
  };
}

function keyMethods(at: At): Pick<Engine, KeyMethods> {
  return {
    setKey: (scope, storeName, key, write, call) =>
      as(call, async () => {
        const { document, created } = await at(scope).setKey(storeName, key, new RawValue(write.value), {
          ...call,
          ...writeOptions(write),
        });
        return { document: toKey(document), created };
      }),
    setKeyIfAbsent: (scope, storeName, key, write, call) =>
      as(call, async () => {
        const { document, set } = await at(scope).setKeyIfAbsent(storeName, key, new RawValue(write.value), {
          ...call,
          ...writeOptions(write),
        });
        return { document: toKey(document), set };
      }),
    compareAndSetKey: (scope, storeName, key, expected, write, call) =>
      as(call, async () => {
        const { document, set } = await at(scope).compareAndSetKey(
          storeName,
          key,
          "etag" in expected ? expected : { expected: new RawValue(expected.value) },
          new RawValue(write.value),
          { ...call, ...writeOptions(write) },
        );
        return { document: document === undefined ? undefined : toKey(document), set };
      }),
    getKey: (scope, storeName, key, withValue, call) =>
      as(call, async () => {
        const encoding = withValue ? "raw" : "none";
        const document = await at(scope).getKey(storeName, key, { ...call, encoding });
        return document === undefined ? undefined : toKey(document);
      }),
    hasKey: (scope, storeName, key, call) => as(call, () => at(scope).hasKey(storeName, key, call)),
    deleteKey: (scope, storeName, key, etag, call) =>
      as(call, () =>
        at(scope).deleteKey(storeName, key, { ...call, ...(etag === undefined ? {} : { etag }) }),
      ),
    updateTtl: (scope, storeName, key, ttlMs, call) =>
      as(call, () => foundKey(at(scope).updateTtl(storeName, key, ttlMs / 1000, call))),
    updatePolicy: (scope, storeName, key, policy, call) =>
      as(call, () => foundKey(at(scope).updatePolicy(storeName, key, policy, call))),
  };
}

function listMethods(at: At): Pick<Engine, ListMethods> {
  return {
    listStores: (scope, page, call) =>
      as(call, () => fetchPage(at(scope).listStores(listOptions(page, call)), page)),
    listKeys: (scope, storeName, page, call) =>
      as(call, () => fetchPage(at(scope).listKeys(storeName, listOptions(page, call)), page)),
    listValues: (scope, storeName, page, call) =>
      as(call, async () => {
        const encoding = page.withValue ? "raw" : "none";
        const pager = at(scope).listValues(storeName, { ...listOptions(page, call), encoding });
        const { items, next } = await fetchPage<KeyMetadata | ClientKey<RawValue>>(pager, page);
        return { items: items.map(toKey), next };
      }),
    countKeys: (scope, storeName, prefix, call) =>
      as(call, () => at(scope).countKeys(storeName, { ...call, prefix })),
    batchGetKeys: (scope, storeName, keys, values, call) =>
      as(call, async () => {
        const encoding = values.withValue ? "raw" : "none";
        const found = await at(scope).batchGetKeys(storeName, keys, { ...call, encoding });
        return { documents: keys.map((key) => optionalKey(found.get(key))) };
      }),
    batchSetKeys: (scope, storeName, entries, call) =>
      as(call, async () => {
        const list = entries.map((entry) => ({
          key: entry.key,
          value: new RawValue(entry.value),
          ...writeOptions(entry),
        }));
        const results = await at(scope).batchSetKeys(storeName, list, call);
        return results.map(({ document, created }) => ({ document: toKey(document), created }));
      }),
    batchDeleteKeys: (scope, storeName, keys, call) =>
      as(call, () => at(scope).batchDeleteKeys(storeName, keys, call)),
  };
}

/** Turns the errors of a client into those of an engine. */
async function as<T>(call: CallOptions | undefined, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (isStoreError(error, "CANCELLED") && call?.signal?.aborted === true) throw call.signal.reason;
    if (isStoreError(error, "CLIENT_CLOSED")) {
      throw new StoreError("SHUTTING_DOWN", "the engine is closed; open it again", {
        outcome: "NOT_APPLIED",
      });
    }
    throw error;
  }
}

async function foundKey(document: Promise<KeyMetadata>): Promise<KeyDocument | undefined> {
  try {
    return toKey(await document);
  } catch (error) {
    if (isStoreError(error, "KEY_NOT_FOUND")) return undefined;
    throw error;
  }
}

function writeOptions({ ttlMs, policy }: Write | ConditionalWrite): {
  ttl: number | undefined;
  policy: Write["policy"] | undefined;
} {
  return { ttl: ttlMs === undefined ? undefined : ttlMs / 1000, policy };
}

function listOptions(
  page: PageRequest<string>,
  call: CallOptions | undefined,
): { prefix: string; pageSize: number } & CallOptions {
  return { ...call, prefix: page.prefix, pageSize: page.limit };
}

async function fetchPage<T>(pager: Pager<T>, page: PageRequest<string>): Promise<Page<T, string>> {
  const { items, nextPageToken }: FetchedPage<T> = await pager.page(page.after);
  return { items, next: nextPageToken === "" ? undefined : nextPageToken };
}

function optionalKey(document: KeyMetadata | ClientKey<RawValue> | undefined): KeyDocument | undefined {
  return document === undefined ? undefined : toKey(document);
}

function toKey(document: KeyMetadata | ClientKey<RawValue>): KeyDocument {
  const { storeName, key, datasetId = "", createdAt, updatedAt, expiresAt, policy, etag } = document;
  return {
    storeName,
    key,
    datasetId,
    createdAt: createdAt.getTime(),
    updatedAt: updatedAt.getTime(),
    expiresAt: expiresAt?.getTime(),
    policy,
    etag,
    value: "value" in document ? document.value.bytes : undefined,
  };
}

function toStore(store: ClientStore): StoreDocument {
  const { storeName, datasetId = "", metadata, createdAt, updatedAt, expiresAt, policy, etag } = store;
  const exists =
    createdAt !== undefined && updatedAt !== undefined && policy !== undefined && etag !== undefined;
  return {
    storeName,
    datasetId,
    own: exists
      ? {
          metadata: metadata === undefined ? undefined : toDocumentBson(metadata),
          createdAt: createdAt.getTime(),
          updatedAt: updatedAt.getTime(),
          expiresAt: expiresAt?.getTime(),
          policy,
          etag,
        }
      : undefined,
  };
}
