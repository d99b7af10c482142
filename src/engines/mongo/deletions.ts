import { type Document, Long } from "mongodb";
import type { Scope } from "../../store/document.js";
import type { CallOptions, GlobalDeletion } from "../../store/engine.js";
import { isStoreError, withOutcome } from "../../store/errors.js";
import { BSON, damaged } from "../../value/bson-bytes.js";
import { databaseTime, waitUntilAfter } from "./clock.js";
import type { MongoCollection } from "./collection.js";
import { datasetOf, EVICTABLE, LIVE } from "./filters.js";
import { rawBatches } from "./raw-cursor.js";
import { isEvictable, type Place, placeOf, type RawDocument, splitDocument, timeOf } from "./record.js";
import { ofContext, ofStore, ofStoresNamed, type Selection } from "./selections.js";
import { untilAborted } from "./until-aborted.js";

/** Documents looked at, and deleted, by one command. */
const SLICE = 1_000;
/** How often a slice is deleted again when nobody knows whether it was. */
const MAX_REPEATS = 4;

/** When a document was last written. FiftyOne leaves a new store's `updated_at` null. */
const WRITTEN_AT = { $ifNull: ["$updated_at", "$created_at"] };

/** What a deletion needs to know of a document. */
interface Candidate {
  readonly place: Place;
  /** Milliseconds since 1970; undefined if another writer left no date. */
  readonly writtenAt: number | undefined;
  readonly evictable: boolean;
}

/** Where a deletion stands. */
interface Deletion {
  readonly collection: MongoCollection;
  readonly selection: Selection;
  /** Whether the rest stays. */
  readonly evictableOnly: boolean;
  readonly options: CallOptions | undefined;
  /** The database's clock when it began: what was written since is not older. */
  readonly start: number;
  /**
   * What was not older even then, by name: what was written in the same millisecond, what was written so often that
   * its versions are ahead of the clock, and what came from another clock.
   */
  readonly ahead: ReadonlyMap<string, number>;
}

/** Part of a selection, live ones only. */
interface Slice {
  readonly candidates: readonly Candidate[];
  readonly full: boolean;
}

/** How far a deletion has come. */
interface Progress {
  /** Whether anything may be gone. */
  begun: boolean;
  documents: number;
  /** The contexts of what was deleted. */
  readonly datasetIds: Set<string>;
}

function nameOf({ datasetId, storeName, key }: Place): string {
  return `${datasetId}\0${storeName}\0${key}`;
}

/** Part of a filter: not written since a time. */
function writtenBefore(time: number): Document {
  return {
    $expr: { $or: [{ $lt: [WRITTEN_AT, new Date(time)] }, { $ne: [{ $type: WRITTEN_AT }, "date"] }] },
  };
}

function writtenAtOf({ updated_at: updatedAt, created_at: createdAt }: RawDocument): number | undefined {
  return timeOf(updatedAt === undefined || updatedAt.type === BSON.NULL ? createdAt : updatedAt);
}

/** Documents of a filter; those that are none of the service's count, too, in `found`. */
function readCandidates(
  { connection, documents }: MongoCollection,
  filter: Document,
  find: { readonly sort?: Document; readonly limit?: number; readonly hint?: string },
  options: CallOptions | undefined,
): Promise<{ readonly candidates: readonly Candidate[]; readonly found: number }> {
  return connection.run(options, "read", async ({ maxTimeMS, signal }) => {
    const cursor = documents.find(filter, {
      raw: true,
      projection: { value: 0 },
      batchSize: SLICE + 1,
      maxTimeMS,
      ...find,
      ...(signal !== undefined && { signal }),
    });
    const candidates: Candidate[] = [];
    let found = 0;
    for await (const batch of rawBatches(cursor)) {
      found += batch.length;
      for (const bytes of batch) {
        const raw = splitDocument(bytes);
        const place = placeOf(raw);
        if (place === undefined) continue;
        candidates.push({ place, writtenAt: writtenAtOf(raw), evictable: isEvictable(raw) });
      }
    }
    return { candidates, found };
  });
}

async function begin(
  collection: MongoCollection,
  selection: Selection,
  evictableOnly: boolean,
  options: CallOptions | undefined,
): Promise<Deletion> {
  const start = await databaseTime(collection, options);
  const since = { $gte: new Date(start) };
  const notOlder = { $or: [{ updated_at: since }, { updated_at: null, created_at: since }] };
  const ahead = new Map<string, number>();
  for (const filter of selection.filters(undefined)) {
    const { candidates } = await readCandidates(collection, { ...filter, ...notOlder }, {}, options);
    for (const { place, writtenAt } of candidates) {
      if (writtenAt !== undefined) ahead.set(nameOf(place), writtenAt);
    }
  }
  return { collection, selection, evictableOnly, options, start, ahead };
}

async function readSlice(deletion: Deletion, after: Place | undefined): Promise<Slice> {
  const { collection, selection, options } = deletion;
  const candidates: Candidate[] = [];
  let found = 0;
  for (const filter of selection.filters(after)) {
    const find = { sort: selection.sort, limit: SLICE - found, ...selection.index };
    const part = await readCandidates(collection, { ...filter, ...LIVE }, find, options);
    for (const candidate of part.candidates) candidates.push(candidate);
    found += part.found;
    if (found >= SLICE) return { candidates, full: true };
  }
  return { candidates, full: false };
}

/** Part of a filter: still of exactly these versions. */
function writtenAsThese(candidates: readonly Candidate[]): Document {
  // Milliseconds, since what another writer left may be no date that a Date holds, or no date at all.
  const ms = { $convert: { input: WRITTEN_AT, to: "long", onError: null, onNull: null } };
  const version = ["$store_name", "$key", { $ifNull: ["$dataset_id", null] }, ms];
  const versions = candidates.map(({ place: { storeName, key, datasetId }, writtenAt = 0 }) => [
    storeName,
    key,
    datasetOf(datasetId),
    Long.fromNumber(writtenAt),
  ]);
  return { $expr: { $in: [version, { $literal: versions }] } };
}

/** Deletes those that still are as a filter says, and answers how many documents it deleted. */
function deleteThese(
  { collection: { connection, documents }, selection, evictableOnly, options }: Deletion,
  chosen: readonly Candidate[],
  unchanged: Document,
): Promise<number> {
  const these = selection.filterAt(chosen.map(({ place }) => place));
  const filter = { $and: [these, unchanged, evictableOnly ? EVICTABLE : {}, LIVE] };
  return connection.run(options, "write", async ({ maxTimeMS }) => {
    const deleting = documents.deleteMany(filter, { maxTimeMS, ...selection.index });
    const { deletedCount } = await untilAborted(deleting, connection.lost);
    return deletedCount;
  });
}

/** Whether the database may or may not have done it, and may be asked again. */
function isLost(error: unknown): boolean {
  return isStoreError(error, "DATABASE_UNREACHABLE") && error.outcome === "UNKNOWN";
}

/** Deletes what is chosen of a slice. To delete it again is safe: what was written since is not matched. */
async function deleteChosen(
  deletion: Deletion,
  chosen: readonly Candidate[],
  unchanged: Document,
  progress: Progress,
): Promise<void> {
  if (chosen.length === 0) return;
  let lost = false;
  let deleted: number | undefined;
  for (let attempt = 1; deleted === undefined; attempt += 1) {
    try {
      deleted = await deleteThese(deletion, chosen, unchanged);
    } catch (error) {
      if (!isLost(error)) throw error;
      lost = true;
      progress.begun = true;
      if (attempt > MAX_REPEATS) throw error;
    }
  }
  progress.begun = true;
  const gone = lost || deleted < chosen.length ? await missing(deletion, chosen) : chosen;
  // How many the lost attempts deleted, nobody knows.
  const count = lost ? gone.length : deleted;
  progress.documents += count;
  if (count > 0) for (const { place } of gone) progress.datasetIds.add(place.datasetId);
}

/** Those that are not there any more. */
async function missing(
  { collection, selection, options }: Deletion,
  chosen: readonly Candidate[],
): Promise<readonly Candidate[]> {
  const filter = selection.filterAt(chosen.map(({ place }) => place));
  const { candidates } = await readCandidates(collection, filter, selection.index, options);
  const left = new Set(candidates.map(({ place }) => nameOf(place)));
  return chosen.filter(({ place }) => !left.has(nameOf(place)));
}

/** Deletes slice by slice. */
async function deleteAll(deletion: Deletion, progress: Progress): Promise<void> {
  const { collection, evictableOnly, options, start, ahead } = deletion;
  let latest = 0;
  let after: Place | undefined;
  for (;;) {
    const { candidates, full } = await readSlice(deletion, after);
    const wanted = candidates.filter(({ evictable }) => evictable || !evictableOnly);
    const older = wanted.filter(({ writtenAt }) => writtenAt === undefined || writtenAt < start);
    const newer = wanted.filter(
      ({ place, writtenAt }) => writtenAt !== undefined && ahead.get(nameOf(place)) === writtenAt,
    );
    await deleteChosen(deletion, older, writtenBefore(start), progress);
    await deleteChosen(deletion, newer, writtenAsThese(newer), progress);
    for (const { writtenAt } of newer) latest = Math.max(latest, writtenAt ?? 0);
    if (!full) break;
    after = candidates.at(-1)?.place;
    // A whole slice that nobody can name: there is no way around it.
    if (after === undefined) throw damaged();
  }
  // What is created from now on must be later than what was deleted.
  if (latest > 0) await waitUntilAfter(collection, latest, options?.signal);
}

async function deleteSelection(
  collection: MongoCollection,
  selection: Selection,
  evictableOnly: boolean,
  options: CallOptions | undefined,
): Promise<GlobalDeletion> {
  const progress: Progress = { begun: false, documents: 0, datasetIds: new Set() };
  try {
    await deleteAll(await begin(collection, selection, evictableOnly, options), progress);
    return { stores: progress.datasetIds.size, documents: progress.documents };
  } catch (error) {
    // An error of a read, or of a later slice, says nothing of what was deleted before.
    if (!isStoreError(error)) throw error;
    throw withOutcome(error, progress.begun ? "UNKNOWN" : (error.outcome ?? "NOT_APPLIED"));
  }
}

/** See Engine.deleteStore. */
export async function deleteStore(
  collection: MongoCollection,
  scope: Scope,
  storeName: string,
  options: CallOptions | undefined,
): Promise<number> {
  const selection = ofStore(collection, scope, storeName);
  return (await deleteSelection(collection, selection, false, options)).documents;
}

/** See Engine.clearCache. */
export async function clearCache(
  collection: MongoCollection,
  scope: Scope,
  storeName: string | undefined,
  options: CallOptions | undefined,
): Promise<number> {
  const selection =
    storeName === undefined ? ofContext(collection, scope) : ofStore(collection, scope, storeName);
  return (await deleteSelection(collection, selection, true, options)).documents;
}

/** See Engine.cleanup. */
export async function cleanup(
  collection: MongoCollection,
  scope: Scope,
  options: CallOptions | undefined,
): Promise<number> {
  return (await deleteSelection(collection, ofContext(collection, scope), false, options)).documents;
}

/** See Engine.deleteStoreGlobal. */
export function deleteStoreGlobal(
  collection: MongoCollection,
  storeName: string,
  options: CallOptions | undefined,
): Promise<GlobalDeletion> {
  return deleteSelection(collection, ofStoresNamed(storeName), false, options);
}
