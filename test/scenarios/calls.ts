import {
  type ExecutionStoreService,
  type KeyMetadata,
  type Policy,
  type StoreDocument,
} from "execution-store";
import { toNative, toNeutral } from "./neutral.js";
import type { Feature, Json, JsonObject } from "./scenario.js";

/** What this client can be asked for; it reads no values as JSON. */
export const CAN: ReadonlySet<Feature> = new Set(["bson", "pages"]);

/** Calls one method and answers in the notation's terms. */
export type Call = (service: ExecutionStoreService, args: JsonObject) => Promise<Json>;

/** Every method of the service, by the name that scenarios have for it. */
export const CALLS: Readonly<Record<string, Call>> = {
  create_store: async (service, args) =>
    storeDocument(
      await service.createStore(text(args, "store_name"), { ...metadata(args), ...policy(args) }),
    ),
  get_store: async (service, args) => {
    const found = await service.getStore(text(args, "store_name"));
    return found === undefined ? null : storeDocument(found);
  },
  has_store: (service, args) => service.hasStore(text(args, "store_name")),
  list_stores: (service, args) => service.listStores(listOptions(args)).toArray(),
  count_stores: (service) => service.countStores(),
  delete_store: (service, args) => service.deleteStore(text(args, "store_name")),
  clear_cache: (service, args) =>
    "store_name" in args ? service.clearCache(text(args, "store_name")) : service.clearCache(),
  cleanup: (service) => service.cleanup(),
  set_key: async (service, args) => {
    const value = toNative(args["value"] ?? null);
    return setResult(await service.setKey(...name(args), value, setOptions(args)));
  },
  set_cache_key: async (service, args) => {
    const value = toNative(args["value"] ?? null);
    return setResult(await service.setCacheKey(...name(args), value, ttl(args)));
  },
  set_key_if_absent: async (service, args) => {
    const value = toNative(args["value"] ?? null);
    return conditional(await service.setKeyIfAbsent(...name(args), value, setOptions(args)));
  },
  compare_and_set_key: async (service, args) => {
    const expectation =
      "etag" in args ? { etag: text(args, "etag") } : { expected: toNative(args["expected"] ?? null) };
    const value = toNative(args["value"] ?? null);
    return conditional(await service.compareAndSetKey(...name(args), expectation, value, setOptions(args)));
  },
  get_key: async (service, args) => {
    const found = await service.getKey(...name(args), encoding(args));
    return found === undefined ? null : keyDocument(found);
  },
  has_key: (service, args) => service.hasKey(...name(args)),
  delete_key: (service, args) =>
    service.deleteKey(...name(args), "etag" in args ? { etag: text(args, "etag") } : {}),
  update_ttl: async (service, args) =>
    keyDocument(await service.updateTtl(...name(args), Number(args["ttl"]))),
  update_policy: async (service, args) =>
    keyDocument(await service.updatePolicy(...name(args), args["policy"] as Policy)),
  list_keys: async (service, args) => {
    const list = service.listKeys(text(args, "store_name"), listOptions(args));
    return "page_token" in args ? [...(await list.page(text(args, "page_token"))).items] : list.toArray();
  },
  list_values: async (service, args) => {
    const options = { ...listOptions(args), ...encoding(args) };
    const documents = await service.listValues(text(args, "store_name"), options).toArray();
    return documents.map(keyDocument);
  },
  count_keys: (service, args) => service.countKeys(text(args, "store_name"), listOptions(args)),
  batch_get_keys: async (service, args) => {
    const keys = args["keys"] as string[];
    const found = await service.batchGetKeys(text(args, "store_name"), keys, encoding(args));
    return Array.from(found.values(), keyDocument);
  },
  batch_set_keys: async (service, args) => {
    const entries = (args["entries"] as JsonObject[]).map((entry) => ({
      key: text(entry, "key"),
      value: toNative(entry["value"] ?? null),
      ...setOptions(entry),
    }));
    return (await service.batchSetKeys(text(args, "store_name"), entries)).map(setResult);
  },
  batch_delete_keys: (service, args) =>
    service.batchDeleteKeys(text(args, "store_name"), args["keys"] as string[]),
  has_store_global: (service, args) => service.hasStoreGlobal(text(args, "store_name")),
  list_stores_global: async (service, args) =>
    (await service.listStoresGlobal(listOptions(args)).toArray()).map(storeDocument),
  count_stores_global: (service) => service.countStoresGlobal(),
  delete_store_global: async (service, args) => ({
    ...(await service.deleteStoreGlobal(text(args, "store_name"))),
  }),
};

/** A document in the notation's terms; times are milliseconds since 1970. */
export function keyDocument(document: KeyMetadata & { readonly value?: unknown }): JsonObject {
  return {
    store_name: document.storeName,
    key: document.key,
    ...("value" in document && { value: toNeutral(document.value) }),
    dataset_id: document.datasetId ?? null,
    created_at: document.createdAt.getTime(),
    updated_at: document.updatedAt.getTime(),
    expires_at: document.expiresAt?.getTime() ?? null,
    policy: document.policy,
    etag: document.etag,
  };
}

/** The option that says how values are read. */
export function encoding(args: JsonObject): { encoding?: "raw" | "none" } {
  return "encoding" in args ? { encoding: args["encoding"] as "raw" | "none" } : {};
}

function storeDocument(document: StoreDocument): JsonObject {
  return {
    store_name: document.storeName,
    dataset_id: document.datasetId ?? null,
    metadata: document.metadata === undefined ? null : toNeutral(document.metadata),
    created_at: document.createdAt?.getTime() ?? null,
    updated_at: document.updatedAt?.getTime() ?? null,
    expires_at: document.expiresAt?.getTime() ?? null,
    policy: document.policy ?? null,
    etag: document.etag ?? null,
  };
}

function setResult({ document, created }: { document: KeyMetadata; created: boolean }): JsonObject {
  return { ...keyDocument(document), created };
}

function conditional({ set, document }: { set: boolean; document: KeyMetadata | undefined }): JsonObject {
  return { set, document: document === undefined ? null : keyDocument(document) };
}

function text(args: JsonObject, name_: string): string {
  return args[name_] as string;
}

function name(args: JsonObject): [storeName: string, key: string] {
  return [text(args, "store_name"), text(args, "key")];
}

function ttl(args: JsonObject): { ttl?: number } {
  return "ttl" in args ? { ttl: Number(args["ttl"]) } : {};
}

function policy(args: JsonObject): { policy?: Policy } {
  return "policy" in args ? { policy: args["policy"] as Policy } : {};
}

function setOptions(args: JsonObject): { ttl?: number; policy?: Policy } {
  return { ...ttl(args), ...policy(args) };
}

function metadata(args: JsonObject): { metadata?: Record<string, unknown> } {
  if (!("metadata" in args)) return {};
  return { metadata: toNative(args["metadata"] ?? null) as Record<string, unknown> };
}

function listOptions(args: JsonObject): { prefix?: string; pageSize?: number } {
  return {
    ...("prefix" in args && { prefix: text(args, "prefix") }),
    ...("page_size" in args && { pageSize: Number(args["page_size"]) }),
  };
}
