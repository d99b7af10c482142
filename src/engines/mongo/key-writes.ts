import type { Scope } from "../../store/document.js";
import type { BatchEntry, CallOptions, SetResult, Write } from "../../store/engine.js";
import { isStoreError, withOutcome } from "../../store/errors.js";
import { type NewVersion, readSituations, replacement, type Situation } from "./changes.js";
import { waitUntilAfter } from "./clock.js";
import type { MongoCollection } from "./collection.js";
import { translate } from "./errors.js";
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
const CHUNK_ENTRIES = 50;
const CHUNK_BYTES = 2 * 1024 * 1024;
/** Commands of one batch under way at once. */
const CHUNKS_AT_ONCE = 3;

/** A set of one key. */
interface SetRequest {
  readonly target: Target;
  readonly write: Write;
}

/** Writes of single keys, which are joined where that changes no result. */
export interface KeyWrites {
  setKey(target: Target, write: Write, options: CallOptions | undefined): Promise<SetResult>;
}

/**
 * Sets of a collection's keys: those that come at the same moment are one command of independent statements, without
 * a transaction, so that nobody ever waits for the process that joined them.
 */
export function openKeyWrites(collection: MongoCollection): KeyWrites {
  const joiner = new Joiner<SetRequest, SetResult>({
    lanes: LANES,
    most: () => MOST_KEYS,
    claim: ({ target }) => nameOf(target),
    async run(requests) {
      const [only] = requests;
      if (requests.length === 1 && only !== undefined) {
        return [{ answer: await setAlone(collection, only.target, only.write, undefined) }];
      }
      return setTogether(collection, requests, undefined);
    },
  });
  return {
    setKey: (target, write, options) =>
      write.value.length > JOINED_BYTES
        ? setAlone(collection, target, write, options)
        : joiner.join({ target, write }, options?.signal),
  };
}

/** Sets different keys by one command; who met another writer in between goes on alone. */
async function setTogether(
  collection: MongoCollection,
  requests: readonly SetRequest[],
  options: CallOptions | undefined,
): Promise<readonly Settled<SetResult>[]> {
  const targets = requests.map(({ target }) => target);
  return collection.connection.run(options, "write", async (limits) => {
    const situations = await readSituations(collection, targets, false, limits);
    const versions = requests.map(({ write }, index) => replacement(at(situations, index), write));
    limits.signal?.throwIfAborted();
    const results = await writeVersions(
      collection,
      versions.map(({ write }) => write),
      limits,
    );
    return requests.map((request, index) =>
      settledOf(collection, request, at(situations, index), at(versions, index), at(results, index)),
    );
  });
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError("the lists differ in length");
  return item;
}

function settledOf(
  collection: MongoCollection,
  { target, write }: SetRequest,
  { live }: Situation,
  { document }: NewVersion,
  result: WriteResult,
): Settled<SetResult> {
  if (result === "applied") return { answer: { document: metadataOf(target, document), created: !live } };
  if (typeof result === "object") return { error: translate(result.error, "write") };
  const alone = setAlone(collection, target, write, undefined);
  // Who left meanwhile, or fails by another entry of its batch, does not hear of its failure.
  alone.catch(() => undefined);
  return { answer: alone };
}

/** Entries in parts that go together; each value counts, however large. */
function chunksOf(entries: readonly SetRequest[]): SetRequest[][] {
  const chunks: SetRequest[][] = [];
  let chunk: SetRequest[] = [];
  let bytes = 0;
  for (const entry of entries) {
    const size = entry.write.value.length;
    if (chunk.length === CHUNK_ENTRIES || (chunk.length > 0 && bytes + size > CHUNK_BYTES)) {
      chunks.push(chunk);
      chunk = [];
      bytes = 0;
    }
    chunk.push(entry);
    bytes += size;
  }
  return chunk.length === 0 ? chunks : [...chunks, chunk];
}

/** See Engine.batchSetKeys. */
export async function batchSetKeys(
  collection: MongoCollection,
  scope: Scope,
  storeName: string,
  entries: readonly BatchEntry[],
  options: CallOptions | undefined,
): Promise<readonly SetResult[]> {
  const chunks = chunksOf(entries.map(({ key, ...write }) => ({ target: { scope, storeName, key }, write })));
  const results: (readonly SetResult[])[] = [];
  let next = 0;
  let written = false;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < chunks.length; index = next++) {
      const settled = await setTogether(collection, at(chunks, index), options);
      written = true;
      results[index] = await Promise.all(settled.map(unwrap));
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: CHUNKS_AT_ONCE }, () => lane().finally(stop)));
  const failed = lanes.find((ended) => ended.status === "rejected");
  if (failed === undefined) return results.flat();
  // What one part did not do, another may have done.
  throw written && isStoreError(failed.reason) ? withOutcome(failed.reason, "UNKNOWN") : failed.reason;

  /** The first that fails ends the others, and so does the first that finds nothing left. */
  function stop(): void {
    next = chunks.length;
  }
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
