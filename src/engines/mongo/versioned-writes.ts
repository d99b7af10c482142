import { type Document, MongoServerError, MongoWriteConcernError } from "mongodb";
import { DocumentSequence } from "mongodb/lib/cmap/commands.js";
import type { MongoCollection } from "./collection.js";
import type { Limits } from "./connection.js";
import { CODES, serverCode } from "./errors.js";
import { type RetryableWrite, withRetryableWrite } from "./retryable-write.js";
import { groupStatementOf, loneStatementOf, removalOf, type VersionedWrite } from "./statements.js";

/**
 * What became of a versioned write. "conflict": another version is there, and nothing was changed. "blocked": a
 * transaction of another program held the document for so long that the others of the group were not to wait for it;
 * nothing was changed.
 */
export type WriteResult = "applied" | "conflict" | "blocked" | { readonly error: unknown };

/** How long a group may take before its members go on one by one, in ms. */
const GROUP_TIME_MS = 500;
/** How long one of them then may take before it counts as blocked, in ms. */
const SINGLE_TIME_MS = 100;
/** Says of a write error that its document was not there as expected. */
const CONFLICT_CODES: ReadonlySet<number> = new Set([
  CODES.duplicateKey,
  // InvalidIdField and ImmutableField, of the `_id` that no document may have, and ConversionFailure, of no date.
  53,
  66,
  241,
]);

/**
 * Writes new versions of different documents, each by itself: in one command, unordered. The command is a retryable
 * write, so that it is sent again after a failover without doing anything twice, and every result is known.
 *
 * @param groupTimeMs how long they may take together before they go on one by one, in ms
 */
export function writeVersions(
  collection: MongoCollection,
  writes: readonly VersionedWrite[],
  limits: Limits,
  groupTimeMs = GROUP_TIME_MS,
): Promise<readonly WriteResult[]> {
  return withRetryableWrite(collection.connection, limits, async (write) => {
    const send = sender(collection, writes, write);
    const all = writes.map((_, index) => index);
    if (all.length === 1) return send(all);
    try {
      // Without retryable writes nobody could tell which of them were carried out in time.
      return await send(all, write.isRetryable ? groupTimeMs : undefined);
    } catch (error) {
      if (serverCode(error) !== CODES.maxTimeExpired || !write.isRetryable) throw error;
      if (isCarriedOut(error)) return await send(all);
    }
    const results: WriteResult[] = [];
    for (const index of all) results.push(...(await sendOne(send, index)));
    return results;
  });
}

/** Sends some of the statements, by their indexes. */
type Send = (indexes: readonly number[], timeMs?: number) => Promise<readonly WriteResult[]>;

function sender(collection: MongoCollection, writes: readonly VersionedWrite[], write: RetryableWrite): Send {
  const statements = writes.map((one) => statementOf(one, writes.length === 1));
  const name = writes.some(({ set }) => set === undefined) ? "delete" : "update";
  const field = `${name}s`;
  return async (indexes, timeMs) => {
    const command = (): Document => {
      const sequence = new DocumentSequence(field);
      for (const index of indexes) sequence.push({}, statements[index] ?? Buffer.alloc(0));
      const numbered = write.isRetryable ? { stmtIds: indexes } : {};
      return { [name]: collection.documents.collectionName, [field]: sequence, ordered: false, ...numbered };
    };
    return resultsOf(await write.send(command, timeMs), indexes.length);
  };
}

/** Sends one statement of a group whose time was up. */
async function sendOne(send: Send, index: number): Promise<readonly WriteResult[]> {
  try {
    return await send([index], SINGLE_TIME_MS);
  } catch (error) {
    if (serverCode(error) !== CODES.maxTimeExpired) return [{ error }];
    if (!isCarriedOut(error)) return ["blocked"];
  }
  try {
    return await send([index]);
  } catch (error) {
    return [{ error }];
  }
}

/** Whether the time was up when only the majority was awaited: to send it again then means to wait on. */
function isCarriedOut(error: unknown): boolean {
  return error instanceof MongoWriteConcernError;
}

function statementOf(write: VersionedWrite, alone: boolean): Buffer {
  const { base, set } = write;
  if (set !== undefined) return alone ? loneStatementOf(write, set) : groupStatementOf(write, set);
  if (base === undefined) throw new Error("a removal needs the version to remove");
  return removalOf(write, base);
}

function resultsOf(reply: Document, count: number): WriteResult[] {
  // A statement that went alone may count 0 without an error.
  const missed = count === 1 && reply["n"] === 0;
  const results = Array.from({ length: count }, (): WriteResult => (missed ? "conflict" : "applied"));
  const errors = (reply["writeErrors"] ?? []) as readonly { index: number; code: number; errmsg: string }[];
  for (const { index, code, errmsg } of errors) {
    results[index] = CONFLICT_CODES.has(code)
      ? "conflict"
      : { error: new MongoServerError({ message: errmsg, code }) };
  }
  return results;
}
