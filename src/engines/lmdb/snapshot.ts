import type { Transaction } from "lmdb";
import { type Bytes, type Environment, readKeys } from "./environment.js";

/** How long one slice of a longer work may hold the event loop, in ms. */
const SLICE_MS = 2;
/** Keys read between two looks at the clock. */
const CHUNK = 256;

/** Lets other calls have their turn whenever a slice has run long enough. */
export class Turns {
  private started = performance.now();

  constructor(private readonly signal: AbortSignal | undefined) {}

  /** Call between chunks of work. Throws `signal.reason` once the caller is gone. */
  async rest(): Promise<void> {
    this.signal?.throwIfAborted();
    if (performance.now() - this.started < SLICE_MS) return;
    await new Promise(setImmediate);
    this.signal?.throwIfAborted();
    this.started = performance.now();
  }
}

/** A database as it was at one moment, for work that takes more than one turn of the event loop. */
export interface Snapshot {
  readonly options: { readonly transaction: Transaction };
  readonly turns: Turns;
  get(database: Bytes, key: Buffer): Buffer | undefined;
  /** All keys from `start` up to, but not including, `end`, in chunks. */
  keys(database: Bytes, start: Buffer, end: Buffer): AsyncGenerator<readonly Buffer[]>;
}

/** Runs a work on one snapshot, and gives the snapshot back however the work ends. */
export async function withSnapshot<Result>(
  environment: Environment,
  signal: AbortSignal | undefined,
  work: (snapshot: Snapshot) => Promise<Result>,
): Promise<Result> {
  signal?.throwIfAborted();
  const transaction = environment.root.useReadTransaction();
  const options = { transaction };
  const turns = new Turns(signal);
  try {
    return await work({
      options,
      turns,
      get: (database, key) => database.get(key, options),
      keys: (database, start, end) => keysInChunks(database, start, end, options, turns),
    });
  } finally {
    transaction.done();
  }
}

async function* keysInChunks(
  database: Bytes,
  start: Buffer,
  end: Buffer,
  options: { transaction?: Transaction },
  turns: Turns,
): AsyncGenerator<readonly Buffer[]> {
  let from = start;
  for (;;) {
    const chunk = readKeys(database, { start: from, end, limit: CHUNK, ...options });
    if (chunk.length > 0) yield chunk;
    const last = chunk.at(-1);
    if (last === undefined || chunk.length < CHUNK) return;
    from = Buffer.concat([last, ZERO]);
    await turns.rest();
  }
}

const ZERO = Buffer.from([0]);
