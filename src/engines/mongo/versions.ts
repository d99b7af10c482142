import { type Document, ObjectId } from "mongodb";
import type { Scope } from "../../store/document.js";
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

/** A document, expired or not, and the database's clock when it was read. */
export interface Version {
  readonly document: RawDocument;
  readonly now: number;
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

/** The fields that tell a version, with the time of the command. */
const VERSION = {
  _id: 1,
  store_name: 1,
  key: 1,
  dataset_id: 1,
  created_at: 1,
  updated_at: 1,
  expires_at: 1,
  policy: 1,
  now: "$$NOW",
};

/**
 * Reads what is there now, to decide on a write; one version per target, in order, undefined where there is none.
 *
 * @param withValue for the targets of a comparison
 */
export async function readVersions(
  { connection, documents }: MongoCollection,
  targets: readonly Target[],
  withValue: boolean,
  { maxTimeMS }: Limits,
): Promise<readonly (Version | undefined)[]> {
  await connection.confirmed();
  const signal = connection.lost;
  const projection = withValue ? { ...VERSION, value: 1 } : VERSION;
  const options = { raw: true, batchSize: targets.length + 1, maxTimeMS, signal, projection };
  const replies = await untilAborted(documents.find(anyOf(targets), options).toArray(), signal);
  const found = byName(replies as unknown as Buffer[]);
  return targets.map((target) => {
    const { now, ...document } = found.get(nameOf(target)) ?? {};
    return now === undefined ? undefined : { document, now: timeOf(now) ?? 0 };
  });
}

/** Whether a document was live when it was read. */
export function wasLive({ document, now }: Version): boolean {
  const expiresAt = timeOf(document.expires_at);
  return expiresAt === undefined || expiresAt > now;
}

/**
 * When documents were created, of those that are still there, by the hex digits of their ids, which are ObjectIds.
 */
export async function readCreationTimes(
  { connection, documents }: MongoCollection,
  targets: readonly Target[],
  ids: readonly string[],
  { maxTimeMS }: Limits,
): Promise<ReadonlyMap<string, number>> {
  await connection.confirmed();
  const signal = connection.lost;
  const filter = { ...anyOf(targets), _id: { $in: ids.map((id) => ObjectId.createFromHexString(id)) } };
  const options = { raw: true, batchSize: ids.length + 1, maxTimeMS, signal, projection: { created_at: 1 } };
  const replies = await untilAborted(documents.find(filter, options).toArray(), signal);
  const times = new Map<string, number>();
  for (const reply of replies as unknown as Buffer[]) {
    const { _id: id, created_at: createdAt } = splitDocument(reply);
    const time = timeOf(createdAt);
    if (id !== undefined && time !== undefined) times.set(id.bytes.toString("hex"), time);
  }
  return times;
}
