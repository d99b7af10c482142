import { setTimeout as delay } from "node:timers/promises";
import {
  type ClientSession,
  type CommandOperationOptions,
  type Document,
  Long,
  MongoError,
  MongoServerSelectionError,
} from "mongodb";
import type { Limits, MongoConnection } from "./connection.js";
import { isNetworkError } from "./errors.js";
import { untilAborted } from "./until-aborted.js";

/** Between two attempts while the database elects a primary, in ms. */
const PAUSE_MS = 50;

/**
 * One retryable write: it is sent again after a failover, as often as its time allows, and the database carries out
 * each of its statements once. The driver itself repeats a write once at most, and not after every lost connection.
 * https://www.mongodb.com/docs/manual/core/retryable-writes/
 */
export class RetryableWrite {
  readonly #connection: MongoConnection;
  readonly #deadline: number;
  /** Undefined on a standalone, which has no retryable writes. */
  readonly #session: ClientSession | undefined;
  readonly #transaction: Long | undefined;

  constructor(connection: MongoConnection, limits: Limits, session: ClientSession | undefined) {
    this.#connection = connection;
    this.#deadline = performance.now() + limits.maxTimeMS;
    this.#session = session;
    if (session !== undefined) {
      session.serverSession.txnNumber += 1;
      this.#transaction = Long.fromNumber(session.serverSession.txnNumber);
    }
  }

  /** Whether the database knows what it has done of it. */
  get isRetryable(): boolean {
    return this.#session !== undefined;
  }

  /**
   * Sends it, or statements of it.
   *
   * @param command makes the command anew for each attempt
   * @param timeMs how long one attempt may take, in ms, if that is less than what is left
   */
  async send(
    command: () => Document,
    timeMs = Number.POSITIVE_INFINITY,
    reading: CommandOperationOptions = {},
  ): Promise<Document> {
    const session = this.#session;
    for (;;) {
      const left = Math.max(1, Math.round(this.#deadline - performance.now()));
      const sent = {
        ...command(),
        maxTimeMS: Math.min(left, timeMs),
        writeConcern: { w: "majority", j: true },
        ...(this.#transaction !== undefined && { txnNumber: this.#transaction }),
      };
      try {
        const signal = this.#connection.lost;
        const options = { ...reading, signal, ...(session && { session }) };
        return await untilAborted(this.#connection.db.command(sent, options), signal);
      } catch (error) {
        const again = session !== undefined && mayBeSentAgain(error);
        if (!again || performance.now() + PAUSE_MS >= this.#deadline) throw error;
      }
      await delay(PAUSE_MS);
    }
  }
}

function mayBeSentAgain(error: unknown): boolean {
  return (
    isNetworkError(error) ||
    error instanceof MongoServerSelectionError ||
    (error instanceof MongoError && error.hasErrorLabel("RetryableWriteError"))
  );
}

/** Makes a retryable write for the time of its use. */
export async function withRetryableWrite<Result>(
  connection: MongoConnection,
  limits: Limits,
  use: (write: RetryableWrite) => Promise<Result>,
): Promise<Result> {
  if (!connection.replicated) return use(new RetryableWrite(connection, limits, undefined));
  const session = connection.client.startSession({ causalConsistency: false });
  try {
    return await use(new RetryableWrite(connection, limits, session));
  } finally {
    await session.endSession();
  }
}
