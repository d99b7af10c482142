import { isStoreError, type Outcome, StoreError } from "../../store/errors.js";
import { type Collection, type CollectionState, reloadState } from "./collection.js";
import type { Environment } from "./environment.js";
import { WriteBatch } from "./write-batch.js";

/** Documents that one transaction touches at most, so that the event loop is never held for long. */
const MAX_BATCH_WEIGHT = 256;
/** Bytes of values that one transaction writes at most, unless a single call brings more. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024;

/** A change to make, with its size. */
export interface Job<Result> {
  readonly collection: Collection;
  /** Runs inside the transaction. Must not throw on anything that can be foreseen. */
  readonly apply: (batch: WriteBatch) => Result;
  /** About how many documents it touches. */
  readonly weight?: number;
  /** Bytes of values that it writes. */
  readonly bytes?: number;
  readonly signal?: AbortSignal | undefined;
}

interface Pending {
  readonly job: Job<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Makes changes durable in the order in which they come, as many in one transaction as are waiting. */
export interface Writer {
  /** Resolves once the change is on disk. */
  submit<Result>(job: Job<Result>): Promise<Result>;
  /** Refuses new changes and waits for those that came before. */
  close(): Promise<void>;
}

const MDB_MAP_FULL = -30_792;
const ENOSPC = 28;

function isStorageFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as Error & { code?: unknown };
  return code === MDB_MAP_FULL || code === ENOSPC || code === "ENOSPC";
}

function writeError(error: unknown, outcome: Outcome): StoreError {
  if (isStoreError(error)) return error;
  if (isStorageFull(error)) {
    return new StoreError(
      "STORAGE_FULL",
      "the disk that holds the database is full; free space on it, or delete keys",
      { cause: error, outcome },
    );
  }
  return new StoreError("INTERNAL", "the change could not be written to disk", { cause: error, outcome });
}

/** The next jobs in order, within the limits of one transaction, less those whose caller is gone. */
function takeBatch(queue: Pending[]): Pending[] {
  const batch: Pending[] = [];
  let weight = 0;
  let bytes = 0;
  let taken = 0;
  for (const pending of queue) {
    const { job } = pending;
    weight += job.weight ?? 1;
    bytes += job.bytes ?? 0;
    if (batch.length > 0 && (weight > MAX_BATCH_WEIGHT || bytes > MAX_BATCH_BYTES)) break;
    taken += 1;
    if (job.signal?.aborted === true) pending.reject(job.signal.reason);
    else batch.push(pending);
  }
  queue.splice(0, taken);
  return batch;
}

/** Runs the jobs inside one write transaction; answers their results and the states to take over. */
function applyAll(
  environment: Environment,
  jobs: readonly Pending[],
  batches: Map<Collection, WriteBatch>,
): { results: unknown[]; states: (readonly [Collection, CollectionState])[] } {
  const results = jobs.map(({ job }) => {
    let batch = batches.get(job.collection);
    if (batch === undefined) {
      batch = new WriteBatch(job.collection, environment.meta);
      batches.set(job.collection, batch);
    }
    return job.apply(batch);
  });
  return {
    results,
    states: [...batches].map(([collection, batch]) => [collection, batch.finish()] as const),
  };
}

/** Makes jobs durable together and settles each. */
async function commit(environment: Environment, jobs: readonly Pending[]): Promise<void> {
  const batches = new Map<Collection, WriteBatch>();
  let applied = false;
  try {
    // A child transaction, since lmdb-js takes a plain asynchronous one not back when its callback throws.
    const { results, states } = await environment.root.childTransaction(() => {
      const done = applyAll(environment, jobs, batches);
      applied = true;
      return done;
    });
    for (const [collection, state] of states) collection.state = state;
    environment.root.resetReadTxn();
    jobs.forEach((job, index) => job.resolve(results[index]));
  } catch (error) {
    environment.root.resetReadTxn();
    for (const collection of batches.keys()) reloadState(environment, collection);
    // All or nothing, and nothing for sure unless it failed in its very commit.
    const failure = writeError(error, applied ? "UNKNOWN" : "NOT_APPLIED");
    for (const job of jobs) job.reject(failure);
  }
}

function closing(): StoreError {
  return new StoreError("SHUTTING_DOWN", "the database is closing; try again in a moment", {
    outcome: "NOT_APPLIED",
  });
}

/** Opens the one writer of an environment. */
export function openWriter(environment: Environment): Writer {
  const queue: Pending[] = [];
  let closed = false;
  let running: Promise<void> | undefined;

  async function run(): Promise<void> {
    // What arrives in the same turn of the event loop shares a transaction; nothing waits longer for company.
    await new Promise(setImmediate);
    while (queue.length > 0) {
      const jobs = takeBatch(queue);
      if (jobs.length > 0) await commit(environment, jobs);
    }
    running = undefined;
  }

  return {
    submit<Result>(job: Job<Result>): Promise<Result> {
      if (closed) return Promise.reject(closing());
      return new Promise<Result>((resolve, reject) => {
        queue.push({ job, resolve: resolve as (result: unknown) => void, reject });
        running ??= run();
      });
    },
    async close() {
      closed = true;
      await running;
    },
  };
}
