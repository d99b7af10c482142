import type { Document } from "mongodb";
import type { Scope } from "../../store/document.js";
import type { CallOptions } from "../../store/engine.js";
import { STORE_KEY } from "../../store/limits.js";
import type { MongoCollection } from "./collection.js";
import type { Limits } from "./connection.js";
import { EXPIRED, inStore, keysIn, LIVE } from "./filters.js";
import { rawBatches } from "./raw-cursor.js";
import { readOptions } from "./read-options.js";
import { splitDocument, textOf } from "./record.js";
import { contextRange, STRAY } from "./store-names.js";

/** Expired keys that are left out by name; where there are more, the documents are looked at. */
const MOST_EXPIRED = 1_000;

/**
 * See Engine.countKeys. No index says both what a store has and what has expired. So the few expired keys that are not
 * removed yet are read first, and what the store's index has beside them is counted, without a look at the documents.
 * Whatever is counted was live when they were read, or was set since.
 */
export function countKeys(
  collection: MongoCollection,
  scope: Scope,
  storeName: string,
  prefix: string,
  options: CallOptions | undefined,
): Promise<number> {
  const store = inStore(scope, storeName);
  const { key } = keysIn(prefix, undefined);
  return collection.connection.run(options, "read", async (limits) => {
    const count = (filter: Document): Promise<number> =>
      collection.documents.countDocuments(filter, { ...readOptions(limits), ...collection.listIndex });
    const expired = await readExpired(collection, { ...store, key, ...EXPIRED }, limits);
    const byIndex =
      expired !== undefined &&
      collection.listIndex.hint !== undefined &&
      (scope.datasetId !== "" || !(await hasStray(collection, { store_name: storeName, key }, limits)));
    if (!byIndex) return count({ ...store, key, ...LIVE });
    const { $ne: _, ...range } = key;
    const live = { ...store, ...contextRange(scope), key: { ...range, $nin: [STORE_KEY, ...expired] } };
    return countEntries(collection, live, limits);
  });
}

/** Counts by the index alone, unless some documents of the collection have arrays in its fields: it does not know which. */
async function countEntries(
  { documents, listIndex }: MongoCollection,
  filter: Document,
  limits: Limits,
): Promise<number> {
  const isArrayed = { $or: ["$store_name", "$key", "$dataset_id"].map((field) => ({ $isArray: field })) };
  const [counted] = await documents
    .aggregate<{ readonly count: number }>(
      [{ $match: filter }, { $group: { _id: null, count: { $sum: { $cond: [isArrayed, 0, 1] } } } }],
      { ...readOptions(limits), ...listIndex },
    )
    .toArray();
  return counted?.count ?? 0;
}

/** The keys of a filter; undefined if they are too many, or if one has no name that could be left out. */
async function readExpired(
  { documents }: MongoCollection,
  filter: Document,
  limits: Limits,
): Promise<readonly string[] | undefined> {
  const cursor = documents.find(filter, {
    raw: true,
    projection: { _id: 0, key: 1 },
    limit: MOST_EXPIRED + 1,
    batchSize: MOST_EXPIRED + 2,
    ...readOptions(limits),
  });
  const keys: string[] = [];
  for await (const batch of rawBatches(cursor)) {
    for (const bytes of batch) {
      const key = textOf(splitDocument(bytes).key);
      if (key === undefined) return undefined;
      keys.push(key);
    }
  }
  return keys.length > MOST_EXPIRED ? undefined : keys;
}

/** Whether documents of no context would be counted to the empty one. */
async function hasStray(
  { documents, listIndex }: MongoCollection,
  keys: Document,
  { maxTimeMS }: Limits,
): Promise<boolean> {
  const found = await documents.findOne(
    { ...STRAY, ...keys },
    { projection: { _id: 1 }, maxTimeMS, ...listIndex },
  );
  return found !== null;
}
