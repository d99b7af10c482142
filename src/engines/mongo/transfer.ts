import type { Document } from "mongodb";
import type { CallOptions } from "../../store/engine.js";
import { StoreError } from "../../store/errors.js";
import { STORE_KEY } from "../../store/limits.js";
import { split } from "../../store/split.js";
import {
  type Archive,
  type ArchivedDocument,
  type ArchivePart,
  type ArchiveSize,
  type Refusal,
  sameDocument,
  type TransferMode,
  type TransferOutcome,
  valueBytes,
} from "../../store/transfer.js";
import { BSON } from "../../value/bson-bytes.js";
import { dateElement, documentOf, NULL, textElement, valueElement } from "./bson-document.js";
import { askTime, waitUntilAfter } from "./clock.js";
import type { MongoCollection } from "./collection.js";
import type { Limits } from "./connection.js";
import { driverValueOf } from "./driver-value.js";
import { translate } from "./errors.js";
import { EXPIRED, UNEXPIRED } from "./filters.js";
import { readOptions } from "./read-options.js";
import {
  type Place,
  placeOf,
  type RawDocument,
  splitDocument,
  timeOf,
  valueOf,
  versionedOf,
} from "./record.js";
import type { VersionedWrite } from "./statements.js";
import { type WriteResult, writeVersions } from "./versioned-writes.js";
import { readVersions, type Target, type Version, wasLive } from "./versions.js";

/** Documents in one reply. */
const READ_LIMIT = 1000;
/** Documents, and bytes of values, that are compared or written together. */
const PART = { items: 100, bytes: 2 * 1024 * 1024, bytesOf: valueBytes };
/** Of them under way at once. */
const LANES = 4;
/** What MongoDB takes as one document, and what one has besides its names and its value, at most. */
const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024;
const OTHER_FIELDS_BYTES = 200;
/** How often documents are looked at again that another writer changed in between. */
const MOST_ATTEMPTS = 20;

/** See Archive: the documents of a database's collections. */
export function createArchive(find: (name: string) => MongoCollection): Archive {
  return {
    size: async (collection, options) => sizeOf(find(collection), options),
    read: (collection, options) => readParts(find(collection), options),
    write: async (collection, documents, mode, options) => {
      const target = find(collection);
      const chunks = split(documents, PART);
      const outcomes: (readonly TransferOutcome[])[] = [];
      let next = 0;
      const lane = async (): Promise<void> => {
        for (let index = next++; index < chunks.length; index = next++) {
          outcomes[index] = await writeChunk(target, collection, chunks[index] ?? [], mode, options);
        }
      };
      await allOf(Array.from({ length: LANES }, lane));
      return outcomes.flat();
    },
  };
}

/** Waits for all, so that nothing goes on behind an error; then throws the first one, if there is one. */
async function allOf(lanes: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(lanes);
  await Promise.all(lanes);
}

/** From the collection's own count, since counting would read every document. */
async function sizeOf(
  { connection, documents }: MongoCollection,
  options: CallOptions | undefined,
): Promise<ArchiveSize> {
  const total = await connection.run(options, "read", ({ maxTimeMS }) =>
    documents.estimatedDocumentCount({ maxTimeMS }),
  );
  const expired = await connection.run(options, "read", ({ maxTimeMS }) =>
    documents.countDocuments(EXPIRED, { maxTimeMS }),
  );
  return { documents: Math.max(0, total - expired), expired };
}

function toArchived(raw: RawDocument, { datasetId, storeName, key }: Place): ArchivedDocument {
  const { createdAt, updatedAt, expiresAt, policy } = versionedOf(raw);
  const own = key === STORE_KEY;
  const none = raw.value === undefined || raw.value.type === BSON.NULL;
  return {
    datasetId,
    storeName,
    key: own ? undefined : key,
    createdAt,
    updatedAt,
    expiresAt,
    policy,
    value: own && none ? undefined : valueOf(raw),
  };
}

/** Where a part begins. */
interface Position {
  /** The last `_id` before it that the driver can name; undefined: there is none. */
  readonly last: { readonly value: unknown } | undefined;
  /** How many documents stand between, which can only be counted. */
  readonly skip: number;
}

/**
 * See Archive.read: in the order of `_id`, the one index that every collection has, and that names every document once.
 * Each part is a query of its own, so that a failover in between does no harm.
 */
async function* readParts(
  collection: MongoCollection,
  options: CallOptions | undefined,
): AsyncGenerator<ArchivePart, void, undefined> {
  let position: Position = { last: undefined, skip: 0 };
  for (;;) {
    const replies = await collection.connection.run(options, "read", (limits) =>
      readBehind(collection, position, limits),
    );
    if (replies.length === 0) return;
    const raws = replies.map(splitDocument);
    // Where the next part starts must be told to the driver, which does not know every type that an `_id` may have.
    const index = raws.findLastIndex((raw) => idOf(raw) !== undefined);
    if (index < 0) position = { last: position.last, skip: position.skip + raws.length };
    else {
      raws.length = index + 1;
      position = { last: idOf(raws[index]), skip: 0 };
    }
    const documents: ArchivedDocument[] = [];
    for (const raw of raws) {
      const place = placeOf(raw);
      if (place !== undefined) documents.push(toArchived(raw, place));
    }
    yield { documents, foreign: raws.length - documents.length };
  }
}

function idOf(raw: RawDocument | undefined): { readonly value: unknown } | undefined {
  return raw?._id && driverValueOf(documentOf([["value", raw._id]]));
}

/** One reply with the live documents from a position on: as many as the server puts into one. */
async function readBehind(
  { documents }: MongoCollection,
  { last, skip }: Position,
  limits: Limits,
): Promise<Buffer[]> {
  const filter = last === undefined ? UNEXPIRED : { $and: [UNEXPIRED, behind(last.value)] };
  const found = documents.find(filter, {
    raw: true,
    hint: { _id: 1 },
    sort: { _id: 1 },
    skip,
    limit: READ_LIMIT,
    batchSize: READ_LIMIT,
    singleBatch: true,
    ...readOptions(limits),
  });
  return (await found.toArray()) as unknown as Buffer[];
}

/** As an expression, since a plain comparison finds only what has the same type. The index answers it all the same. */
function behind(id: unknown): Document {
  return { $expr: { $gt: ["$_id", { $literal: id }] } };
}

/** A document on its way, and what is known of it. */
interface Item {
  readonly document: ArchivedDocument;
  readonly target: Target;
  outcome: TransferOutcome | undefined;
}

function itemOf(collection: string, document: ArchivedDocument): Item {
  const { datasetId, storeName, key = STORE_KEY } = document;
  return {
    document,
    target: { scope: { collection, datasetId }, storeName, key },
    outcome: refusalOf(document),
  };
}

/** Compares documents with what is there, and writes what is due, until no other writer interferes. */
async function writeChunk(
  collection: MongoCollection,
  name: string,
  documents: readonly ArchivedDocument[],
  mode: TransferMode,
  options: CallOptions | undefined,
): Promise<readonly TransferOutcome[]> {
  const items = documents.map((document) => itemOf(name, document));
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt += 1) {
    const open = items.filter(({ outcome }) => outcome === undefined);
    if (open.length === 0) return items.flatMap(({ outcome }) => outcome ?? []);
    const targets = open.map(({ target }) => target);
    const { now, versions } = await collection.connection.run(options, "read", async (limits) => ({
      now: await askTime(collection, limits.maxTimeMS),
      versions: await readVersions(collection, targets, true, limits),
    }));
    const due = open.flatMap((item, index) => decide(item, versions[index], now, mode) ?? []);
    if (due.length === 0) continue;
    const results = await collection.connection.run(options, "write", (limits) =>
      writeVersions(
        collection,
        due.map(({ write }) => write),
        limits,
        // Nobody else waits for one of them.
        limits.maxTimeMS,
      ),
    );
    due.forEach(({ item, outcome }, index) => {
      item.outcome = settled(results[index], outcome);
    });
    const latest = Math.max(...due.map(({ write }) => timeOf(write.base?.updated_at) ?? 0));
    // What follows must be later than what was replaced, too, which may have been ahead of the clock.
    if (latest >= now) await waitUntilAfter(collection, latest, options?.signal);
  }
  throw new StoreError(
    "DATABASE_CONFLICT",
    "other writers keep changing the documents that are written; stop them, then try again",
    { outcome: "UNKNOWN" },
  );
}

/** A document to be written, and what it then counts as. */
interface Due {
  readonly item: Item;
  readonly write: VersionedWrite;
  readonly outcome: TransferOutcome;
}

/** Settles a document that is not to be written; answers how to write one that is. */
function decide(item: Item, found: Version | undefined, now: number, mode: TransferMode): Due | undefined {
  const { document, target } = item;
  const stored = found !== undefined && wasLive(found) ? found.document : undefined;
  if (document.expiresAt !== undefined && document.expiresAt <= now) item.outcome = "expired";
  else if (stored === undefined) item.outcome = "missing";
  else {
    const place = { ...target, datasetId: target.scope.datasetId };
    item.outcome = sameDocument(toArchived(stored, place), document) ? "same" : "differs";
  }
  const missing = item.outcome === "missing" && mode !== "compare";
  if (!missing && !(item.outcome === "differs" && mode === "overwrite")) return undefined;
  item.outcome = undefined;
  // Should it expire just then, what is written in its place is right all the same.
  const base = { base: found?.document, baseIsLive: false, baseValue: undefined };
  return {
    item,
    write: { target, ...base, set: fieldsOf(document) },
    outcome: missing ? "created" : "replaced",
  };
}

/** What became of a write; undefined if it is to be tried again. */
function settled(result: WriteResult | undefined, outcome: TransferOutcome): TransferOutcome | undefined {
  if (result === "applied") return outcome;
  if (typeof result === "object") throw translate(result.error, "write");
  return undefined;
}

/** A document's fields as FiftyOne writes them, all of them there. */
function fieldsOf({ createdAt, updatedAt, expiresAt, policy, value }: ArchivedDocument): RawDocument {
  return {
    value: value === undefined ? NULL : valueElement(value),
    created_at: dateElement(createdAt),
    updated_at: dateElement(updatedAt),
    expires_at: expiresAt === undefined ? NULL : dateElement(expiresAt),
    policy: textElement(policy),
  };
}

/** Why MongoDB cannot hold a document. */
function refusalOf({ storeName, key, value, ...times }: ArchivedDocument): Refusal | undefined {
  const names = Buffer.byteLength(storeName) + Buffer.byteLength(key ?? STORE_KEY);
  if (names + (value?.length ?? 0) + OTHER_FIELDS_BYTES > MAX_DOCUMENT_BYTES) {
    return {
      refused:
        "it is larger than the 16 MiB that MongoDB takes as one document; make it smaller in the source",
    };
  }
  const { createdAt, updatedAt, expiresAt = 0 } = times;
  if (![createdAt, updatedAt, expiresAt].every(Number.isSafeInteger)) {
    return { refused: "one of its times is beyond what can be stored; set it anew in the source" };
  }
  return undefined;
}
