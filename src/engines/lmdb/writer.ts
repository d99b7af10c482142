import { statfsSync } from "node:fs";
import { isStoreError, type Outcome, StoreError, withOutcome } from "../../store/errors.js";
import type { Collection } from "./collection.js";
import { type Environment, shuttingDown } from "./environment.js";
import { WriteBatch } from "./write-batch.js";

/** How long the changes of one transaction may hold the event loop, in ms, unless a single one takes longer. */
const MAX_APPLY_MS = 2;
/** Bytes of values that one transaction writes at most, unless a single change brings more. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024;
/** Bytes of values that may wait to be written; beyond it changes are refused. */
const MAX_WAITING_BYTES = 512 * 1024 * 1024;
/** Below this the disk counts as full. */
const FULL_DISK_BYTES = 1024 * 1024;

/** A change to make. */
export interface Job<Result> {
  readonly collection: Collection;
  /** Runs inside the transaction, perhaps more than once: only the last time counts. */
  readonly apply: (batch: WriteBatch) => Result;
  /** Bytes of values that it writes. */
  readonly bytes?: number | undefined;
  /** Goes before all that wait. */
  readonly urgent?: boolean;
  readonly signal?: AbortSignal | undefined;
}

interface Pending {
  readonly job: Job<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Makes a change; resolves once it is on disk. */
export type Submit = <Result>(job: Job<Result>) => Promise<Result>;

/** Makes changes durable in the order in which they come, as many in one transaction as are waiting. */
export interface Writer {
  readonly submit: Submit;
  /** Refuses new changes and waits for those that came before. */
  close(): Promise<void>;
}

const MDB_MAP_FULL = -30_792;
const EIO = 5;
/** EFBIG, ENOSPC, EDQUOT: no room, of whatever kind. */
const NO_ROOM = new Set<unknown>([MDB_MAP_FULL, 27, 28, 122, "EFBIG", "ENOSPC", "EDQUOT"]);

/** What made a commit fail: lmdb-js keeps it in a promise, which must be heard, on an error of its own. */
async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error)) return error;
  const { commitError } = error as Error & { commitError?: Promise<unknown> };
  if (commitError === undefined) return error;
  return commitError.then(
    (value) => value ?? error,
    (cause: unknown) => cause,
  );
}

function isStorageFull(path: string, cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  const { code } = cause as Error & { code?: unknown };
  if (NO_ROOM.has(code)) return true;
  // LMDB reports a write that the disk had no room to finish as an I/O error.
  if (code !== EIO && code !== "EIO") return false;
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize < FULL_DISK_BYTES;
  } catch {
    return false;
  }
}

function writeError(path: string, cause: unknown, outcome: Outcome): StoreError {
  if (isStoreError(cause)) return withOutcome(cause, outcome);
  if (isStorageFull(path, cause)) {
    return new StoreError(
      "STORAGE_FULL",
      "the disk that holds the database is full; free space on it, then try again",
      { cause, outcome },
    );
  }
  return new StoreError("INTERNAL", "the change could not be written to disk", { cause, outcome });
}

/** The jobs that wait, and the bytes that they will write. */
class JobQueue {
  bytes = 0;
  private readonly waiting: Pending[] = [];

  get first(): Pending | undefined {
    return this.waiting[0];
  }

  add(pending: Pending): void {
    this.bytes += pending.job.bytes ?? 0;
    if (pending.job.urgent === true) this.waiting.unshift(pending);
    else this.waiting.push(pending);
  }

  /** Takes the first one. */
  take(): void {
    this.bytes -= this.waiting.shift()?.job.bytes ?? 0;
  }

  /** Leaves out the jobs whose caller is gone. */
  dropAborted(): void {
    for (let index = this.waiting.length - 1; index >= 0; index -= 1) {
      const pending = this.waiting[index];
      if (pending?.job.signal?.aborted !== true) continue;
      this.waiting.splice(index, 1);
      this.bytes -= pending.job.bytes ?? 0;
      pending.reject(pending.job.signal.reason);
    }
  }
}

/** Moves the next jobs in order into `taken`, and runs each, within the limits of one transaction. */
function applyNext(queue: JobQueue, taken: Pending[]): readonly unknown[] {
  const batches = new Map<Collection, WriteBatch>();
  const results: unknown[] = [];
  const started = performance.now();
  const now = queue.first?.job.collection.clock.now() ?? 0;
  let bytes = 0;
  for (let pending = queue.first; pending !== undefined; pending = queue.first) {
    const { job } = pending;
    bytes += job.bytes ?? 0;
    if (taken.length > 0 && (bytes > MAX_BATCH_BYTES || performance.now() - started > MAX_APPLY_MS)) break;
    queue.take();
    taken.push(pending);
    let batch = batches.get(job.collection);
    if (batch === undefined) {
      batch = new WriteBatch(job.collection, now);
      batches.set(job.collection, batch);
    }
    results.push(job.apply(batch));
  }
  for (const batch of batches.values()) batch.finish();
  return results;
}

/** A queue of one. */
function only(pending: Pending): JobQueue {
  const queue = new JobQueue();
  queue.add(pending);
  return queue;
}

/** Makes the next jobs of the queue durable together, and settles each. */
async function commit(environment: Environment, queue: JobQueue): Promise<void> {
  const taken: Pending[] = [];
  let applied = false;
  try {
    // A child transaction, since lmdb-js does not take a plain asynchronous one back when its callback throws.
    const results = await environment.root.childTransaction(() => {
      const done = applyNext(queue, taken);
      applied = true;
      return done;
    });
    taken.forEach(({ resolve }, index) => resolve(results[index]));
  } catch (error) {
    const cause = await causeOf(error);
    if (taken.length === 0 && queue.first !== undefined) {
      // The transaction did not even begin; whoever waits first hears of it.
      taken.push(queue.first);
      queue.take();
    } else if (!applied && taken.length > 1) {
      // One of them is at fault, and all were taken back: each for itself, its neighbours succeed.
      for (const pending of taken) await commit(environment, only(pending));
      return;
    }
    // All or nothing, and nothing for sure unless it failed in its very commit.
    const failure = writeError(environment.path, cause, applied ? "UNKNOWN" : "NOT_APPLIED");
    for (const { reject } of taken) reject(failure);
  } finally {
    for (const { job } of taken) {
      job.collection.clock.release();
      job.collection.commits.notify();
    }
  }
}

function tooMuchWaiting(): StoreError {
  return new StoreError(
    "WRITES_BACKED_UP",
    "more is being written than the disk takes; send less at a time, and try again in a moment",
    { outcome: "NOT_APPLIED" },
  );
}

/** Runs a work of several changes: once one of them was made, nobody knows what a failure of another leaves. */
export async function inParts<Result>(
  writer: Writer,
  work: (submit: Submit) => Promise<Result>,
): Promise<Result> {
  let begun = false;
  try {
    return await work(async (job) => {
      const result = await writer.submit(job);
      begun = true;
      return result;
    });
  } catch (error) {
    throw begun && isStoreError(error) ? withOutcome(error, "UNKNOWN") : error;
  }
}

/** Opens the one writer of an environment. */
export function openWriter(environment: Environment): Writer {
  const queue = new JobQueue();
  let closed = false;
  let running: Promise<void> | undefined;

  async function run(): Promise<void> {
    // What arrives in the same turn of the event loop shares a transaction; nothing waits longer for company.
    await new Promise(setImmediate);
    for (queue.dropAborted(); queue.first !== undefined; queue.dropAborted())
      await commit(environment, queue);
    running = undefined;
  }

  return {
    submit<Result>(job: Job<Result>): Promise<Result> {
      if (closed) return Promise.reject(shuttingDown());
      if (queue.bytes > MAX_WAITING_BYTES && job.bytes !== undefined) return Promise.reject(tooMuchWaiting());
      return new Promise<Result>((resolve, reject) => {
        queue.add({ job, resolve: resolve as (result: unknown) => void, reject });
        running ??= run();
      });
    },
    async close() {
      closed = true;
      await running;
    },
  };
}
