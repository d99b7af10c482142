import { type Document, ObjectId } from "mongodb";
import type { Scope } from "../../store/document.js";
import { STORE_KEY } from "../../store/limits.js";

/**
 * What has expired, by the database's clock. Without the `$type` test the comparison would be true for null and for
 * documents without the field, which never expire. It uses the index `expires_at`.
 */
export const EXPIRED: Document = {
  expires_at: { $type: "date" },
  $expr: { $lte: ["$expires_at", "$$NOW"] },
};

/**
 * Documents whose name or context is an array, which are none of the service's. To MongoDB an array matches whatever
 * one of its elements matches, so what looks for a name finds them, too.
 */
export const ARRAYED: readonly Document[] = ["store_name", "key", "dataset_id"].map((field) => ({
  [field]: { $type: "array" },
}));

/** Part of a filter: what has not expired, whoever's it is. */
export const UNEXPIRED: Document = { $nor: [EXPIRED] };

/** Part of a filter by name or context: what has not expired. */
export const LIVE: Document = { $nor: [EXPIRED, ...ARRAYED] };

/** Part of a filter: what `clearCache` removes; documents from before policies have none, and go by their expiry. */
export const EVICTABLE: Document = { $or: [{ policy: "evict" }, { expires_at: { $type: "date" } }] };

/** The least ObjectId. */
export const LEAST_ID = ObjectId.createFromHexString("0".repeat(24));

/** Part of a filter: keys that are strings; others make no store exist. */
export const TEXT_KEY: Document = { key: { $gte: "" } };

/** A context as documents name it; null also finds documents without the field, which older FiftyOne versions left out. */
export function datasetOf(datasetId: string): ObjectId | null {
  return datasetId === "" ? null : ObjectId.createFromHexString(datasetId);
}

/** A filter for all documents of a store; it carries what a sharded cluster targets by. */
export function inStore(scope: Scope, storeName: string): Document {
  return { dataset_id: datasetOf(scope.datasetId), store_name: storeName };
}

/** A filter for one document: exactly the fields of the unique index. */
export function identityOf(scope: Scope, storeName: string, key: string): Document {
  return { store_name: storeName, key, dataset_id: datasetOf(scope.datasetId) };
}

/** Part of a filter: keys that start with the prefix and come after the cursor, without the store's own document. */
export function keysIn(prefix: string, after: string | undefined): Document {
  const lower: Document = after === undefined ? { $gte: prefix } : { $gt: after };
  const upper = prefixEnd(prefix);
  return { key: { ...lower, ...(upper !== undefined && { $lt: upper }), $ne: STORE_KEY } };
}

/** The least string, in byte order, above all that start with the prefix; undefined if there is none. */
export function prefixEnd(prefix: string): string | undefined {
  for (let end = prefix.length; end > 0; ) {
    // The last character: two units if it is a surrogate pair.
    const pair = prefix.codePointAt(end - 2) ?? 0;
    const start = pair > 0xffff ? end - 2 : end - 1;
    const last = prefix.codePointAt(start) ?? 0;
    const next = last === 0xd7ff ? 0xe000 : last + 1;
    if (next <= 0x10ffff) return prefix.slice(0, start) + String.fromCodePoint(next);
    end = start;
  }
  return undefined;
}
