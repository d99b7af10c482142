import type { Document } from "mongodb";
import type { Scope } from "../../store/document.js";
import type { MongoCollection } from "./collection.js";
import { datasetOf, inStore, LEAST_ID, TEXT_KEY } from "./filters.js";
import type { Place } from "./record.js";

/** A filter, and an order in which an index has what it finds. */
export interface Range {
  readonly filter: Document;
  readonly sort: Document;
}

/** Documents that a deletion of many goes over, in the order of an index. */
export interface Selection {
  /** What comes after a place (undefined: all), one range after another. */
  readonly ranges: (after: Place | undefined) => readonly Range[];
  readonly index: { readonly hint?: string };
  /** A filter for what is at these places, and perhaps for more of the selection. */
  readonly filterAt: (places: readonly Place[]) => Document;
}

const BY_KEY = { key: 1 };

/** The documents of a store. */
export function ofStore(collection: MongoCollection, scope: Scope, storeName: string): Selection {
  const store = inStore(scope, storeName);
  return {
    ranges: (after) => [
      {
        filter: { ...store, ...(after === undefined ? TEXT_KEY : { key: { $gt: after.key } }) },
        sort: BY_KEY,
      },
    ],
    get index() {
      return collection.listIndex;
    },
    filterAt: (places) => ({ ...store, key: keysOf(places) }),
  };
}

/** The documents of a context. */
export function ofContext(collection: MongoCollection, scope: Scope): Selection {
  const context = { dataset_id: datasetOf(scope.datasetId) };
  return {
    ranges: (after) => {
      const sort = { store_name: 1, key: 1 };
      if (after === undefined)
        return [{ filter: { ...context, store_name: { $gte: "" }, ...TEXT_KEY }, sort }];
      return [
        // By key alone: the index has null and no field apart, and the server merges them in no longer order.
        { filter: { ...context, store_name: after.storeName, key: { $gt: after.key } }, sort: BY_KEY },
        { filter: { ...context, store_name: { $gt: after.storeName }, ...TEXT_KEY }, sort },
      ];
    },
    get index() {
      return collection.listIndex;
    },
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
    ranges: (after) => {
      const sort = { key: 1, dataset_id: 1 };
      if (after === undefined) return [{ filter: { ...stores, ...TEXT_KEY }, sort }];
      return [
        { filter: { ...stores, key: after.key, dataset_id: idsAfter(after.datasetId) }, sort },
        { filter: { ...stores, key: { $gt: after.key } }, sort },
      ];
    },
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
