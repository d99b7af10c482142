/**
 * What is kept per store, so that listing and counting stores costs what the stores cost, whatever the number of
 * keys. It counts what is on disk, expired documents included until they are removed.
 */
export interface StoreRecord {
  /** Keys on disk. */
  readonly keys: number;
  /** Those of them that have an expiry. */
  readonly expiring: number;
  /** Whether the store has a document of its own on disk. */
  readonly hasDocument: boolean;
  /** When that document expires; undefined if it does not, or is not there. */
  readonly documentExpiresAt: number | undefined;
}

/** A store with nothing in it. */
export const EMPTY_STORE: StoreRecord = {
  keys: 0,
  expiring: 0,
  hasDocument: false,
  documentExpiresAt: undefined,
};

const BYTES = 25;

/** A store record's bytes. */
export function encodeStoreRecord(record: StoreRecord): Buffer {
  const bytes = Buffer.allocUnsafe(BYTES);
  bytes[0] = record.hasDocument ? 1 : 0;
  bytes.writeDoubleLE(record.keys, 1);
  bytes.writeDoubleLE(record.expiring, 9);
  bytes.writeDoubleLE(record.documentExpiresAt ?? 0, 17);
  return bytes;
}

/** Reads a store record. */
export function decodeStoreRecord(bytes: Buffer): StoreRecord {
  const documentExpiresAt = bytes.readDoubleLE(17);
  return {
    hasDocument: bytes[0] === 1,
    keys: bytes.readDoubleLE(1),
    expiring: bytes.readDoubleLE(9),
    documentExpiresAt: documentExpiresAt === 0 ? undefined : documentExpiresAt,
  };
}

/** Whether nothing of the store is on disk any more. */
export function isEmptyStore(record: StoreRecord): boolean {
  return record.keys === 0 && !record.hasDocument;
}
