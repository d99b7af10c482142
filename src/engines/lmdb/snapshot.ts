import type { Transaction } from "lmdb";
import { type Bytes, type Environment, readKeys } from "./environment.js";
import { after } from "./keys.js";

/** Keys read between two looks at the clock. */
const CHUNK = 256;

/** The slices of one long work. */
export class Turns {
  private started = performance.now();

  constructor(
    private readonly environment: Environment,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /**
   * Call before the work and between chunks of it: waits while others need the event loop. Throws `signal.reason`
   * once the caller is gone, SHUTTING_DOWN once the engine closes.
   */
  async rest(): Promise<void> {
    this.check();
    const { loop } = this.environment;
    if (loop.spend(performance.now() - this.started)) {
      await loop.turn();
      this.check();
    }
    this.started = performance.now();
  }

  private check(): void {
    this.signal?.throwIfAborted();
    this.environment.closing.throwIfAborted();
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
  const turns = new Turns(environment, signal);
  await environment.snapshots.acquire(signal, environment.closing);
  let transaction: Transaction | undefined;
  try {
    await turns.rest();
    transaction = environment.root.useReadTransaction();
    const options = { transaction };
    return await work({
      options,
      turns,
      get: (database, key) => database.get(key, options),
      keys: (database, start, end) => keysInChunks(database, start, end, options, turns),
    });
  } finally {
    transaction?.done();
    environment.snapshots.release();
  }
}

/** All keys from `start` up to, but not including, `end`, in chunks, with a rest between them. */
export async function* keysInChunks(
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
    from = after(last);
    await turns.rest();
  }
}
