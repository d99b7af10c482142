import type { KeyDocument, Policy, StoreDocument, Versioned } from "../../store/document.js";
import { copyOf } from "./bytes.js";
import { NO_TIME } from "./keys.js";

/**
 * A stored document: a header of fixed size, then the value, or a reference to it.
 *
 *   0   flags      bit 0 evict, bit 1 the value is in the blobs database, bit 2 there is no value
 *   1   createdAt  8 bytes each, IEEE doubles, little endian
 *   9   updatedAt
 *   17  expiresAt  0 = does not expire
 *   25  revision   of the last change
 *   33  the value's bytes | the revision that wrote the blob (8) and its length (8)
 */
const EVICT = 1;
const BLOB = 2;
const NO_VALUE = 4;
const HEADER_BYTES = 33;

/** Values up to this size stand in the record itself; larger ones are written once, whoever refers to them. */
export const INLINE_BYTES = 1024;

/** A value that stands in the blobs database. */
export interface BlobReference {
  /** The revision that wrote it: its key. */
  readonly revision: number;
  readonly length: number;
}

/** A document as it is stored. */
export interface StoredRecord {
  readonly policy: Policy;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly expiresAt: number | undefined;
  readonly revision: number;
  /** The bytes, a reference to them, or undefined: a store document without metadata. */
  readonly value: Uint8Array | BlobReference | undefined;
}

/** Whether a value stands outside the record. */
export function isBlob(value: StoredRecord["value"]): value is BlobReference {
  return value !== undefined && !(value instanceof Uint8Array);
}

/** The size of a record's value in bytes. */
export function valueLength(value: StoredRecord["value"]): number {
  return value === undefined ? 0 : value.length;
}

/** A record's bytes. */
export function encodeRecord(record: StoredRecord): Buffer {
  const { value } = record;
  const blob = isBlob(value);
  const inline = value instanceof Uint8Array ? value : undefined;
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + (blob ? 16 : (inline?.length ?? 0)));
  bytes[0] =
    (record.policy === "evict" ? EVICT : 0) | (blob ? BLOB : 0) | (value === undefined ? NO_VALUE : 0);
  bytes.writeDoubleLE(record.createdAt, 1);
  bytes.writeDoubleLE(record.updatedAt, 9);
  bytes.writeDoubleLE(record.expiresAt ?? 0, 17);
  bytes.writeDoubleLE(record.revision, 25);
  if (blob) {
    bytes.writeDoubleLE(value.revision, HEADER_BYTES);
    bytes.writeDoubleLE(value.length, HEADER_BYTES + 8);
  } else if (inline !== undefined) {
    bytes.set(inline, HEADER_BYTES);
  }
  return bytes;
}

/**
 * How to read a record's inline value: leave it out, as a view of the record's bytes, or as a copy. The bytes may be
 * LMDB's own buffer, which the next read uses again, only without a view.
 */
export type InlineValue = "none" | "view" | "copy";

/** Reads a record. */
export function decodeRecord(bytes: Buffer, inline: InlineValue): StoredRecord {
  const expiresAt = bytes.readDoubleLE(17);
  return {
    policy: ((bytes[0] ?? 0) & EVICT) === 0 ? "persist" : "evict",
    createdAt: bytes.readDoubleLE(1),
    updatedAt: bytes.readDoubleLE(9),
    expiresAt: expiresAt === 0 ? undefined : expiresAt,
    revision: bytes.readDoubleLE(25),
    value: decodeValue(bytes, inline),
  };
}

function decodeValue(bytes: Buffer, inline: InlineValue): StoredRecord["value"] {
  const flags = bytes[0] ?? 0;
  if ((flags & NO_VALUE) !== 0) return undefined;
  if ((flags & BLOB) !== 0) {
    return { revision: bytes.readDoubleLE(HEADER_BYTES), length: bytes.readDoubleLE(HEADER_BYTES + 8) };
  }
  if (inline === "none") return undefined;
  if (inline === "view") return bytes.subarray(HEADER_BYTES, bytes.length);
  return copyOf(bytes, HEADER_BYTES);
}

/** Whether a document is live at a time. */
export function isLive(record: { readonly expiresAt: number | undefined }, now: number): boolean {
  return record.expiresAt === undefined || record.expiresAt > now;
}

/** Whether `clearCache` removes a document. */
export function isEvictable(record: StoredRecord): boolean {
  return record.policy === "evict" || record.expiresAt !== undefined;
}

/** The time of a record in the index of evictable documents. */
export function evictableTime(record: StoredRecord): number {
  return record.expiresAt ?? NO_TIME;
}

/** Makes etags: unique to one collection, and a revision never comes twice in it. */
export class Etags {
  constructor(private readonly incarnation: string) {}

  of(revision: number): string {
    return `${this.incarnation}.${revision.toString(36)}`;
  }
}

function versionedOf(record: StoredRecord, etags: Etags): Versioned {
  return {
    createdAt: record.createdAt,
    updatedAt: record.updatedAt,
    expiresAt: record.expiresAt,
    policy: record.policy,
    etag: etags.of(record.revision),
  };
}

/** The domain's view of a key's record. */
export function keyDocument(
  datasetId: string,
  storeName: string,
  key: string,
  record: StoredRecord,
  value: Uint8Array | undefined,
  etags: Etags,
): KeyDocument {
  return {
    datasetId,
    storeName,
    key,
    value,
    createdAt: record.createdAt,
    updatedAt: record.updatedAt,
    expiresAt: record.expiresAt,
    policy: record.policy,
    etag: etags.of(record.revision),
  };
}

/** The domain's view of a store. */
export function toStoreDocument(
  datasetId: string,
  storeName: string,
  record: StoredRecord | undefined,
  metadata: Uint8Array | undefined,
  etags: Etags,
): StoreDocument {
  return {
    datasetId,
    storeName,
    own: record === undefined ? undefined : { ...versionedOf(record, etags), metadata },
  };
}
