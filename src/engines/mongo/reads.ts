import type { Document } from "mongodb";
import type { KeyDocument, Scope } from "../../store/document.js";
import type { BatchResult, CallOptions, Page, PageRequest, ValueRequest } from "../../store/engine.js";
import { MAX_PAGE_BYTES } from "../../store/limits.js";
import { isWritableKey, isWritableStoreName } from "../../store/names.js";
import { damaged } from "../../value/bson-bytes.js";
import type { MongoCollection } from "./collection.js";
import type { Limits } from "./connection.js";
import { databaseBusy } from "./errors.js";
import { inStore, keysIn, LIVE } from "./filters.js";
import { Joiner, type Settled } from "./joiner.js";
import { rawBatches } from "./raw-cursor.js";
import { keyDocumentOf, type RawDocument, splitDocument, textOf, valueBytes } from "./record.js";
import { SizeGuess } from "./size-guess.js";
import { anyOf, byName, nameOf, type Target } from "./versions.js";

/** Groups of joined reads under way at once. */
const LANES = 2;
/** The most keys in a group. */
const MOST_KEYS = 64;
/** Reads that may wait for others. */
const MAX_WAITING = 8_192;
/** Bytes that a group may be expected to bring, so that a small value never waits for many large ones. */
const GROUP_BYTES = 512 * 1024;
/** What a document takes in an answer besides its key and its value, in bytes. */
const DOCUMENT_OVERHEAD_BYTES = 64;
/** How many times the bytes asked for may come before a batch is read in smaller parts. */
const OVERSHOOT = 4;

/** Reads of single keys, which are joined. */
export interface KeyReads {
  getKey(
    target: Target,
    withValue: boolean,
    options: CallOptions | undefined,
  ): Promise<KeyDocument | undefined>;
}

/** Reads of a collection's keys: those that come at the same moment are one command. */
export function openKeyReads(collection: MongoCollection): KeyReads {
  const size = collection.valueSize;
  const mostValues = (): number => Math.min(MOST_KEYS, size.documentsIn(GROUP_BYTES));
  const limits = { mostWaiting: MAX_WAITING, busy: () => databaseBusy("read") };
  const values = new Joiner<Target, KeyDocument | undefined>({
    ...limits,
    // Groups of large values are small, so there are more of them.
    lanes: () => Math.ceil((LANES * MOST_KEYS) / mostValues()),
    most: mostValues,
    run: (targets) => readGroup(collection, targets, true, size),
  });
  const metadata = new Joiner<Target, KeyDocument | undefined>({
    ...limits,
    lanes: () => LANES,
    most: () => MOST_KEYS,
    run: (targets) => readGroup(collection, targets, false, undefined),
  });
  return {
    getKey: (target, withValue, options) => {
      // Together, names over the limits, which other writers may have made, could be more than one command holds.
      const joins = isWritableStoreName(target.storeName) && isWritableKey(target.key);
      if (!joins) return readAlone(collection, target, withValue, options);
      return (withValue ? values : metadata).join(target, options?.signal);
    },
  };
}

async function readAlone(
  collection: MongoCollection,
  target: Target,
  withValue: boolean,
  options: CallOptions | undefined,
): Promise<KeyDocument | undefined> {
  const found = await collection.connection.run(options, "read", (limits) =>
    readFound(collection, [target], withValue, undefined, limits),
  );
  const raw = found.get(nameOf(target));
  return raw && documentAt(raw, target, withValue);
}

async function readGroup(
  collection: MongoCollection,
  targets: readonly Target[],
  withValue: boolean,
  size: SizeGuess | undefined,
): Promise<readonly Settled<KeyDocument | undefined>[]> {
  const found = await collection.connection.run(undefined, "read", (limits) =>
    readFound(collection, targets, withValue, size, limits),
  );
  return targets.map((target): Settled<KeyDocument | undefined> => {
    const raw = found.get(nameOf(target));
    if (raw === undefined) return { answer: undefined };
    const { scope, storeName, key } = target;
    try {
      return { answer: keyDocumentOf(raw, { datasetId: scope.datasetId, storeName, key }, withValue) };
    } catch (error) {
      return { error };
    }
  });
}

async function readFound(
  collection: MongoCollection,
  targets: readonly Target[],
  withValue: boolean,
  size: SizeGuess | undefined,
  limits: Limits,
): Promise<Map<string, RawDocument>> {
  const filter = { ...anyOf(targets), ...LIVE };
  const replies: Buffer[] = [];
  for await (const batch of open(collection, filter, withValue, limits, targets.length + 1)) {
    replies.push(...batch);
    size?.learn(bytesOf(batch), batch.length);
  }
  return byName(replies);
}

function bytesOf(batch: readonly Buffer[]): number {
  return batch.reduce((sum, reply) => sum + reply.length, 0);
}

function open(
  { connection, documents }: MongoCollection,
  filter: Document,
  withValue: boolean,
  { maxTimeMS }: Limits,
  batchSize: number,
): AsyncGenerator<readonly Buffer[]> {
  const options = { raw: true, maxTimeMS, batchSize, signal: connection.lost };
  const projection = withValue ? {} : { projection: { value: 0 } };
  return rawBatches(documents.find(filter, { ...options, ...projection }));
}

/** Documents by the names of their keys; undefined if they were so large that reading them was given up. */
async function readChunk(
  collection: MongoCollection,
  targets: readonly Target[],
  values: ValueRequest,
  size: SizeGuess,
  limits: Limits,
): Promise<Map<string, RawDocument> | undefined> {
  const mostBytes = targets.length === 1 ? Number.POSITIVE_INFINITY : OVERSHOOT * values.maxBytes;
  const filter = { ...anyOf(targets), ...LIVE };
  const replies: Buffer[] = [];
  let bytes = 0;
  for await (const batch of open(collection, filter, values.withValue, limits, targets.length + 1)) {
    replies.push(...batch);
    bytes += bytesOf(batch);
    if (bytes > mostBytes) break;
  }
  size.learn(bytes, replies.length);
  return bytes > mostBytes ? undefined : byName(replies);
}

/** See Engine.batchGetKeys. */
export async function batchGetKeys(
  collection: MongoCollection,
  scope: Scope,
  storeName: string,
  keys: readonly string[],
  values: ValueRequest,
  options: CallOptions | undefined,
): Promise<BatchResult> {
  const size = values.withValue ? collection.valueSize : new SizeGuess();
  const documents: (KeyDocument | undefined)[] = [];
  let bytes = 0;
  let some = false;
  while (documents.length < keys.length) {
    const from = documents.length;
    const chunk = keys.slice(from, from + size.documentsIn(Math.max(0, values.maxBytes - bytes)));
    const targets = chunk.map((key) => ({ scope, storeName, key }));
    const found = await collection.connection.run(options, "read", (limits) =>
      readChunk(collection, targets, values, size, limits),
    );
    if (found === undefined) continue;
    for (const target of targets) {
      const raw = found.get(nameOf(target));
      if (raw !== undefined) {
        bytes += DOCUMENT_OVERHEAD_BYTES + (values.withValue ? valueBytes(raw) : 0);
        if (some && bytes > values.maxBytes) return { documents };
        some = true;
      }
      documents.push(raw && documentAt(raw, target, values.withValue));
    }
  }
  return { documents };
}

function documentAt(raw: RawDocument, { scope, storeName, key }: Target, withValue: boolean): KeyDocument {
  return keyDocumentOf(raw, { datasetId: scope.datasetId, storeName, key }, withValue);
}

/** Documents of a store's keys in order, not decoded. */
async function* listed(
  { documents, listIndex }: MongoCollection,
  page: { readonly filter: Document; readonly limit: number },
  reply: { readonly projection: Document; readonly batchSize: number },
  { maxTimeMS, signal }: Limits,
): AsyncGenerator<RawDocument> {
  const cursor = documents.find(page.filter, {
    raw: true,
    sort: { key: 1 },
    // One more tells whether there is a next page.
    limit: page.limit + 1,
    maxTimeMS,
    ...reply,
    ...listIndex,
    ...(signal !== undefined && { signal }),
  });
  for await (const batch of rawBatches(cursor)) for (const bytes of batch) yield splitDocument(bytes);
}

function liveKeys(scope: Scope, storeName: string, prefix: string, after: string | undefined): Document {
  return { ...inStore(scope, storeName), ...keysIn(prefix, after), ...LIVE };
}

/** Where the next page starts; documents whose keys nobody can name may have taken the room of others. */
function nextAfter(last: string | undefined, more: boolean): string | undefined {
  if (more && last === undefined) throw damaged();
  return more ? last : undefined;
}

/** See Engine.listKeys. */
export function listKeys(
  collection: MongoCollection,
  scope: Scope,
  storeName: string,
  { prefix, after, limit }: PageRequest<string>,
  options: CallOptions | undefined,
): Promise<Page<string, string>> {
  return collection.connection.run(options, "read", async (limits) => {
    const page = { filter: liveKeys(scope, storeName, prefix, after), limit };
    const reply = { projection: { _id: 0, key: 1 }, batchSize: limit + 2 };
    const items: string[] = [];
    let bytes = 0;
    let found = 0;
    for await (const raw of listed(collection, page, reply, limits)) {
      found += 1;
      if (items.length === limit || bytes > MAX_PAGE_BYTES) return { items, next: items.at(-1) };
      const key = textOf(raw.key);
      if (key === undefined) continue;
      items.push(key);
      bytes += key.length;
    }
    return { items, next: nextAfter(items.at(-1), found > limit) };
  });
}

/** See Engine.listValues. */
export function listValues(
  collection: MongoCollection,
  scope: Scope,
  storeName: string,
  { prefix, after, limit, withValue, maxBytes }: PageRequest<string> & ValueRequest,
  options: CallOptions | undefined,
): Promise<Page<KeyDocument, string>> {
  const size = collection.valueSize;
  const expected = withValue ? size.documentsIn(maxBytes) : limit;
  return collection.connection.run(options, "read", async (limits) => {
    const page = { filter: liveKeys(scope, storeName, prefix, after), limit };
    const reply = { projection: withValue ? {} : { value: 0 }, batchSize: Math.min(limit, expected) + 2 };
    const items: KeyDocument[] = [];
    let bytes = 0;
    let found = 0;
    for await (const raw of listed(collection, page, reply, limits)) {
      found += 1;
      const key = textOf(raw.key);
      if (key === undefined) continue;
      const taken = DOCUMENT_OVERHEAD_BYTES + key.length + (withValue ? valueBytes(raw) : 0);
      if (withValue) size.learn(taken, 1);
      bytes += taken;
      if (items.length === limit || (items.length > 0 && bytes > maxBytes)) {
        return { items, next: items.at(-1)?.key };
      }
      items.push(documentAt(raw, { scope, storeName, key }, withValue));
    }
    return { items, next: nextAfter(items.at(-1)?.key, found > limit) };
  });
}
