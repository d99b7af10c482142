import type { Policy } from "../../store/document.js";
import { copyOf } from "./bytes.js";
import { type ChangeType, changeKey, encodeChange, lastBlobOf } from "./change-log.js";
import { type Collection, type CollectionState, writeState } from "./collection.js";
import type { Bytes } from "./environment.js";
import { evictableKey, expiryKey, isStoreDocument, nameKey, storeKeyOf, timeKey } from "./keys.js";
import {
  type BlobReference,
  decodeRecord,
  encodeRecord,
  evictableTime,
  INLINE_BYTES,
  isBlob,
  isEvictable,
  isLive,
  type StoredRecord,
} from "./record.js";
import {
  decodeStoreRecord,
  EMPTY_STORE,
  encodeStoreRecord,
  isEmptyStore,
  type StoreRecord,
} from "./store-record.js";

/** A document as the batch found it. */
export interface Existing {
  readonly record: StoredRecord;
  /** The record as stored, for the change log. */
  readonly bytes: Buffer;
}

/** What to store under a key; everything else follows. */
export interface NewDocument {
  readonly policy: Policy;
  readonly expiresAt: number | undefined;
  /** New bytes, the value that is there (a reference or its bytes), or undefined for none. */
  readonly value: Uint8Array | BlobReference | undefined;
}

const PRESENT = Buffer.from([1]);

interface PendingStore {
  readonly key: Buffer;
  readonly before: StoreRecord | undefined;
  record: StoreRecord;
}

/**
 * Changes to one collection inside one write transaction: keeps documents, indexes, store records and change log
 * in step. `finish` must be called last.
 */
export class WriteBatch {
  /** The time of every change in the batch. */
  readonly now: number;
  private readonly stores = new Map<string, PendingStore>();
  private revision: number;
  private versionFloor: number;
  private historyBytes: number;

  constructor(
    readonly collection: Collection,
    private readonly meta: Bytes,
  ) {
    this.now = collection.clock.now();
    ({
      revision: this.revision,
      versionFloor: this.versionFloor,
      historyBytes: this.historyBytes,
    } = collection.state);
  }

  /** The document on disk, live or not. */
  read(key: Buffer): Existing | undefined {
    const read = this.collection.databases.documents.getBinaryFast(key);
    if (read === undefined) return undefined;
    const bytes = copyOf(read);
    return { record: decodeRecord(bytes, "view"), bytes };
  }

  /** The live document; one that has expired is removed, as its expiry. */
  readLive(key: Buffer): Existing | undefined {
    const existing = this.read(key);
    if (existing === undefined || isLive(existing.record, this.now)) return existing;
    this.remove(key, existing);
    return undefined;
  }

  /** Writes a document in place of `existing`, the live one, if any. */
  put(key: Buffer, existing: Existing | undefined, document: NewDocument): StoredRecord {
    this.revision += 1;
    const old = existing?.record;
    const updatedAt = Math.max(this.now, (old?.updatedAt ?? this.versionFloor) + 1);
    const record: StoredRecord = {
      policy: document.policy,
      createdAt: old?.createdAt ?? updatedAt,
      updatedAt,
      expiresAt: document.expiresAt,
      revision: this.revision,
      value: this.storedValue(document.value),
    };
    const bytes = encodeRecord(record);
    void this.collection.databases.documents.put(key, bytes);
    this.updateIndexes(key, old, record);
    this.log(old === undefined ? "created" : "updated", key, bytes, record, existing);
    return record;
  }

  /** Removes a document: as deleted, or as expired if its time had come. */
  remove(key: Buffer, existing: Existing): void {
    const { record } = existing;
    this.revision += 1;
    this.versionFloor = Math.max(this.versionFloor, record.updatedAt);
    void this.collection.databases.documents.remove(key);
    this.updateIndexes(key, record, undefined);
    this.log(isLive(record, this.now) ? "deleted" : "expired", key, undefined, undefined, existing);
  }

  /** Removes a change from the log, with the value that only it needed. */
  forget(changeBytes: Buffer, key: Buffer, blob: BlobReference | undefined): void {
    const { changes, blobs } = this.collection.databases;
    void changes.remove(key);
    if (blob !== undefined) void blobs.remove(timeKey(blob.revision));
    this.historyBytes -= changeBytes.length + (blob?.length ?? 0);
  }

  /** Writes what the batch gathered, and answers the state to take over once it is committed. */
  finish(): CollectionState {
    for (const store of this.stores.values()) this.writeStore(store);
    const state: CollectionState = {
      revision: this.revision,
      versionFloor: this.versionFloor,
      historyBytes: this.historyBytes,
      time: this.now,
    };
    writeState(this.meta, this.collection.name, state);
    return state;
  }

  private storedValue(value: NewDocument["value"]): StoredRecord["value"] {
    if (value === undefined || isBlob(value) || value.length <= INLINE_BYTES) return value;
    void this.collection.databases.blobs.put(timeKey(this.revision), asBuffer(value));
    return { revision: this.revision, length: value.length };
  }

  private updateIndexes(key: Buffer, old: StoredRecord | undefined, record: StoredRecord | undefined): void {
    const { expiries, evictables } = this.collection.databases;
    if (old?.expiresAt !== record?.expiresAt) {
      if (old?.expiresAt !== undefined) void expiries.remove(expiryKey(old.expiresAt, key));
      if (record?.expiresAt !== undefined) void expiries.put(expiryKey(record.expiresAt, key), PRESENT);
    }
    const oldTime = old !== undefined && isEvictable(old) ? evictableTime(old) : undefined;
    const time = record !== undefined && isEvictable(record) ? evictableTime(record) : undefined;
    if (oldTime !== time) {
      if (oldTime !== undefined) void evictables.remove(evictableKey(oldTime, key));
      if (time !== undefined) void evictables.put(evictableKey(time, key), PRESENT);
    }
    this.updateStore(key, old, record);
  }

  private updateStore(key: Buffer, old: StoredRecord | undefined, record: StoredRecord | undefined): void {
    if (isStoreDocument(key)) {
      const store = this.store(key);
      const documentExpiresAt = record?.expiresAt;
      store.record = { ...store.record, hasDocument: record !== undefined, documentExpiresAt };
      return;
    }
    const keys = Number(record !== undefined) - Number(old !== undefined);
    const expiring = Number(record?.expiresAt !== undefined) - Number(old?.expiresAt !== undefined);
    if (keys === 0 && expiring === 0) return;
    const store = this.store(key);
    store.record = {
      ...store.record,
      keys: store.record.keys + keys,
      expiring: store.record.expiring + expiring,
    };
  }

  private store(documentKey: Buffer): PendingStore {
    const key = storeKeyOf(documentKey);
    const id = key.toString("latin1");
    let store = this.stores.get(id);
    if (store === undefined) {
      const bytes = this.collection.databases.stores.get(key);
      const before = bytes === undefined ? undefined : decodeStoreRecord(bytes);
      store = { key, before, record: before ?? EMPTY_STORE };
      this.stores.set(id, store);
    }
    return store;
  }

  private writeStore({ key, before, record }: PendingStore): void {
    const { stores, names } = this.collection.databases;
    if (isEmptyStore(record)) {
      if (before === undefined) return;
      void stores.remove(key);
      void names.remove(nameKey(key));
      return;
    }
    void stores.put(key, encodeStoreRecord(record));
    if (before === undefined) void names.put(nameKey(key), PRESENT);
  }

  private log(
    type: ChangeType,
    key: Buffer,
    bytes: Buffer | undefined,
    record: StoredRecord | undefined,
    existing: Existing | undefined,
  ): void {
    const blob = lastBlobOf(record, existing?.record);
    if (isStoreDocument(key)) {
      // Store documents have no history: nothing else refers to what they replace.
      if (blob !== undefined) void this.collection.databases.blobs.remove(timeKey(blob.revision));
      return;
    }
    const change = encodeChange(type, this.now, key, bytes, existing?.bytes);
    void this.collection.databases.changes.put(changeKey(this.revision), change);
    this.historyBytes += change.length + (blob?.length ?? 0);
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
