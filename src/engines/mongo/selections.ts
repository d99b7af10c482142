import { type Document, ObjectId } from "mongodb";
import type { Scope } from "../../store/document.js";
import type { MongoCollection } from "./collection.js";
import { datasetOf, inStore } from "./filters.js";
import type { Place } from "./record.js";
import { TEXT_KEY } from "./store-names.js";

/** The least ObjectId. */
const LEAST_ID = ObjectId.createFromHexString("0".repeat(24));

/** Documents that a deletion of many goes over, in the order of an index. */
export interface Selection {
  /** Filters for what comes after a place (undefined: for all), one after another. */
  readonly filters: (after: Place | undefined) => readonly Document[];
  readonly sort: Document;
  readonly index: { readonly hint?: string };
  /** A filter for what is at these places, and perhaps for more of the selection. */
  readonly filterAt: (places: readonly Place[]) => Document;
}

/** The documents of a store. */
export function ofStore(collection: MongoCollection, scope: Scope, storeName: string): Selection {
  const store = inStore(scope, storeName);
  return {
    filters: (after) => [{ ...store, ...(after === undefined ? TEXT_KEY : { key: { $gt: after.key } }) }],
    sort: { key: 1 },
    index: collection.listIndex,
    filterAt: (places) => ({ ...store, key: keysOf(places) }),
  };
}

/** The documents of a context. */
export function ofContext(collection: MongoCollection, scope: Scope): Selection {
  const context = { dataset_id: datasetOf(scope.datasetId) };
  return {
    filters: (after) =>
      after === undefined
        ? [{ ...context, store_name: { $gte: "" }, ...TEXT_KEY }]
        : [
            { ...context, store_name: after.storeName, key: { $gt: after.key } },
            { ...context, store_name: { $gt: after.storeName }, ...TEXT_KEY },
          ],
    sort: { store_name: 1, key: 1 },
    index: collection.listIndex,
    filterAt: (places) => ({
      ...context,
      store_name: { $in: [...new Set(places.map(({ storeName }) => storeName))] },
      key: keysOf(places),
    }),
  };
}

/** The documents of the stores of a name in all contexts. */
export function ofStoresNamed(storeName: string): Selection {
  const stores = { store_name: storeName };
  return {
    filters: (after) =>
      after === undefined
        ? [{ ...stores, ...TEXT_KEY }]
        : [
            { ...stores, key: after.key, dataset_id: idsAfter(after.datasetId) },
            { ...stores, key: { $gt: after.key } },
          ],
    sort: { key: 1, dataset_id: 1 },
    index: {},
    filterAt: (places) => ({
      ...stores,
      key: keysOf(places),
      dataset_id: { $in: [...new Set(places.map(({ datasetId }) => datasetId))].map(datasetOf) },
    }),
  };
}

function keysOf(places: readonly Place[]): Document {
  return { $in: [...new Set(places.map(({ key }) => key))] };
}

function idsAfter(datasetId: string): Document {
  return datasetId === "" ? { $gte: LEAST_ID } : { $gt: datasetOf(datasetId) };
}
