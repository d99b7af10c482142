import type { KeyDocument, Policy, Scope, StoreDocument } from "../../store/document.js";
import type {
  BatchEntry,
  CallOptions,
  ConditionalSetResult,
  ConditionalWrite,
  Expectation,
  SetResult,
  Write,
} from "../../store/engine.js";
import { storeAlreadyExists } from "../../store/errors.js";
import { split } from "../../store/split.js";
import { equalValues } from "../../value/equal.js";
import type { Collection } from "./collection.js";
import { canHold, documentKey } from "./keys.js";
import { readValue } from "./reads.js";
import { keyDocument, type StoredRecord, toStoreDocument } from "./record.js";
import type { Existing, NewDocument, WriteBatch } from "./write-batch.js";
import { inParts, type Writer } from "./writer.js";

/** Entries of a batch that go into one transaction together. */
const PART = { items: 100 };

/** Where a write goes. */
export interface Target {
  readonly writer: Writer;
  readonly collection: Collection;
  readonly scope: Scope;
  readonly storeName: string;
}

function metadataOf(
  { collection, scope, storeName }: Target,
  key: string,
  record: StoredRecord,
): KeyDocument {
  return keyDocument(scope.datasetId, storeName, key, record, undefined, collection.etags);
}

function newDocument(write: Write, now: number): NewDocument {
  return write.ttlMs === undefined
    ? { policy: write.policy, expiresAt: undefined, value: write.value }
    : { policy: "evict", expiresAt: now + write.ttlMs, value: write.value };
}

/** Makes a change to one key inside a transaction; what has expired under it is removed first. */
type KeyChange<Result> = (batch: WriteBatch, at: Buffer, existing: Existing | undefined) => Result;

/** Submits a change to one key that writes `bytes` of values; undefined: none. An empty key is the store's own document. */
function onKey<Result>(
  { writer, collection, scope, storeName }: Target,
  key: string,
  bytes: number | undefined,
  options: CallOptions | undefined,
  change: KeyChange<Result>,
): Promise<Result> {
  const at = documentKey(scope.datasetId, storeName, key);
  return writer.submit({
    collection,
    bytes,
    signal: options?.signal,
    apply: (batch) => change(batch, at, batch.readLive(at)),
  });
}

/** See Engine.setKey. */
export function setKey(
  target: Target,
  key: string,
  write: Write,
  options: CallOptions | undefined,
): Promise<SetResult> {
  return onKey(target, key, write.value.length, options, (batch, at, existing) => {
    const record = batch.put(at, existing, newDocument(write, batch.now));
    return { document: metadataOf(target, key, record), created: existing === undefined };
  });
}

/** See Engine.setKeyIfAbsent. */
export function setKeyIfAbsent(
  target: Target,
  key: string,
  write: Write,
  options: CallOptions | undefined,
): Promise<ConditionalSetResult> {
  return onKey(target, key, write.value.length, options, (batch, at, existing) => {
    const record = existing?.record ?? batch.put(at, undefined, newDocument(write, batch.now));
    return { set: existing === undefined, document: metadataOf(target, key, record) };
  });
}

function matches(collection: Collection, record: StoredRecord, expected: Expectation): boolean {
  if ("etag" in expected) return collection.etags.of(record.revision) === expected.etag;
  const value = readValue(collection, record);
  return value !== undefined && equalValues(value, expected.value);
}

/** What a conditional write makes of the document that is there. */
function replaced({ record }: Existing, write: ConditionalWrite, now: number): NewDocument {
  const { value, ttlMs, policy } = write;
  if (ttlMs !== undefined) return { policy: "evict", expiresAt: now + ttlMs, value };
  if (policy === "persist") return { policy, expiresAt: undefined, value };
  return { policy: policy ?? record.policy, expiresAt: record.expiresAt, value };
}

/** See Engine.compareAndSetKey. */
export function compareAndSetKey(
  target: Target,
  key: string,
  expected: Expectation,
  write: ConditionalWrite,
  options: CallOptions | undefined,
): Promise<ConditionalSetResult> {
  return onKey(target, key, write.value.length, options, (batch, at, existing) => {
    if (existing === undefined) return { set: false, document: undefined };
    const set = matches(target.collection, existing.record, expected);
    const record = set ? batch.put(at, existing, replaced(existing, write, batch.now)) : existing.record;
    return { set, document: metadataOf(target, key, record) };
  });
}

/** Changes policy and expiry of a live key and leaves its value where it is. */
function changeExpiry(
  target: Target,
  key: string,
  options: CallOptions | undefined,
  toDocument: (record: StoredRecord, now: number) => NewDocument,
): Promise<KeyDocument | undefined> {
  return onKey(target, key, undefined, options, (batch, at, existing) => {
    if (existing === undefined) return undefined;
    return metadataOf(target, key, batch.put(at, existing, toDocument(existing.record, batch.now)));
  });
}

/** See Engine.updateTtl. */
export function updateTtl(
  target: Target,
  key: string,
  ttlMs: number,
  options: CallOptions | undefined,
): Promise<KeyDocument | undefined> {
  return changeExpiry(target, key, options, ({ value }, now) => ({
    policy: "evict",
    expiresAt: now + ttlMs,
    value,
  }));
}

/** See Engine.updatePolicy. */
export function updatePolicy(
  target: Target,
  key: string,
  policy: Policy,
  options: CallOptions | undefined,
): Promise<KeyDocument | undefined> {
  return changeExpiry(target, key, options, ({ value, expiresAt }) => ({
    policy,
    expiresAt: policy === "persist" ? undefined : expiresAt,
    value,
  }));
}

/** See Engine.deleteKey. */
export async function deleteKey(
  target: Target,
  key: string,
  etag: string | undefined,
  options: CallOptions | undefined,
): Promise<boolean> {
  options?.signal?.throwIfAborted();
  if (!canHold(target.storeName, key)) return false;
  return onKey(target, key, undefined, options, (batch, at, existing) => {
    if (existing === undefined) return false;
    if (etag !== undefined && !matches(target.collection, existing.record, { etag })) return false;
    batch.remove(at, existing);
    return true;
  });
}

/** The results of all parts, once all have ended; the first failure, if one failed. */
async function allOf<Part>(parts: readonly Promise<Part>[]): Promise<Part[]> {
  await Promise.allSettled(parts);
  return Promise.all(parts);
}

/** See Engine.batchSetKeys. */
export async function batchSetKeys(
  target: Target,
  entries: readonly BatchEntry[],
  options: CallOptions | undefined,
): Promise<readonly SetResult[]> {
  const { writer, collection, scope, storeName } = target;
  const set = (chunk: readonly BatchEntry[], batch: WriteBatch): SetResult[] =>
    chunk.map((entry) => {
      const at = documentKey(scope.datasetId, storeName, entry.key);
      const existing = batch.readLive(at);
      const record = batch.put(at, existing, newDocument(entry, batch.now));
      return { document: metadataOf(target, entry.key, record), created: existing === undefined };
    });
  const results = await inParts(writer, (submit) =>
    allOf(
      split(entries, PART).map((chunk) =>
        submit({
          collection,
          bytes: chunk.reduce((sum, entry) => sum + entry.value.length, 0),
          signal: options?.signal,
          apply: (batch) => set(chunk, batch),
        }),
      ),
    ),
  );
  return results.flat();
}

/** See Engine.batchDeleteKeys. */
export async function batchDeleteKeys(
  target: Target,
  keys: readonly string[],
  options: CallOptions | undefined,
): Promise<number> {
  const { writer, collection, scope, storeName } = target;
  const held = keys.filter((key) => canHold(storeName, key));
  const remove = (chunk: readonly string[], batch: WriteBatch): number =>
    chunk.filter((key) => {
      const at = documentKey(scope.datasetId, storeName, key);
      const existing = batch.readLive(at);
      if (existing !== undefined) batch.remove(at, existing);
      return existing !== undefined;
    }).length;
  const counts = await inParts(writer, (submit) =>
    allOf(
      split(held, PART).map((chunk) =>
        submit({ collection, signal: options?.signal, apply: (batch) => remove(chunk, batch) }),
      ),
    ),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

/** See Engine.createStore. */
export async function createStore(
  target: Target,
  metadata: Uint8Array | undefined,
  policy: Policy,
  options: CallOptions | undefined,
): Promise<StoreDocument> {
  const { collection, scope, storeName } = target;
  const record = await onKey(target, "", metadata?.length ?? 0, options, (batch, at, existing) =>
    existing === undefined
      ? batch.put(at, undefined, { policy, expiresAt: undefined, value: metadata })
      : undefined,
  );
  if (record === undefined) throw storeAlreadyExists(storeName);
  return toStoreDocument(scope.datasetId, storeName, record, metadata, collection.etags);
}
