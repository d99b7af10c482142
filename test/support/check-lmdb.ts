import { decodeChange, lastBlobOf } from "../../src/engines/lmdb/change-log.js";
import { type CollectionDatabases, openEnvironment } from "../../src/engines/lmdb/environment.js";
import {
  documentOfExpiryKey,
  evictableKey,
  expiryKey,
  isStoreDocument,
  nameKey,
  storeKeyOf,
  timeAt,
  timeKey,
} from "../../src/engines/lmdb/keys.js";
import { decodeRecord, evictableTime, isBlob, isEvictable } from "../../src/engines/lmdb/record.js";
import { decodeStoreRecord, EMPTY_STORE, encodeStoreRecord } from "../../src/engines/lmdb/store-record.js";

/** What a database directory holds, as far as tests ask. */
export interface LmdbCensus {
  readonly documents: number;
  readonly blobs: number;
  readonly changes: readonly ReturnType<typeof decodeChange>[];
  readonly historyBytes: number;
}

function hex(key: Uint8Array): string {
  return Buffer.from(key).toString("hex");
}

function difference(what: string, found: Iterable<string>, expected: Iterable<string>): string[] {
  const foundSet = new Set(found);
  const expectedSet = new Set(expected);
  return [
    ...[...foundSet]
      .filter((key) => !expectedSet.has(key))
      .map((key) => `${what}: ${key} should not be there`),
    ...[...expectedSet].filter((key) => !foundSet.has(key)).map((key) => `${what}: ${key} is missing`),
  ];
}

function expectedOf(databases: CollectionDatabases) {
  const expiries: string[] = [];
  const evictables: string[] = [];
  const blobs: string[] = [];
  const stores = new Map<string, { key: Buffer; record: typeof EMPTY_STORE }>();
  let documents = 0;
  for (const { key, value } of databases.documents.getRange({})) {
    documents += 1;
    const record = decodeRecord(value, "view");
    if (record.expiresAt !== undefined) expiries.push(hex(expiryKey(record.expiresAt, key)));
    if (isEvictable(record)) evictables.push(hex(evictableKey(evictableTime(record), key)));
    if (isBlob(record.value)) blobs.push(hex(timeKey(record.value.revision)));
    const storeKey = storeKeyOf(key);
    const store = stores.get(hex(storeKey)) ?? { key: storeKey, record: EMPTY_STORE };
    const own = isStoreDocument(key);
    store.record = own
      ? { ...store.record, hasDocument: true, documentExpiresAt: record.expiresAt }
      : {
          ...store.record,
          keys: store.record.keys + 1,
          expiring: store.record.expiring + Number(record.expiresAt !== undefined),
        };
    stores.set(hex(storeKey), store);
  }
  return { expiries, evictables, blobs, stores, documents };
}

function keysOf(database: CollectionDatabases[keyof CollectionDatabases]): string[] {
  return Array.from(database.getKeys({}), hex);
}

/**
 * Checks that documents, indexes, store records, values and the change log of a closed database directory agree
 * with each other.
 *
 * @throws Error that lists what does not
 */
export async function checkLmdb(path: string, collection = "execution_store"): Promise<LmdbCensus> {
  const environment = await openEnvironment(path, 8);
  try {
    const databases = environment.collection(collection);
    const expected = expectedOf(databases);
    const changes = Array.from(databases.changes.getRange({}));
    const decoded = changes.map(({ value }) => decodeChange(value));
    const held = decoded.flatMap((change) => lastBlobOf(change.record, change.previous) ?? []);
    const state = environment.meta.get(Buffer.from(`state:${collection}`));
    const historyBytes = state?.readDoubleLE(16) ?? 0;
    const counted =
      changes.reduce((sum, { value }) => sum + value.length, 0) +
      held.reduce((sum, blob) => sum + blob.length, 0);
    const storeRecords = Array.from(
      databases.stores.getRange({}),
      ({ key, value }) => `${hex(key)}=${hex(encodeStoreRecord(decodeStoreRecord(value)))}`,
    );
    const problems = [
      ...difference("expiries", keysOf(databases.expiries), expected.expiries),
      ...difference("evictables", keysOf(databases.evictables), expected.evictables),
      ...difference("blobs", keysOf(databases.blobs), [
        ...expected.blobs,
        ...held.map((blob) => hex(timeKey(blob.revision))),
      ]),
      ...difference(
        "stores",
        storeRecords,
        [...expected.stores.values()].map(
          ({ key, record }) => `${hex(key)}=${hex(encodeStoreRecord(record))}`,
        ),
      ),
      ...difference(
        "names",
        keysOf(databases.names),
        [...expected.stores.values()].map(({ key }) => hex(nameKey(key))),
      ),
      ...(historyBytes === counted ? [] : [`history: ${historyBytes} bytes recorded, ${counted} there`]),
      ...changes
        .filter(({ key }) => timeAt(key, 0) > (state?.readDoubleLE(0) ?? 0))
        .map(({ key }) => `changes: ${hex(key)} is beyond the last revision`),
    ];
    for (const key of databases.expiries.getKeys({})) {
      if (documentOfExpiryKey(key).length === 0) problems.push("expiries: a key without a document");
    }
    if (problems.length > 0) throw new Error(`the database is inconsistent:\n${problems.join("\n")}`);
    return {
      documents: expected.documents,
      blobs: keysOf(databases.blobs).length,
      changes: decoded,
      historyBytes,
    };
  } finally {
    await environment.close();
  }
}
