import type { ChangeType } from "../../store/changes.js";
import { timeKey } from "./keys.js";
import { decodeRecord, isBlob, type StoredRecord } from "./record.js";

const TYPES: readonly ChangeType[] = ["created", "updated", "deleted", "expired"];

/** One change of one key, in the order of revisions: what a watch needs to tell it. */
export interface LoggedChange {
  readonly type: ChangeType;
  /** Whether one write made both this change, a "created", and the one before it, the "expired" of the same key. */
  readonly replacesExpired: boolean;
  /** The store's clock at the commit, in ms. */
  readonly commitTime: number;
  /** The document key. */
  readonly key: Buffer;
  /** After the change; undefined for "deleted" and "expired". */
  readonly record: StoredRecord | undefined;
  /** Just before it; undefined for "created". */
  readonly previous: StoredRecord | undefined;
}

/** The key of a change. */
export const changeKey = timeKey;

/** Where all changes are. */
export const ALL_CHANGES = { start: changeKey(0), end: changeKey(Number.MAX_SAFE_INTEGER) };

/**
 *   0   bits 0 and 1: type, as an index into TYPES; bit 2: replacesExpired
 *   1   commitTime      8 bytes, IEEE double, little endian
 *   9   length of key   2 bytes, little endian
 *   11  length of record, 0 = none          4 bytes
 *   15  length of previous, 0 = none        4 bytes
 *   19  key, record, previous
 */
const HEADER_BYTES = 19;
const TYPE_BITS = 3;
const REPLACES_EXPIRED = 4;

/** A change to log: `record` and `previous` as encodeRecord makes them. */
export interface LogEntry extends Omit<LoggedChange, "record" | "previous"> {
  readonly record: Buffer | undefined;
  readonly previous: Buffer | undefined;
}

/** A change's bytes. */
export function encodeChange(entry: LogEntry): Buffer {
  const { type, replacesExpired, commitTime, key, record, previous } = entry;
  const recordBytes = record?.length ?? 0;
  const previousBytes = previous?.length ?? 0;
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + key.length + recordBytes + previousBytes);
  bytes[0] = TYPES.indexOf(type) | (replacesExpired ? REPLACES_EXPIRED : 0);
  bytes.writeDoubleLE(commitTime, 1);
  bytes.writeUInt16LE(key.length, 9);
  bytes.writeUInt32LE(recordBytes, 11);
  bytes.writeUInt32LE(previousBytes, 15);
  let at = HEADER_BYTES;
  bytes.set(key, at);
  at += key.length;
  if (record !== undefined) bytes.set(record, at);
  at += recordBytes;
  if (previous !== undefined) bytes.set(previous, at);
  return bytes;
}

/** Reads a change; keys and inline values are views of the given bytes. */
export function decodeChange(bytes: Buffer): LoggedChange {
  const recordAt = HEADER_BYTES + bytes.readUInt16LE(9);
  const previousAt = recordAt + bytes.readUInt32LE(11);
  const end = previousAt + bytes.readUInt32LE(15);
  const flags = bytes[0] ?? 0;
  return {
    type: TYPES[flags & TYPE_BITS] ?? "updated",
    replacesExpired: (flags & REPLACES_EXPIRED) !== 0,
    commitTime: bytes.readDoubleLE(1),
    key: bytes.subarray(HEADER_BYTES, recordAt),
    record: previousAt === recordAt ? undefined : decodeRecord(bytes.subarray(recordAt, previousAt), "view"),
    previous: end === previousAt ? undefined : decodeRecord(bytes.subarray(previousAt, end), "view"),
  };
}

/**
 * The blob that only this change still refers to: the value that it replaced or removed. The blob is freed with
 * the change, since the changes before it are gone by then.
 */
export function lastBlobOf(
  record: StoredRecord | undefined,
  previous: StoredRecord | undefined,
): { readonly revision: number; readonly length: number } | undefined {
  if (previous === undefined || !isBlob(previous.value)) return undefined;
  if (record !== undefined && isBlob(record.value) && record.value.revision === previous.value.revision) {
    return undefined;
  }
  return previous.value;
}
