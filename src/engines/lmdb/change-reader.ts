import type { Change, ChangeBatch, EventDocument, Position } from "../../store/changes.js";
import type { KeyDocument } from "../../store/document.js";
import { historyLost } from "../../store/errors.js";
import { changeKey, decodeChange, type LoggedChange } from "./change-log.js";
import { type Collection, readState } from "./collection.js";
import { readEntries } from "./environment.js";
import { splitDocumentKey, timeAt, timeKey } from "./keys.js";
import { readValue } from "./reads.js";
import { isBlob, keyDocument, type StoredRecord } from "./record.js";

/** Changes read at once, at most. */
const CHUNK = 256;
/** Digits of the greatest revision, so that places sort like revisions. */
const POSITION_DIGITS = 16;

/** The place behind the change of a revision. */
export function positionOf(revision: number): Position {
  return String(revision).padStart(POSITION_DIGITS, "0");
}

/** The last revision before a place; undefined if it is no place of this engine's. */
export function revisionBefore(position: Position): number | undefined {
  return /^\d{16}$/.test(position) ? Number(position) : undefined;
}

/** A part of the change log. */
export interface LogPart extends ChangeBatch {
  /** The last one that the part covers. */
  readonly revision: number;
  /** Whether there is more to be read at once. */
  readonly more: boolean;
}

interface Entry {
  readonly revision: number;
  readonly logged: LoggedChange;
}

/** One of the two documents of a logged change. */
class LoggedDocument implements EventDocument {
  constructor(
    private readonly collection: Collection,
    private readonly change: Pick<Change, "datasetId" | "storeName" | "key">,
    private readonly revision: number,
    private readonly record: StoredRecord,
  ) {}

  read(withValue: boolean): KeyDocument {
    const { datasetId, storeName, key } = this.change;
    const value = withValue ? this.value() : undefined;
    return keyDocument(datasetId, storeName, key, this.record, value, this.collection.etags);
  }

  private value(): Uint8Array | undefined {
    const { collection, record } = this;
    if (!isBlob(record.value)) return record.value;
    const { environment, databases, name } = collection;
    environment.closing.throwIfAborted();
    // It is there at least as long as the change is.
    const forgotten = readState(environment.meta, name).historyFloor >= this.revision;
    if (forgotten && !databases.blobs.doesExist(timeKey(record.value.revision))) {
      throw historyLost("the server forgot a value before it was read");
    }
    return readValue(collection, record);
  }
}

/** @param expired the change before it, if it belongs to the same write */
function toChange(collection: Collection, entry: Entry, expired: Change | undefined): Change {
  const { revision } = entry;
  const { type, commitTime, record, previous } = entry.logged;
  const names = splitDocumentKey(entry.logged.key);
  const toDocument = (stored: StoredRecord | undefined): EventDocument | undefined =>
    stored && new LoggedDocument(collection, names, revision, stored);
  const event = { type, commitTime, document: toDocument(record), previous: toDocument(previous) };
  const events = expired === undefined ? [event] : [...expired.events, event];
  const { datasetId, storeName, key } = names;
  return { position: positionOf(revision), datasetId, storeName, key, events };
}

/**
 * Reads what the log has after a revision: all, or some hundred changes.
 *
 * @throws StoreError HISTORY_LOST
 */
export function readLog(collection: Collection, after: number): LogPart {
  const { revision: last, historyFloor } = readState(collection.environment.meta, collection.name);
  if (after < historyFloor) throw historyLost("they are older, or more, than what the server keeps");
  if (after > last) throw historyLost("this place is ahead of all that the server has");
  const range = { start: changeKey(after + 1), end: changeKey(last + 1), limit: CHUNK };
  const found = after === last ? [] : readEntries(collection.databases.changes, range);
  const entries = found.map(({ key, value }) => ({ revision: timeAt(key, 0), logged: decodeChange(value) }));
  const more = entries.length === CHUNK;
  // What follows it, perhaps of the same write, is yet to be read.
  if (more && entries.at(-1)?.logged.type === "expired") entries.pop();
  const changes: Change[] = [];
  for (const entry of entries) {
    changes.push(toChange(collection, entry, entry.logged.replacesExpired ? changes.pop() : undefined));
  }
  // Store documents have revisions, too, but no changes.
  const revision = more ? (entries.at(-1)?.revision ?? after) : last;
  return { changes, position: positionOf(revision), revision, more };
}
