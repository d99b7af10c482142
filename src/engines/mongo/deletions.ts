import { type Document, Long } from "mongodb";
import type { Scope } from "../../store/document.js";
import type { CallOptions, GlobalDeletion } from "../../store/engine.js";
import { isStoreError, withOutcome } from "../../store/errors.js";
import { split } from "../../store/split.js";
import { BSON, damaged } from "../../value/bson-bytes.js";
import { databaseTime, waitUntilAfter } from "./clock.js";
import type { MongoCollection } from "./collection.js";
import { datasetOf, EVICTABLE, LIVE } from "./filters.js";
import { rawBatches } from "./raw-cursor.js";
import { readOptions } from "./read-options.js";
import {
  isEvictable,
  nameOf,
  type Place,
  placeOf,
  type RawDocument,
  splitDocument,
  timeOf,
} from "./record.js";
import { ofContext, ofStore, ofStoresNamed, type Selection } from "./selections.js";
import { untilAborted } from "./until-aborted.js";

/** Documents looked at, and deleted, by one command. */
const SLICE = 1_000;
/** Bytes of names in one command, unless a single document has more: other writers' may be long. */
const SLICE_BYTES = 2 * 1024 * 1024;
const PART = { bytes: SLICE_BYTES, bytesOf: nameBytesOf };
/**
 * How long a write may take from when its time is taken to when it can be read, in ms: one under way when a deletion
 * begins is not older than this.
 */
const UNDER_WAY_MS = 1_000;
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
  /** By the database's clock: what was written before was there when the deletion began. */
  readonly settled: number;
  /**
   * What was there, too, though not written before, by name: what was written shortly before, what was written so
   * often that its versions are ahead of the clock, and what came from another clock.
   */
  readonly recent: ReadonlyMap<string, number>;
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

/** Part of a filter: not written since a time. */
function writtenBefore(time: number): Document {
  return {
    $expr: { $or: [{ $lt: [WRITTEN_AT, new Date(time)] }, { $ne: [{ $type: WRITTEN_AT }, "date"] }] },
  };
}

function writtenAtOf({ updated_at: updatedAt, created_at: createdAt }: RawDocument): number | undefined {
  return timeOf(updatedAt === undefined || updatedAt.type === BSON.NULL ? createdAt : updatedAt);
}

/** How many bytes a filter takes for a document's name. */
function nameBytesOf({ place: { storeName, key } }: Candidate): number {
  return Buffer.byteLength(storeName) + Buffer.byteLength(key);
}

/** What was read of a filter. */
interface Reading {
  readonly candidates: readonly Candidate[];
  /** How many documents, those that are none of the service's included. */
  readonly found: number;
  /** Whether there may be more, since the names became too many bytes. */
  readonly cut: boolean;
}

/** Documents of a filter, up to so many bytes of names. */
function readCandidates(
  { connection, documents }: MongoCollection,
  filter: Document,
  find: { readonly sort?: Document; readonly limit?: number },
  mostBytes: number,
  options: CallOptions | undefined,
  selection?: Pick<Selection, "index">,
): Promise<Reading> {
  return connection.run(options, "read", async (limits) => {
    const cursor = documents.find(filter, {
      raw: true,
      projection: { value: 0 },
      batchSize: SLICE + 1,
      ...readOptions(limits),
      ...find,
      ...selection?.index,
    });
    const candidates: Candidate[] = [];
    let found = 0;
    let nameBytes = 0;
    for await (const batch of rawBatches(cursor)) {
      found += batch.length;
      for (const bytes of batch) {
        const raw = splitDocument(bytes);
        const place = placeOf(raw);
        if (place === undefined) continue;
        const candidate = { place, writtenAt: writtenAtOf(raw), evictable: isEvictable(raw) };
        candidates.push(candidate);
        nameBytes += nameBytesOf(candidate);
      }
      if (nameBytes > mostBytes) return { candidates, found, cut: true };
    }
    return { candidates, found, cut: false };
  });
}

async function begin(
  collection: MongoCollection,
  selection: Selection,
  evictableOnly: boolean,
  options: CallOptions | undefined,
): Promise<Deletion> {
  const settled = (await databaseTime(collection, options)) - UNDER_WAY_MS;
  const since = { $gte: new Date(settled) };
  const notOlder = { $or: [{ updated_at: since }, { updated_at: null, created_at: since }] };
  const recent = new Map<string, number>();
  for (const { filter } of selection.ranges(undefined)) {
    const all = { ...filter, ...notOlder };
    const { candidates } = await readCandidates(collection, all, {}, Number.POSITIVE_INFINITY, options);
    for (const { place, writtenAt } of candidates) {
      if (writtenAt !== undefined) recent.set(nameOf(place), writtenAt);
    }
  }
  return { collection, selection, evictableOnly, options, settled, recent };
}

async function readSlice(deletion: Deletion, after: Place | undefined): Promise<Slice> {
  const { collection, selection, options } = deletion;
  const candidates: Candidate[] = [];
  let found = 0;
  for (const { filter, sort } of selection.ranges(after)) {
    const find = { sort, limit: SLICE - found };
    const part = await readCandidates(
      collection,
      { ...filter, ...LIVE },
      find,
      SLICE_BYTES,
      options,
      selection,
    );
    for (const candidate of part.candidates) candidates.push(candidate);
    found += part.found;
    if (part.cut || found >= SLICE) return { candidates, full: true };
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
  const none = Number.POSITIVE_INFINITY;
  const { candidates } = await readCandidates(collection, filter, {}, none, options, selection);
  const left = new Set(candidates.map(({ place }) => nameOf(place)));
  return chosen.filter(({ place }) => !left.has(nameOf(place)));
}

/** Deletes slice by slice. */
async function deleteAll(deletion: Deletion, progress: Progress): Promise<void> {
  const { collection, evictableOnly, options, settled, recent } = deletion;
  let latest = 0;
  let after: Place | undefined;
  for (;;) {
    const { candidates, full } = await readSlice(deletion, after);
    const wanted = candidates.filter(({ evictable }) => evictable || !evictableOnly);
    const older = wanted.filter(({ writtenAt }) => writtenAt === undefined || writtenAt < settled);
    const newer = wanted.filter(
      ({ place, writtenAt }) =>
        writtenAt !== undefined && writtenAt >= settled && recent.get(nameOf(place)) === writtenAt,
    );
    for (const part of split(older, PART))
      await deleteChosen(deletion, part, writtenBefore(settled), progress);
    for (const part of split(newer, PART)) await deleteChosen(deletion, part, writtenAsThese(part), progress);
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
