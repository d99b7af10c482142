import { invalidField, StoreError } from "../store/errors.js";
import type { Connection } from "./connection.js";
import type { ValueEncoding } from "./documents.js";
import type { RequestContext } from "./encode.js";
import { watchRequest } from "./encode-watch.js";
import { EventBuffer } from "./event-buffer.js";
import { onAbort } from "./on-abort.js";
import { type RetryPolicy, retryPolicy } from "./retry.js";
import type { WatchEvent } from "./watch-events.js";
import { WatchFeed } from "./watch-feed.js";
import type { WatchOptions } from "./watch-options.js";

/** What WatchRetryOptions says. */
const RETRY: RetryPolicy = {
  maxAttempts: Number.POSITIVE_INFINITY,
  initialBackoffMs: 250,
  maxBackoffMs: 10_000,
  waitForServerMs: Number.POSITIVE_INFINITY,
};
const BUFFER_EVENTS = 1000;
const BUFFER_BYTES = 4 * 1024 * 1024;

/**
 * A stream of the changes of keys: every change once, in the order of commits, for as long as it is read. It connects
 * when it is first read, and again by itself whenever the connection is lost or silent, or its consumer was so slow
 * that the server gave it up; nothing is lost or told twice by that. Lost history, and what no repetition mends,
 * rejects with StoreError, after the events before it.
 *
 * It can be read once. It ends, without an error, when the reading ends (`break`, `return()`), by close(), and when
 * the service is closed. Until then it keeps the process alive. A slow consumer holds the server back, which ends
 * watches that stay far behind; they go on where they were as long as the store's history lasts.
 *
 * @example
 * for await (const event of service.watchKeys({ storeName: "jobs", snapshot: true })) {
 *   if ("document" in event) console.log(event.type, event.key, event.document.value);
 *   else if (event.type === "deleted" || event.type === "expired") console.log(event.type, event.key);
 * }
 */
export class Watch<T = unknown, E extends ValueEncoding = "plain">
  implements AsyncIterableIterator<WatchEvent<T, E>>
{
  readonly #start: () => EventBuffer<WatchEvent<T, E>>;
  #started: EventBuffer<WatchEvent<T, E>> | undefined;
  readonly #ending = new AbortController();
  #resumeToken: string | undefined;

  /** Nothing is checked or sent before the first event is asked for. */
  constructor(connection: Connection, context: RequestContext, options: WatchOptions<E>) {
    this.#resumeToken = options.resumeToken;
    this.#start = () => this.#open(connection, context, options);
  }

  /**
   * The token of the last event handed over that had one; at first, the one that the watch was opened with. Kept
   * after the event was worked on, it lets a later watch, of another process, too, go on right behind it.
   */
  get resumeToken(): string | undefined {
    return this.#resumeToken;
  }

  /** The next event; for those who do not read with `for await`. */
  async next(): Promise<IteratorResult<WatchEvent<T, E>, undefined>> {
    this.#started ??= this.#start();
    const event = await this.#started.take();
    if (event === undefined) return { done: true, value: undefined };
    if (event.type === "reset") this.#resumeToken = undefined;
    else this.#resumeToken = event.resumeToken ?? this.#resumeToken;
    return { done: false, value: event };
  }

  /** As close; what `break` does. */
  return(): Promise<IteratorResult<WatchEvent<T, E>, undefined>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Ends the watch: nothing is handed over any more, and reads under way end. Idempotent. */
  close(): void {
    this.#end();
  }

  /** The watch itself. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** As close; for `await using` in TypeScript, and in JavaScript where the runtime has it. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  #end(error?: StoreError): void {
    this.#started ??= new EventBuffer<WatchEvent<T, E>>(0, 0);
    this.#started.drop(error);
    this.#ending.abort();
  }

  #open(
    connection: Connection,
    context: RequestContext,
    options: WatchOptions<E>,
  ): EventBuffer<WatchEvent<T, E>> {
    const { signal, bufferEvents = BUFFER_EVENTS, bufferBytes = BUFFER_BYTES } = options;
    const buffer = new EventBuffer<WatchEvent<T, E>>(bufferEvents, bufferBytes);
    try {
      checkLimit(bufferEvents, "bufferEvents");
      checkLimit(bufferBytes, "bufferBytes");
      if (signal?.aborted === true) throw cancelled(signal);
      const feed = new WatchFeed<T, E>({
        connection,
        request: watchRequest(context, options),
        encoding: options.encoding,
        buffer,
        retry: retryPolicy(options.retry, RETRY),
        snapshotIfLost: snapshotIfLost(options.onHistoryLost),
        onInterruption: options.onInterruption,
        signal: this.#ending.signal,
      });
      const forgets = [
        onAbort(connection.closing, () => this.#end()),
        ...(signal === undefined ? [] : [onAbort(signal, () => this.#end(cancelled(signal)))]),
      ];
      void feed
        .run()
        .catch((error: unknown) => buffer.end(error))
        .finally(() => forgets.forEach((forget) => forget()));
    } catch (error) {
      buffer.end(error);
    }
    return buffer;
  }
}

function cancelled(signal: AbortSignal): StoreError {
  return new StoreError("CANCELLED", "WatchKeys was cancelled by its caller's signal", {
    cause: signal.reason,
  });
}

function checkLimit(limit: number, name: string): void {
  if (typeof limit === "number" && limit >= 1) return;
  throw invalidField(
    "CLIENT_OPTION_INVALID",
    name,
    "is not a number of at least 1; expected how much may wait for the consumer, or leave it out",
  );
}

function snapshotIfLost(onHistoryLost: WatchOptions["onHistoryLost"] = "throw"): boolean {
  if (onHistoryLost === "throw" || onHistoryLost === "snapshot") return onHistoryLost === "snapshot";
  throw invalidField(
    "CLIENT_OPTION_INVALID",
    "onHistoryLost",
    'is neither "throw" nor "snapshot"; expected one of these two',
  );
}
