import {
  WatchKeysResponse_Kind as Kind,
  StoreServiceDefinition,
  type WatchKeysRequest,
  type WatchKeysResponse,
} from "../../gen/ts/execution_store/v1/execution_store.js";
import { type Reason, StoreError, withResumeToken } from "../store/errors.js";
import type { Connection } from "./connection.js";
import { brokenAnswer } from "./decode.js";
import { decodeEvent, decodeMs } from "./decode-event.js";
import type { ValueEncoding } from "./documents.js";
import type { EventBuffer } from "./event-buffer.js";
import { pause } from "./pause.js";
import { type RetryPolicy, retryDelay } from "./retry.js";
import type { WatchEvent } from "./watch-events.js";

/** What a feed works with. */
export interface WatchFeedOptions<T, E extends ValueEncoding> {
  readonly connection: Connection;
  /** The request of the first connection. */
  readonly request: WatchKeysRequest;
  readonly encoding: E | undefined;
  readonly buffer: EventBuffer<WatchEvent<T, E>>;
  readonly retry: RetryPolicy;
  readonly snapshotIfLost: boolean;
  readonly onInterruption: ((error: StoreError, retryInMs: number) => void) | undefined;
  /** Ends the feed. */
  readonly signal: AbortSignal;
}

/** Besides UNAVAILABLE, what passes: the watch may go on where it was. */
const PASSING_REASONS: ReadonlySet<Reason> = new Set(["WATCH_TOO_SLOW", "DATABASE_BUSY"]);
/** Of the intervals that the server names, how many may pass in silence. */
const SILENT_INTERVALS = 3;
/** Milliseconds of silence that are always granted: the server keeps no time finer than tenths of a second. */
const LEAST_SILENCE_MS = 1000;

/**
 * Brings the events of a watch into its buffer, over as many connections as it takes.
 *
 * Where it goes on is the token of the last message that it has put there itself. The one that an error of the server
 * may carry is not used: messages before the error may have been dropped on the way (see openResponseStream).
 */
export class WatchFeed<T, E extends ValueEncoding> {
  readonly #options: WatchFeedOptions<T, E>;
  /** Where the next connection goes on; undefined as long as it begins as the request says, or with a snapshot. */
  #token: string | undefined;
  #snapshot: boolean;
  /** Whether events of a snapshot that is not complete were told. */
  #snapshotBegun = false;
  #everStarted = false;
  /** When the last connection has started, by performance.now(). */
  #startedAt = 0;
  /** Connections in a row that ended, all but the first of them without changes and without progress. */
  #failures = 0;

  constructor(options: WatchFeedOptions<T, E>) {
    this.#options = options;
    this.#snapshot = options.request.snapshot;
    this.#token = options.request.resumeToken === "" ? undefined : options.request.resumeToken;
  }

  /** Runs until the signal aborts, and throws the StoreError that ends the watch. */
  async run(): Promise<never> {
    const { retry, signal, onInterruption } = this.#options;
    const begun = Date.now();
    for (;;) {
      const error = await this.#connect();
      signal.throwIfAborted();
      this.#failures += 1;
      if (!this.#mayGoOn(error)) throw error;
      const delay = retryDelay(retry, this.#failures, error, Math.random());
      const tooLate = !this.#everStarted && Date.now() + delay >= begun + retry.waitForServerMs;
      if (this.#failures >= retry.maxAttempts || tooLate) throw withResumeToken(error, this.#token);
      this.#prepare(error);
      onInterruption?.(error, delay);
      await pause(delay, signal);
      signal.throwIfAborted();
    }
  }

  /** Whether another connection may bring what this one did not. */
  #mayGoOn(error: StoreError): boolean {
    if (error.kind === "OUT_OF_RANGE") return this.#options.snapshotIfLost;
    return error.kind === "UNAVAILABLE" || PASSING_REASONS.has(error.reason);
  }

  /** Says where the next connection begins, and that what was told is void where it is. */
  #prepare(error: StoreError): void {
    const lost = error.kind === "OUT_OF_RANGE";
    if (lost || this.#snapshotBegun) {
      const cause = lost ? "historyLost" : "snapshotInterrupted";
      this.#options.buffer.add([{ type: "reset", cause, error, resumeToken: undefined }], 0);
    }
    if (lost) {
      this.#token = undefined;
      this.#snapshot = true;
    }
    this.#snapshotBegun = false;
  }

  /** Opens one connection and follows it to its end. */
  async #connect(): Promise<StoreError> {
    const { connection, request, buffer, signal } = this.#options;
    try {
      const stream = await connection.stream(
        StoreServiceDefinition.methods.watchKeys,
        { ...request, snapshot: this.#snapshot, resumeToken: this.#token ?? "" },
        signal,
      );
      try {
        let limit = connection.timeoutMs;
        for (;;) {
          await buffer.room();
          const { message, bytes } = await stream.read(limit);
          this.#take(message, bytes);
          if (message.kind === Kind.KIND_STARTED) {
            limit = Math.max(LEAST_SILENCE_MS, SILENT_INTERVALS * decodeMs(message.progressInterval));
          }
        }
      } finally {
        stream.close();
      }
    } catch (error) {
      if (error instanceof StoreError) return error;
      throw error;
    }
  }

  #take(message: WatchKeysResponse, bytes: number): void {
    const { kind } = message;
    const early = this.#snapshot && (kind === Kind.KIND_STARTED || kind === Kind.KIND_SNAPSHOT);
    if (!early && message.resumeToken === "") throw brokenAnswer("to a watch lacks its token");
    const token = early ? undefined : message.resumeToken;
    this.#options.buffer.add(this.#eventsOf(message, token), bytes);
    if (kind === Kind.KIND_STARTED) {
      this.#everStarted = true;
      this.#startedAt = performance.now();
    }
    if (this.#isFruit(message)) this.#failures = 0;
    if (early) this.#snapshotBegun ||= message.events.length > 0;
    else {
      this.#token = token;
      this.#snapshot = false;
      this.#snapshotBegun = false;
    }
  }

  /**
   * Whether a message shows that the connection was worth its while. A snapshot does not: where history is lost again
   * and again, so would be one after the other. Progress with the token of before is told where nothing happens, but
   * also where the server has to wait, so it does only on a connection that no backoff would have delayed for longer.
   */
  #isFruit({ kind, resumeToken }: WatchKeysResponse): boolean {
    if (kind !== Kind.KIND_PROGRESS) return kind === Kind.KIND_EVENTS;
    return (
      resumeToken !== this.#token || performance.now() - this.#startedAt >= this.#options.retry.maxBackoffMs
    );
  }

  #eventsOf({ kind, events, progressInterval }: WatchKeysResponse, resumeToken: string | undefined) {
    switch (kind) {
      case Kind.KIND_STARTED:
        return [{ type: "started", progressIntervalMs: decodeMs(progressInterval), resumeToken } as const];
      case Kind.KIND_SNAPSHOT:
      case Kind.KIND_EVENTS: {
        const last = events.at(-1);
        return events.map((event) =>
          decodeEvent<T, E>(event, this.#options.encoding, event === last ? resumeToken : undefined),
        );
      }
      case Kind.KIND_SNAPSHOT_COMPLETE:
        return [{ type: "snapshotComplete", resumeToken } as const];
      case Kind.KIND_PROGRESS:
        return [{ type: "progress", resumeToken } as const];
      case Kind.KIND_UNSPECIFIED:
    }
    throw brokenAnswer("to a watch is of a kind that this client does not know");
  }
}
