import type { Document } from "mongodb";
import type { KeyDocument, Policy, Scope, StoreDocument } from "../../store/document.js";
import type {
  CallOptions,
  ConditionalSetResult,
  ConditionalWrite,
  Expectation,
  SetResult,
  Write,
} from "../../store/engine.js";
import { expectedAndValueTooLarge, storeAlreadyExists } from "../../store/errors.js";
import { STORE_KEY } from "../../store/limits.js";
import { asBuffer, BSON } from "../../value/bson-bytes.js";
import { equalValues } from "../../value/equal.js";
import { type Element, NULL } from "./bson-document.js";
import { change, conditionalVersion, type Decision, replacement, versionOf } from "./changes.js";
import { waitUntilAfter } from "./clock.js";
import type { MongoCollection } from "./collection.js";
import { decodedForDriver } from "./driver-value.js";
import { CODES, serverCode } from "./errors.js";
import { ARRAYED, identityOf, LIVE } from "./filters.js";
import { findAndModify, rawOf, sendFindAndModify } from "./find-and-modify.js";
import { policyPipeline, setPipeline, ttlPipeline } from "./pipelines.js";
import {
  etagOf,
  keyDocumentOf,
  type RawDocument,
  storeOwnDocumentOf,
  timeOf,
  valueBytes,
  valueOf,
} from "./record.js";
import { changeUnlessTaken, orTaken } from "./taken-keys.js";
import type { Target } from "./versions.js";

/** How often an upsert that met another one is repeated. */
const UPSERT_ATTEMPTS = 5;
/** Bytes of a document for the two values of a comparison: what MongoDB takes, less what stands around them. */
const COMPARED_BYTES = 16 * 1024 * 1024 - 16 * 1024;

/** The domain's view of a version, without its value. */
export function metadataOf({ scope, storeName, key }: Target, raw: RawDocument): KeyDocument {
  return keyDocumentOf(raw, { datasetId: scope.datasetId, storeName, key }, false);
}

/** Sets one key by itself: in one round trip, unless its value cannot go through the driver as it is. */
export async function setAlone(
  collection: MongoCollection,
  target: Target,
  write: Write,
  options: CallOptions | undefined,
): Promise<SetResult> {
  const decoded = decodedForDriver(write.value);
  if (decoded === undefined) return setOverVersion(collection, target, write, options);
  const raw = await upsert(collection, target, setPipeline(decoded.value, write), options);
  const document = metadataOf(target, raw.document);
  return { document, created: raw.inserted || document.createdAt === document.updatedAt };
}

function setOverVersion(
  collection: MongoCollection,
  target: Target,
  write: Write,
  options: CallOptions | undefined,
): Promise<SetResult> {
  return changeUnlessTaken(collection, target, options, (situation) => {
    const answered = (document: RawDocument): SetResult => ({
      document: metadataOf(target, document),
      created: !situation.live,
    });
    return { version: replacement(situation, write), answered };
  });
}

function upsert(
  collection: MongoCollection,
  target: Target,
  pipeline: Document[],
  options: CallOptions | undefined,
): Promise<{ readonly document: RawDocument; readonly inserted: boolean }> {
  const query = { ...identityOf(target.scope, target.storeName, target.key), $nor: ARRAYED };
  const fields = { query, update: pipeline, upsert: true, new: true, fields: { value: 0 } };
  const answer = collection.connection.run(options, "write", async (limits) => {
    for (let attempt = 1; ; attempt++) {
      limits.signal?.throwIfAborted();
      try {
        const { value, lastErrorObject } = await sendFindAndModify(collection, fields, limits);
        if (value === null) throw new Error("an upsert answered without its document");
        return { document: rawOf(value), inserted: lastErrorObject.updatedExisting === false };
      } catch (error) {
        // Two upserts of a new key met.
        if (serverCode(error) !== CODES.duplicateKey || attempt === UPSERT_ATTEMPTS) throw error;
      }
    }
  });
  return orTaken(collection, target, options, answer);
}

function won(target: Target): (document: RawDocument) => ConditionalSetResult {
  return (document) => ({ set: true, document: metadataOf(target, document) });
}

/** See Engine.setKeyIfAbsent. */
export function setKeyIfAbsent(
  collection: MongoCollection,
  target: Target,
  write: Write,
  options: CallOptions | undefined,
): Promise<ConditionalSetResult> {
  return changeUnlessTaken(collection, target, options, (situation): Decision<ConditionalSetResult> => {
    const { document, live } = situation;
    if (document !== undefined && live)
      return { answer: { set: false, document: metadataOf(target, document) } };
    return { version: replacement(situation, write), answered: won(target) };
  });
}

/** See Engine.compareAndSetKey. */
export function compareAndSetKey(
  collection: MongoCollection,
  target: Target,
  expected: Expectation,
  write: ConditionalWrite,
  options: CallOptions | undefined,
): Promise<ConditionalSetResult> {
  const byValue = "value" in expected;
  return change(collection, target, byValue, options, (situation): Decision<ConditionalSetResult> => {
    const { document: raw, live } = situation;
    if (raw === undefined || !live) return { answer: { set: false, document: undefined } };
    const equal = byValue ? equalValues(valueOf(raw), expected.value) : etagOf(raw) === expected.etag;
    if (!equal) return { answer: { set: false, document: metadataOf(target, raw) } };
    const version = conditionalVersion(situation, write, byValue ? (raw.value ?? "missing") : undefined);
    const bytes = byValue ? valueBytes(raw) + write.value.length : 0;
    if (bytes > COMPARED_BYTES) throw expectedAndValueTooLarge(bytes);
    return { version, answered: won(target) };
  });
}

/** A deletion: whether it was, and the version's time, if the database's clock has yet to pass it. */
interface Deletion {
  readonly deleted: boolean;
  readonly ahead?: number | undefined;
}

/** See Engine.deleteKey. It ends when a re-creation would be later than what it deleted. */
export async function deleteKey(
  collection: MongoCollection,
  target: Target,
  etag: string | undefined,
  options: CallOptions | undefined,
): Promise<boolean> {
  const { deleted, ahead } =
    etag === undefined
      ? await deleteAny(collection, target, options)
      : await deleteVersion(collection, target, etag, options);
  if (ahead !== undefined) await waitUntilAfter(collection, ahead, options?.signal);
  return deleted;
}

function deleteAny(
  collection: MongoCollection,
  { scope, storeName, key }: Target,
  options: CallOptions | undefined,
): Promise<Deletion> {
  const query = { ...identityOf(scope, storeName, key), ...LIVE };
  const fields = { _id: 0, updated_at: 1, now: "$$NOW" };
  return findAndModify(collection, { query, remove: true, fields }, options, ({ value }) => {
    if (value === null) return { deleted: false };
    const { updated_at: updatedAt, now } = value;
    // The answer to a command that was sent again ignores `fields`, and has no `now`.
    const passed = now instanceof Date && updatedAt < now;
    const ahead = updatedAt instanceof Date && !passed ? updatedAt.getTime() : undefined;
    return { deleted: true, ahead };
  });
}

function deleteVersion(
  collection: MongoCollection,
  target: Target,
  etag: string,
  options: CallOptions | undefined,
): Promise<Deletion> {
  return change(collection, target, false, options, ({ document, live, now }): Decision<Deletion> => {
    if (document === undefined || !live || etagOf(document) !== etag) return { answer: { deleted: false } };
    const updatedAt = timeOf(document.updated_at) ?? 0;
    const write = { target, base: document, baseIsLive: true, baseValue: undefined, set: undefined };
    const deletion = { deleted: true, ahead: updatedAt >= now ? updatedAt : undefined };
    return { version: { write, document }, answered: () => deletion };
  });
}

/** See Engine.updateTtl. */
export function updateTtl(
  collection: MongoCollection,
  target: Target,
  ttlMs: number,
  options: CallOptions | undefined,
): Promise<KeyDocument | undefined> {
  return update(collection, target, ttlPipeline(ttlMs), options);
}

/** See Engine.updatePolicy. */
export function updatePolicy(
  collection: MongoCollection,
  target: Target,
  policy: Policy,
  options: CallOptions | undefined,
): Promise<KeyDocument | undefined> {
  return update(collection, target, policyPipeline(policy), options);
}

function update(
  collection: MongoCollection,
  target: Target,
  pipeline: Document[],
  options: CallOptions | undefined,
): Promise<KeyDocument | undefined> {
  const query = { ...identityOf(target.scope, target.storeName, target.key), ...LIVE };
  const fields = { query, update: pipeline, new: true, fields: { value: 0 } };
  return findAndModify(collection, fields, options, ({ value }) =>
    value === null ? undefined : metadataOf(target, rawOf(value)),
  );
}

/** See Engine.createStore. FiftyOne keeps the metadata as the store document's value. */
export async function createStore(
  collection: MongoCollection,
  scope: Scope,
  storeName: string,
  metadata: Uint8Array | undefined,
  policy: Policy,
  options: CallOptions | undefined,
): Promise<StoreDocument> {
  const target = { scope, storeName, key: STORE_KEY };
  const value: Element = metadata === undefined ? NULL : { type: BSON.OBJECT, bytes: asBuffer(metadata) };
  const created = await changeUnlessTaken(
    collection,
    target,
    options,
    (situation): Decision<RawDocument | undefined> => {
      if (situation.live) return { answer: undefined };
      const version = versionOf(situation, value, policy, undefined);
      return { version, answered: (document) => ({ ...document, value }) };
    },
  );
  if (created === undefined) throw storeAlreadyExists(storeName);
  return { datasetId: scope.datasetId, storeName, own: storeOwnDocumentOf(created, true) };
}
