import type { ChangeType } from "../../store/changes.js";
import type { Policy } from "../../store/document.js";
import { copyOf } from "./bytes.js";
import { ALL_CHANGES, changeKey, decodeChange, encodeChange, lastBlobOf } from "./change-log.js";
import { type Collection, readState, writeState } from "./collection.js";
import { readEntries } from "./environment.js";
import { evictableKey, expiryKey, isStoreDocument, nameKey, storeKeyOf, timeAt, timeKey } from "./keys.js";
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

/** A document with the times that it has elsewhere. */
export interface RestoredDocument extends NewDocument {
  readonly createdAt: number;
  readonly updatedAt: number;
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
  private readonly stores = new Map<string, PendingStore>();
  /** Of the last change before the batch. */
  private readonly before: number;
  private revision: number;
  private versionFloor: number;
  private historyBytes: number;
  private historyFloor: number;
  private appended = 0;
  /** The number of the change by which the last `readLive` removed what had expired. */
  private expiredAt: number | undefined;

  constructor(
    readonly collection: Collection,
    /** The time of every change in the batch. */
    readonly now: number,
  ) {
    const state = readState(collection.environment.meta, collection.name);
    this.before = state.revision;
    this.revision = state.revision;
    this.versionFloor = state.versionFloor;
    this.historyBytes = state.historyBytes;
    this.historyFloor = state.historyFloor;
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
    this.expiredAt = undefined;
    if (existing === undefined || isLive(existing.record, this.now)) return existing;
    this.remove(key, existing);
    this.expiredAt = this.revision;
    return undefined;
  }

  /** Writes a document in place of `existing`, the live one, if any. */
  put(key: Buffer, existing: Existing | undefined, document: NewDocument): StoredRecord {
    const old = existing?.record;
    const updatedAt = Math.max(this.now, Math.max(old?.updatedAt ?? 0, this.versionFloor) + 1);
    return this.write(key, existing, document, old?.createdAt ?? updatedAt, updatedAt);
  }

  /** Writes a document as it is elsewhere in place of `existing`, the live one, if any. */
  restore(key: Buffer, existing: Existing | undefined, document: RestoredDocument): void {
    // What follows it must be later than what it replaces, too, whichever of the two is the later one.
    this.versionFloor = Math.max(this.versionFloor, existing?.record.updatedAt ?? 0);
    this.write(key, existing, document, document.createdAt, document.updatedAt);
  }

  private write(
    key: Buffer,
    existing: Existing | undefined,
    document: NewDocument,
    createdAt: number,
    updatedAt: number,
  ): StoredRecord {
    this.revision += 1;
    const old = existing?.record;
    // Until this can be read, readers see the old document, and must find it as live as it is found here.
    if (old?.expiresAt !== undefined) this.collection.clock.hold();
    const record: StoredRecord = {
      policy: document.policy,
      createdAt,
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
    const live = isLive(record, this.now);
    // As in write: nobody may find it expired that is then told to be deleted.
    if (live && record.expiresAt !== undefined) this.collection.clock.hold();
    this.revision += 1;
    this.versionFloor = Math.max(this.versionFloor, record.updatedAt);
    void this.collection.databases.documents.remove(key);
    this.updateIndexes(key, record, undefined);
    this.log(live ? "deleted" : "expired", key, undefined, undefined, existing);
  }

  /**
   * Forgets the oldest changes, at most `limit`, while the log is too large or they are from before `oldest`. Those of
   * the batch itself stay, however large they are: whoever waits for them is yet to read them.
   */
  forget(limit: number, oldest: number): void {
    const { changes, blobs } = this.collection.databases;
    const { maxBytes } = this.collection.history;
    for (const { key, value } of readEntries(changes, { ...ALL_CHANGES, limit })) {
      const { commitTime, record, previous } = decodeChange(value);
      if (this.historyBytes <= maxBytes && commitTime >= oldest) return;
      if (timeAt(key, 0) > this.before) return;
      const blob = lastBlobOf(record, previous);
      void changes.remove(key);
      if (blob !== undefined) void blobs.remove(timeKey(blob.revision));
      this.historyBytes -= value.length + (blob?.length ?? 0);
      this.historyFloor = timeAt(key, 0);
    }
  }

  /** Writes what the batch gathered. */
  finish(): void {
    for (const store of this.stores.values()) this.writeStore(store);
    // Who appends makes room: the log stays within its size however much is written.
    if (this.historyBytes > this.collection.history.maxBytes) this.forget(2 * this.appended, 0);
    writeState(this.collection.environment.meta, this.collection.name, {
      revision: this.revision,
      versionFloor: this.versionFloor,
      historyBytes: this.historyBytes,
      historyFloor: this.historyFloor,
      time: this.now,
    });
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
    const change = encodeChange({
      type,
      replacesExpired: type === "created" && this.expiredAt === this.revision - 1,
      commitTime: this.now,
      key,
      record: bytes,
      previous: existing?.bytes,
    });
    void this.collection.databases.changes.put(changeKey(this.revision), change);
    this.historyBytes += change.length + (blob?.length ?? 0);
    this.appended += 1;
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
