import type { Document } from "mongodb";
import type { Scope } from "../../store/document.js";
import { askTime } from "./clock.js";
import type { MongoCollection } from "./collection.js";
import type { Limits } from "./connection.js";
import { inStore } from "./filters.js";
import { placeOf, type RawDocument, splitDocument, timeOf } from "./record.js";
import { untilAborted } from "./until-aborted.js";

/** One key of one store. */
export interface Target {
  readonly scope: Scope;
  readonly storeName: string;
  readonly key: string;
}

/** What documents were there at one time of the database's clock, expired ones included. */
export interface Versions {
  readonly now: number;
  /** One per target, in order; undefined where there is no document. */
  readonly documents: readonly (RawDocument | undefined)[];
}

/** A name for a key that no other key of the collection has. */
export function nameOf({ scope, storeName, key }: Target): string {
  return nameIn(scope.datasetId, storeName, key);
}

function nameIn(datasetId: string, storeName: string, key: string): string {
  return `${datasetId} ${storeName.length} ${storeName}${key}`;
}

/** A filter for many documents, which the unique index answers key by key. */
export function anyOf(targets: readonly Target[]): Document {
  const stores = new Map<string, { readonly first: Target; readonly keys: string[] }>();
  for (const target of targets) {
    const name = nameOf({ ...target, key: "" });
    const store = stores.get(name);
    if (store === undefined) stores.set(name, { first: target, keys: [target.key] });
    else store.keys.push(target.key);
  }
  const filters = [...stores.values()].map(({ first, keys }) => ({
    ...inStore(first.scope, first.storeName),
    key: keys.length === 1 ? keys[0] : { $in: keys },
  }));
  return filters.length === 1 && filters[0] !== undefined ? filters[0] : { $or: filters };
}

/** Documents of a reply by the names of their keys. */
export function byName(replies: readonly Buffer[]): Map<string, RawDocument> {
  const found = new Map<string, RawDocument>();
  for (const reply of replies) {
    const raw = splitDocument(reply);
    const place = placeOf(raw);
    if (place === undefined) continue;
    found.set(nameIn(place.datasetId, place.storeName, place.key), raw);
  }
  return found;
}

/**
 * Reads what is there now, to decide on a write.
 *
 * @param withValue for the targets of a comparison
 */
export async function readVersions(
  collection: MongoCollection,
  targets: readonly Target[],
  withValue: boolean,
  limits: Limits,
): Promise<Versions> {
  const options = {
    raw: true,
    batchSize: targets.length + 1,
    maxTimeMS: limits.maxTimeMS,
    signal: collection.connection.lost,
    ...(!withValue && { projection: { value: 0 } }),
  };
  await collection.connection.confirmed();
  const [now, replies] = await untilAborted(
    Promise.all([
      askTime(collection, limits.maxTimeMS),
      collection.documents.find(anyOf(targets), options).toArray(),
    ]),
    options.signal,
  );
  const found = byName(replies as unknown as Buffer[]);
  return { now, documents: targets.map((target) => found.get(nameOf(target))) };
}

/** Whether a document was live at a time. */
export function wasLive(document: RawDocument | undefined, now: number): document is RawDocument {
  if (document === undefined) return false;
  const expiresAt = timeOf(document.expires_at);
  return expiresAt === undefined || expiresAt > now;
}
