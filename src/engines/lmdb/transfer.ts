import type { CallOptions } from "../../store/engine.js";
import { isStoreError } from "../../store/errors.js";
import { checkStoreName, keyError } from "../../store/names.js";
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
import { BSON, VALUE_AT } from "../../value/bson-bytes.js";
import { checkValueBson } from "../../value/check-bson.js";
import type { Collection } from "./collection.js";
import { readEntries } from "./environment.js";
import {
  after,
  CONTEXTS_END,
  documentKey,
  FIRST_CONTEXT,
  NO_TIME,
  splitDocumentKey,
  timeKey,
} from "./keys.js";
import { readRecord, readValue } from "./reads.js";
import { decodeRecord, isLive, type StoredRecord } from "./record.js";
import { Turns, withSnapshot } from "./snapshot.js";
import { decodeStoreRecord } from "./store-record.js";
import type { WriteBatch } from "./write-batch.js";
import { inParts, type Job, type Writer } from "./writer.js";

/** Documents read between two looks at the clock. */
const READ_CHUNK = 256;
/** Documents, and bytes of values, in one part; a single document may bring more. */
const PART_DOCUMENTS = 1000;
const PART_BYTES = 8 * 1024 * 1024;
/** Documents, and bytes of values, that go into one transaction together. */
const PART = { items: 100, bytes: 4 * 1024 * 1024, bytesOf: valueBytes };

/** What the archive needs from its engine. */
export interface ArchiveParts {
  readonly writer: Writer;
  /** Throws once the engine is closed, or the call aborted. */
  readonly collection: (name: string, options: CallOptions | undefined) => Collection;
  /** Runs what takes more than one turn of the event loop: closing waits for it. */
  readonly long: <Result>(
    name: string,
    options: CallOptions | undefined,
    work: (collection: Collection) => Promise<Result>,
  ) => Promise<Result>;
}

/** See Archive: the documents of an open database directory. */
export function createArchive({ writer, collection, long }: ArchiveParts): Archive {
  return {
    size: (name, options) => long(name, options, (from) => sizeOf(from, options)),
    async *read(name, options) {
      yield* readParts(collection(name, options), options);
    },
    write: (name, documents, mode, options) =>
      long(name, options, (into) => writeDocuments(writer, into, documents, mode, options)),
  };
}

/** What the store records count, less what has expired. */
function sizeOf(collection: Collection, options: CallOptions | undefined): Promise<ArchiveSize> {
  const { databases, clock, environment } = collection;
  return withSnapshot(environment, options?.signal, async (snapshot) => {
    let onDisk = 0;
    for await (const keys of snapshot.keys(databases.stores, FIRST_CONTEXT, CONTEXTS_END)) {
      for (const key of keys) {
        const bytes = snapshot.get(databases.stores, key);
        if (bytes === undefined) continue;
        const store = decodeStoreRecord(bytes);
        onDisk += store.keys + Number(store.hasDocument);
      }
    }
    let expired = 0;
    const due = timeKey(clock.now() + 1);
    for await (const keys of snapshot.keys(databases.expiries, timeKey(0), due)) expired += keys.length;
    return { documents: onDisk - expired, expired };
  });
}

/** Metadata stands as a document of its own; elsewhere it is the value of a field. */
function wrapMetadata(metadata: Uint8Array): Uint8Array {
  const wrapped = Buffer.alloc(VALUE_AT + metadata.length + 1);
  wrapped.writeInt32LE(wrapped.length, 0);
  wrapped[4] = BSON.OBJECT;
  wrapped.write("value", 5);
  wrapped.set(metadata, VALUE_AT);
  return wrapped;
}

function unwrapMetadata(value: Uint8Array): Uint8Array {
  return value.subarray(VALUE_AT, value.length - 1);
}

function toArchived(at: Buffer, record: StoredRecord, value: Uint8Array | undefined): ArchivedDocument {
  const { datasetId, storeName, key } = splitDocumentKey(at);
  const { createdAt, updatedAt, expiresAt, policy } = record;
  const own = key === "";
  return {
    datasetId,
    storeName,
    key: own ? undefined : key,
    createdAt,
    updatedAt,
    expiresAt,
    policy,
    value: own && value !== undefined ? wrapMetadata(value) : value,
  };
}

/** See Archive.read: in the order of the keys, each slice as of its own moment. */
async function* readParts(
  collection: Collection,
  options: CallOptions | undefined,
): AsyncGenerator<ArchivePart, void, undefined> {
  let start: Buffer | undefined = FIRST_CONTEXT;
  while (start !== undefined) {
    const documents: ArchivedDocument[] = [];
    let bytes = 0;
    const turns = new Turns(collection.environment, options?.signal);
    while (start !== undefined && documents.length < PART_DOCUMENTS && bytes < PART_BYTES) {
      // Also first: whoever takes the parts may take any time between two, and the engine may close meanwhile.
      await turns.rest();
      const slice = readSlice(collection, start, PART_BYTES - bytes);
      for (const document of slice.documents) documents.push(document);
      bytes += slice.bytes;
      start = slice.next;
    }
    if (documents.length > 0) yield { documents, foreign: 0 };
  }
}

interface Slice {
  readonly documents: readonly ArchivedDocument[];
  readonly bytes: number;
  /** Where the next slice starts; undefined after the last. */
  readonly next: Buffer | undefined;
}

function readSlice(collection: Collection, start: Buffer, mostBytes: number): Slice {
  const { databases, clock } = collection;
  const entries = readEntries(databases.documents, { start, end: CONTEXTS_END, limit: READ_CHUNK });
  const now = clock.now();
  const documents: ArchivedDocument[] = [];
  let bytes = 0;
  for (const { key, value } of entries) {
    const record = decodeRecord(value, "view");
    if (!isLive(record, now)) continue;
    const document = toArchived(key, record, readValue(collection, record));
    documents.push(document);
    bytes += document.value?.length ?? 0;
    if (bytes >= mostBytes) return { documents, bytes, next: after(key) };
  }
  const last = entries.at(-1);
  const next = last === undefined || entries.length < READ_CHUNK ? undefined : after(last.key);
  return { documents, bytes, next };
}

/** See Archive.write. */
async function writeDocuments(
  writer: Writer,
  collection: Collection,
  documents: readonly ArchivedDocument[],
  mode: TransferMode,
  options: CallOptions | undefined,
): Promise<readonly TransferOutcome[]> {
  const turns = new Turns(collection.environment, options?.signal);
  return inParts(writer, async (submit) => {
    const outcomes: TransferOutcome[] = [];
    for (const chunk of split(documents, PART)) {
      await turns.rest();
      // Looking first costs no transaction where nothing is to be written, as in most of a repeated copy.
      const found = chunk.map((document) => lookUp(collection, document));
      const due = chunk.filter((_, index) => isDue(found[index], mode));
      const written = due.length === 0 ? [] : await submit(writing(collection, due, mode, options));
      let at = 0;
      for (const outcome of found) outcomes.push(isDue(outcome, mode) ? (written[at++] ?? outcome) : outcome);
    }
    return outcomes;
  });
}

function writing(
  collection: Collection,
  documents: readonly ArchivedDocument[],
  mode: TransferMode,
  options: CallOptions | undefined,
): Job<TransferOutcome[]> {
  return {
    collection,
    bytes: documents.reduce((sum, { value }) => sum + (value?.length ?? 0), 0),
    signal: options?.signal,
    apply: (batch) => documents.map((document) => transfer(batch, document, mode)),
  };
}

/** Whether the mode asks for writing a document that stands so. */
function isDue(outcome: TransferOutcome | undefined, mode: TransferMode): boolean {
  return (outcome === "missing" && mode !== "compare") || (outcome === "differs" && mode === "overwrite");
}

function keyOf({ datasetId, storeName, key }: ArchivedDocument): Buffer {
  return documentKey(datasetId, storeName, key ?? "");
}

/** How a document stands against a record, live or not, of its name. */
function compare(
  collection: Collection,
  document: ArchivedDocument,
  record: StoredRecord | undefined,
  now: number,
): TransferOutcome {
  if (!isLive(document, now)) return "expired";
  if (record === undefined || !isLive(record, now)) return "missing";
  const stored = toArchived(keyOf(document), record, readValue(collection, record));
  return sameDocument(stored, document) ? "same" : "differs";
}

function lookUp(collection: Collection, document: ArchivedDocument): TransferOutcome {
  const refusal = refusalOf(document);
  if (refusal !== undefined) return refusal;
  const record = readRecord(collection, keyOf(document), true);
  return compare(collection, document, record, collection.clock.now());
}

/** Writes one document inside a transaction, if it is still to be written. */
function transfer(batch: WriteBatch, document: ArchivedDocument, mode: TransferMode): TransferOutcome {
  const at = keyOf(document);
  const existing = batch.readLive(at);
  const outcome = compare(batch.collection, document, existing?.record, batch.now);
  if (!isDue(outcome, mode)) return outcome;
  const { key, value, policy, expiresAt, createdAt, updatedAt } = document;
  batch.restore(at, existing, {
    policy,
    expiresAt,
    createdAt,
    updatedAt,
    value: key === undefined && value !== undefined ? unwrapMetadata(value) : value,
  });
  return existing === undefined ? "created" : "replaced";
}

/** Why this engine cannot hold a document: it takes what its own callers may write, and whatever times fit. */
function refusalOf(document: ArchivedDocument): Refusal | undefined {
  const { storeName, key, value, createdAt, updatedAt, expiresAt } = document;
  const name = key === undefined ? undefined : keyError(key, "its key", "write");
  if (name !== undefined) return { refused: name.message };
  const times = [createdAt, updatedAt, ...(expiresAt === undefined ? [] : [expiresAt])];
  if (!times.every((time) => Math.abs(time) < NO_TIME)) {
    return { refused: "one of its times is beyond what can be stored; set it anew in the source" };
  }
  if (key === undefined && value !== undefined && value[4] !== BSON.OBJECT) {
    return { refused: "its metadata is no object; create the store anew in the source" };
  }
  try {
    checkStoreName(storeName, "write");
    if (value !== undefined) checkValueBson(value, key === undefined ? "its metadata" : "its value");
    return undefined;
  } catch (error) {
    if (isStoreError(error)) return { refused: error.message };
    throw error;
  }
}
