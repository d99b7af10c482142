import type { Document } from "mongodb";
import type { Scope, StoreDocument, StoreOwnDocument } from "../../store/document.js";
import type { CallOptions, GlobalCursor, Page, PageRequest } from "../../store/engine.js";
import { STORE_KEY } from "../../store/limits.js";
import type { MongoCollection } from "./collection.js";
import { datasetOf, EXPIRED, identityOf, inStore, LIVE, TEXT_KEY } from "./filters.js";
import { rawBatches } from "./raw-cursor.js";
import { readOptions } from "./read-options.js";
import {
  contextOf,
  nameOf,
  placeOf,
  type RawDocument,
  splitDocument,
  storeOwnDocumentOf,
  textOf,
} from "./record.js";
import {
  mayBeBroken,
  mayHaveArrays,
  readDatasetStores,
  readNames,
  type StorePlace,
  strayNames,
} from "./store-names.js";

/** Stores looked at in parallel, to see whether they have anything live. */
const CHECKS_AT_ONCE = 16;

/** The first document of a filter, without values unless it is asked for them. */
function readFirst(
  { connection, documents }: MongoCollection,
  filter: Document,
  find: () => { readonly projection?: Document; readonly hint?: string },
  options: CallOptions | undefined,
): Promise<RawDocument | undefined> {
  return connection.run(options, "read", async (limits) => {
    const cursor = documents.find(filter, {
      raw: true,
      limit: 1,
      ...readOptions(limits),
      ...find(),
    });
    for await (const [first] of rawBatches(cursor)) if (first !== undefined) return splitDocument(first);
    return undefined;
  });
}

/** See Engine.hasStore. */
export async function hasStore(
  collection: MongoCollection,
  scope: Scope,
  storeName: string,
  options: CallOptions | undefined,
): Promise<boolean> {
  const filter = { ...inStore(scope, storeName), ...TEXT_KEY, ...LIVE };
  const find = () => ({ projection: { _id: 1 }, ...collection.listIndex });
  return (await readFirst(collection, filter, find, options)) !== undefined;
}

async function hasKeys(
  collection: MongoCollection,
  scope: Scope,
  storeName: string,
  options: CallOptions | undefined,
): Promise<boolean> {
  const filter = { ...inStore(scope, storeName), key: { $gte: "", $ne: STORE_KEY }, ...LIVE };
  const find = () => ({ projection: { _id: 1 }, ...collection.listIndex });
  return (await readFirst(collection, filter, find, options)) !== undefined;
}

/** See Engine.hasStoreGlobal. */
export async function hasStoreGlobal(
  collection: MongoCollection,
  storeName: string,
  options: CallOptions | undefined,
): Promise<boolean> {
  // The first document settles it, unless it is of no context.
  const first = await readContexts(collection, storeName, 1, options);
  if (first.length === 0) return false;
  const contexts = first[0] === undefined ? await readContexts(collection, storeName, 0, options) : first;
  return contexts.some((context) => context !== undefined);
}

/** The contexts of live documents of stores of a name; undefined for each that is of none. A limit of 0 is none. */
function readContexts(
  { connection, documents }: MongoCollection,
  storeName: string,
  limit: number,
  options: CallOptions | undefined,
): Promise<readonly (string | undefined)[]> {
  return connection.run(options, "read", async (limits) => {
    const filter = { store_name: storeName, ...TEXT_KEY, ...LIVE };
    const projection = { _id: 0, dataset_id: 1 };
    const contexts: (string | undefined)[] = [];
    const cursor = documents.find(filter, {
      raw: true,
      projection,
      limit,
      ...readOptions(limits),
    });
    for await (const batch of rawBatches(cursor)) {
      for (const bytes of batch) contexts.push(contextOf(splitDocument(bytes).dataset_id));
      if (contexts.some((context) => context !== undefined)) return contexts;
    }
    return contexts;
  });
}

/** See Engine.getStore. */
export async function getStore(
  collection: MongoCollection,
  scope: Scope,
  storeName: string,
  options: CallOptions | undefined,
): Promise<StoreDocument | undefined> {
  const { datasetId } = scope;
  const readOwn = async (): Promise<StoreOwnDocument | undefined> => {
    const filter = { ...identityOf(scope, storeName, STORE_KEY), ...LIVE };
    const raw = await readFirst(collection, filter, () => ({}), options);
    return raw && storeOwnDocumentOf(raw, true);
  };
  const own = await readOwn();
  if (own !== undefined) return { datasetId, storeName, own };
  if (!(await hasKeys(collection, scope, storeName, options))) return undefined;
  // A store made in between, with its first key, has a document.
  return { datasetId, storeName, own: await readOwn() };
}

/**
 * The stores that may have nothing live: those with an expired document, by context, and in the empty context those
 * with documents that are of no context; all, if documents may have arrays for names. Whatever is listed afterwards,
 * and is not among them, exists.
 */
interface Doubts {
  readonly all: boolean;
  readonly expired: ReadonlyMap<string, ReadonlySet<string>>;
  readonly stray: ReadonlySet<string>;
}

/** For all contexts, or for one. */
async function readDoubts(
  collection: MongoCollection,
  datasetId: string | undefined,
  options: CallOptions | undefined,
): Promise<Doubts> {
  const withEmptyContext = datasetId === undefined || datasetId === "";
  const [all, expired, stray] = await Promise.all([
    mayHaveArrays(collection, options),
    readExpired(collection, options),
    withEmptyContext ? strayNames(collection, options) : new Set<string>(),
  ]);
  return { all, expired, stray };
}

/** The stores of all contexts that have expired documents: few, since those are soon removed. */
function readExpired(
  { connection, documents }: MongoCollection,
  options: CallOptions | undefined,
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  return connection.run(options, "read", async (limits) => {
    // No condition on the context: the only index that serves is then the one by expiry.
    const cursor = documents.aggregate(
      [
        { $match: EXPIRED },
        { $group: { _id: { dataset_id: "$dataset_id", store_name: "$store_name" } } },
        { $replaceRoot: { newRoot: "$_id" } },
      ],
      { raw: true, ...readOptions(limits) },
    );
    const expired = new Map<string, Set<string>>();
    for await (const batch of rawBatches(cursor)) {
      for (const bytes of batch) {
        const raw = splitDocument(bytes);
        const datasetId = contextOf(raw.dataset_id);
        const storeName = textOf(raw.store_name);
        if (datasetId === undefined || storeName === undefined) continue;
        const names = expired.get(datasetId) ?? new Set();
        expired.set(datasetId, names.add(storeName));
      }
    }
    return expired;
  });
}

/** Those of the places that exist, in the same order. */
async function existing(
  collection: MongoCollection,
  scopeOf: (datasetId: string) => Scope,
  places: readonly StorePlace[],
  { all, expired, stray }: Doubts,
  options: CallOptions | undefined,
): Promise<readonly StorePlace[]> {
  const doubtful = places.filter(
    ({ datasetId, storeName }) =>
      all ||
      expired.get(datasetId)?.has(storeName) === true ||
      (datasetId === "" && stray.has(storeName)) ||
      mayBeBroken(storeName),
  );
  const missing = new Set<StorePlace>();
  for (let start = 0; start < doubtful.length; start += CHECKS_AT_ONCE) {
    const checks = doubtful.slice(start, start + CHECKS_AT_ONCE).map(async (place) => {
      const exists = await hasStore(collection, scopeOf(place.datasetId), place.storeName, options);
      if (!exists) missing.add(place);
    });
    await Promise.all(checks);
  }
  return places.filter((place) => !missing.has(place));
}

function placesOf(datasetId: string, names: readonly string[]): StorePlace[] {
  return names.map((storeName) => ({ datasetId, storeName }));
}

/** See Engine.listStores. */
export async function listStores(
  collection: MongoCollection,
  scope: Scope,
  { prefix, after, limit }: PageRequest<string>,
  options: CallOptions | undefined,
): Promise<Page<string, string>> {
  const doubts = await readDoubts(collection, scope.datasetId, options);
  // One more tells whether there is a next page.
  const names = await readNames(collection, scope, { prefix, after, limit: limit + 1 }, options);
  const page = names.slice(0, limit);
  const places = await existing(collection, () => scope, placesOf(scope.datasetId, page), doubts, options);
  return {
    items: places.map(({ storeName }) => storeName),
    next: names.length > limit ? page.at(-1) : undefined,
  };
}

/** See Engine.countStores. */
export async function countStores(
  collection: MongoCollection,
  scope: Scope,
  options: CallOptions | undefined,
): Promise<number> {
  const doubts = await readDoubts(collection, scope.datasetId, options);
  const all = { prefix: "", after: undefined, limit: Number.POSITIVE_INFINITY };
  const names = await readNames(collection, scope, all, options);
  const places = placesOf(scope.datasetId, names);
  return (await existing(collection, () => scope, places, doubts, options)).length;
}

/** Stores of all contexts in order, live or not, at least as many as are wanted if there are so many. */
async function readPlaces(
  collection: MongoCollection,
  scopeOf: (datasetId: string) => Scope,
  { prefix, after, limit }: PageRequest<GlobalCursor>,
  options: CallOptions | undefined,
): Promise<readonly StorePlace[]> {
  const datasetId = after?.datasetId ?? "";
  const range = { prefix, after: after?.storeName, limit };
  const places = placesOf(datasetId, await readNames(collection, scopeOf(datasetId), range, options));
  if (places.length >= limit) return places;
  const others = { prefix, after: datasetId === "" ? undefined : datasetId, limit: limit - places.length };
  return [...places, ...(await readDatasetStores(collection, scopeOf, others, options))];
}

function scopesOf({ documents }: MongoCollection): (datasetId: string) => Scope {
  return (datasetId) => ({ collection: documents.collectionName, datasetId });
}

/** See Engine.listStoresGlobal. */
export async function listStoresGlobal(
  collection: MongoCollection,
  { prefix, after, limit }: PageRequest<GlobalCursor>,
  options: CallOptions | undefined,
): Promise<Page<StoreDocument, GlobalCursor>> {
  const scopeOf = scopesOf(collection);
  const doubts = await readDoubts(collection, undefined, options);
  const found = await readPlaces(collection, scopeOf, { prefix, after, limit: limit + 1 }, options);
  const page = found.slice(0, limit);
  const places = await existing(collection, scopeOf, page, doubts, options);
  const own = await readOwnDocuments(collection, places, options);
  return {
    items: places.map((place) => ({ ...place, own: own.get(nameOf({ ...place, key: STORE_KEY })) })),
    next: found.length > limit ? page.at(-1) : undefined,
  };
}

/** The documents of stores that have one, without metadata. */
async function readOwnDocuments(
  { connection, documents }: MongoCollection,
  places: readonly StorePlace[],
  options: CallOptions | undefined,
): Promise<ReadonlyMap<string, StoreOwnDocument>> {
  if (places.length === 0) return new Map();
  const filter = {
    store_name: { $in: [...new Set(places.map(({ storeName }) => storeName))] },
    key: STORE_KEY,
    dataset_id: { $in: [...new Set(places.map(({ datasetId }) => datasetId))].map(datasetOf) },
    ...LIVE,
  };
  return connection.run(options, "read", async (limits) => {
    const cursor = documents.find(filter, {
      raw: true,
      projection: { value: 0 },
      ...readOptions(limits),
    });
    const own = new Map<string, StoreOwnDocument>();
    for await (const batch of rawBatches(cursor)) {
      for (const bytes of batch) {
        const raw = splitDocument(bytes);
        const place = placeOf(raw);
        if (place !== undefined) own.set(nameOf(place), storeOwnDocumentOf(raw, false));
      }
    }
    return own;
  });
}

/** See Engine.countStoresGlobal. */
export async function countStoresGlobal(
  collection: MongoCollection,
  options: CallOptions | undefined,
): Promise<number> {
  const scopeOf = scopesOf(collection);
  const doubts = await readDoubts(collection, undefined, options);
  const all = { prefix: "", after: undefined, limit: Number.POSITIVE_INFINITY };
  const places = await readPlaces(collection, scopeOf, all, options);
  return (await existing(collection, scopeOf, places, doubts, options)).length;
}
