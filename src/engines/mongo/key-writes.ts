import { setMaxListeners } from "node:events";
import type { Scope } from "../../store/document.js";
import type { BatchEntry, CallOptions, SetResult, Write } from "../../store/engine.js";
import { isStoreError, withOutcome } from "../../store/errors.js";
import { split } from "../../store/split.js";
import { CallQueue } from "./call-queue.js";
import { readSituations, replacement, writtenDocuments } from "./changes.js";
import { MAX_TIME_MS } from "./client-settings.js";
import { waitUntilAfter } from "./clock.js";
import type { MongoCollection } from "./collection.js";
import { hasOddArrays } from "./driver-value.js";
import { databaseBusy, translate } from "./errors.js";
import { LIVE } from "./filters.js";
import { Joiner, type Settled } from "./joiner.js";
import { rawBatches } from "./raw-cursor.js";
import { splitDocument, timeOf } from "./record.js";
import { untilAborted } from "./until-aborted.js";
import { type WriteResult, writeVersions } from "./versioned-writes.js";
import { anyOf, nameOf, type Target } from "./versions.js";
import { metadataOf, setAlone } from "./writes.js";

/** Groups of joined writes under way at once. */
const LANES = 3;
/** The most keys in a group. */
const MOST_KEYS = 64;
/** Values above this size go alone, so that small ones never wait for them. */
const JOINED_BYTES = 16 * 1024;
/** Entries of a batch that go in one command, and bytes of their values. */
const PART = {
  items: 50,
  bytes: 2 * 1024 * 1024,
  bytesOf: ({ write }: SetRequest) => write.value.length,
};
/** Commands of all batches under way at once. */
const CHUNKS_AT_ONCE = 4;
/** Sets, and parts of batches, that may wait for others. */
const MAX_WAITING = 8_192;

/** A set of one key. */
interface SetRequest {
  readonly target: Target;
  readonly write: Write;
}

/** Writes of a collection's keys, which go together where that changes no result. */
export interface KeyWrites {
  setKey(target: Target, write: Write, options: CallOptions | undefined): Promise<SetResult>;
  /** See Engine.batchSetKeys. */
  batchSetKeys(
    scope: Scope,
    storeName: string,
    entries: readonly BatchEntry[],
    options: CallOptions | undefined,
  ): Promise<readonly SetResult[]>;
}

/**
 * Sets of a collection's keys: those that come at the same moment are one command of independent statements, without
 * a transaction, so that nobody ever waits for the process that joined them.
 */
export function openKeyWrites(collection: MongoCollection): KeyWrites {
  const joiner = new Joiner<SetRequest, SetResult>({
    lanes: () => LANES,
    most: () => MOST_KEYS,
    mostWaiting: MAX_WAITING,
    busy: () => databaseBusy("write"),
    claim: ({ target }) => nameOf(target),
    async run(requests) {
      const [only] = requests;
      if (requests.length === 1 && only !== undefined) {
        return [{ answer: await setAlone(collection, only.target, only.write, undefined) }];
      }
      return setTogether(collection, requests, undefined);
    },
  });
  const turns = new CallQueue(CHUNKS_AT_ONCE, MAX_WAITING);
  return {
    setKey: (target, write, options) =>
      write.value.length > JOINED_BYTES || hasOddArrays(write.value)
        ? setAlone(collection, target, write, options)
        : joiner.join({ target, write }, options?.signal),
    batchSetKeys: (scope, storeName, entries, options) => {
      const requests = entries.map(({ key, ...write }) => ({ target: { scope, storeName, key }, write }));
      return setInChunks(collection, turns, requests, options);
    },
  };
}

/** Sets different keys by one command; who met another writer in between goes on alone. */
async function setTogether(
  collection: MongoCollection,
  requests: readonly SetRequest[],
  options: CallOptions | undefined,
): Promise<readonly Settled<SetResult>[]> {
  if (requests.length === 0) return [];
  const targets = requests.map(({ target }) => target);
  return collection.connection.run(options, "write", async (limits) => {
    const situations = await readSituations(collection, targets, false, limits);
    const versions = requests.map(({ write }, index) => replacement(at(situations, index), write));
    limits.signal?.throwIfAborted();
    const writes = versions.map(({ write }) => write);
    const results = await writeVersions(collection, writes, limits);
    const applied = versions.filter((_, index) => results[index] === "applied");
    const documents = new Map(
      (await writtenDocuments(collection, applied, limits)).map((document, index) => [
        at(applied, index),
        document,
      ]),
    );
    return requests.map((request, index) => {
      const document = documents.get(at(versions, index));
      if (document === undefined) return unapplied(collection, request, at(results, index));
      const created = !at(situations, index).live;
      return { answer: { document: metadataOf(request.target, document), created } };
    });
  });
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError("the lists differ in length");
  return item;
}

function unapplied(
  collection: MongoCollection,
  { target, write }: SetRequest,
  result: WriteResult,
): Settled<SetResult> {
  if (typeof result === "object") return { error: translate(result.error, "write") };
  const alone = setAlone(collection, target, write, undefined);
  // Who left meanwhile, or fails by another entry of its batch, does not hear of its failure.
  alone.catch(() => undefined);
  return { answer: alone };
}

/** Sets part of a batch: those together that can be. */
async function setChunkOf(
  collection: MongoCollection,
  chunk: readonly SetRequest[],
  options: CallOptions | undefined,
): Promise<readonly Settled<SetResult>[]> {
  const even = chunk.filter(({ write }) => !hasOddArrays(write.value));
  if (even.length === chunk.length) return setTogether(collection, chunk, options);
  const together = await setTogether(collection, even, options);
  return chunk.map(
    (request) =>
      together[even.indexOf(request)] ?? {
        answer: setAlone(collection, request.target, request.write, options),
      },
  );
}

/** Sets the keys of a batch, a part at a time; all batches share the turns. */
async function setInChunks(
  collection: MongoCollection,
  turns: CallQueue,
  requests: readonly SetRequest[],
  options: CallOptions | undefined,
): Promise<readonly SetResult[]> {
  let failed = false;
  let written = false;
  const setChunk = async (chunk: readonly SetRequest[]): Promise<readonly SetResult[]> => {
    if (!(await turns.enter(MAX_TIME_MS, options?.signal))) throw databaseBusy("write");
    try {
      if (failed) return [];
      const settled = await setChunkOf(collection, chunk, options);
      written = true;
      return await Promise.all(settled.map(unwrap));
    } catch (error) {
      failed = true;
      throw error;
    } finally {
      turns.release();
    }
  };
  // As many parts as there are may wait for a turn, each with a listener, which Node.js takes for a leak.
  if (options?.signal !== undefined) setMaxListeners(0, options.signal);
  const ended = await Promise.allSettled(split(requests, PART).map(setChunk));
  const errors: unknown[] = ended.flatMap((end) => (end.status === "rejected" ? [end.reason] : []));
  if (errors.length === 0) return ended.flatMap((end) => (end.status === "fulfilled" ? end.value : []));
  // What one part did not do, another may have done.
  const worst = errors.find((error) => !isStoreError(error) || error.outcome !== "NOT_APPLIED") ?? errors[0];
  throw written && isStoreError(worst) ? withOutcome(worst, "UNKNOWN") : worst;
}

async function unwrap<Answer>(settled: Settled<Answer>): Promise<Answer> {
  if ("error" in settled) throw settled.error;
  return settled.answer;
}

/** See Engine.batchDeleteKeys. Like deleteKey, it ends when a re-creation would be later. */
export async function batchDeleteKeys(
  collection: MongoCollection,
  scope: Scope,
  storeName: string,
  keys: readonly string[],
  options: CallOptions | undefined,
): Promise<number> {
  if (keys.length === 0) return 0;
  const { connection, documents } = collection;
  const filter = { ...anyOf(keys.map((key) => ({ scope, storeName, key }))), ...LIVE };
  const { deleted, latest } = await connection.run(options, "write", async ({ maxTimeMS, signal }) => {
    const projection = { _id: 0, updated_at: 1 };
    let newest = 0;
    for await (const batch of rawBatches(documents.find(filter, { raw: true, projection, maxTimeMS }))) {
      for (const reply of batch) newest = Math.max(newest, timeOf(splitDocument(reply).updated_at) ?? 0);
    }
    signal?.throwIfAborted();
    const { deletedCount } = await untilAborted(documents.deleteMany(filter, { maxTimeMS }), connection.lost);
    return { deleted: deletedCount, latest: newest };
  });
  if (deleted > 0) await waitUntilAfter(collection, latest + 1, options?.signal);
  return deleted;
}
