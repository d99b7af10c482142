import type { StoreError } from "../store/errors.js";
import type { ValueEncoding } from "./documents.js";
import type { KeyEventType } from "./watch-events.js";

/** How often and how soon a watch connects again. */
export interface WatchRetryOptions {
  /**
   * The most connections in a row that end without changes and without progress, before the watch fails with the
   * last one's error; 1: never connect again.
   *
   * @default Infinity
   */
  readonly maxAttempts?: number | undefined;
  /**
   * Milliseconds before the second connection; doubled for each that follows, until one brings changes or progress. Up to a
   * half is taken away at random, so that watchers that lost one server do not come back together.
   *
   * @default 250
   */
  readonly initialBackoffMs?: number | undefined;
  /** The most milliseconds between two connections, unless the server asks for more. @default 10000 */
  readonly maxBackoffMs?: number | undefined;
  /**
   * Milliseconds, from the beginning, in which a server that cannot be reached is tried again before the watch has
   * started for the first time.
   *
   * @default Infinity
   */
  readonly waitForServerMs?: number | undefined;
}

/** What a watch of one store may be told, besides what it is about. */
export interface WatchTuning {
  /** Only events of these types. @default all */
  readonly types?: readonly KeyEventType[] | undefined;
  /** Tell what the key held just before each change, too. @default false */
  readonly includePrevious?: boolean | undefined;
  /**
   * Milliseconds between two signs of life where nothing matches. The server raises it to its minimum; "started" says
   * the one in force. A connection that is silent for three times as long, and for a second, is given up for a new one.
   *
   * @default 10000
   */
  readonly progressIntervalMs?: number | undefined;
  /** Events that wait for the consumer before no more are taken from the connection. @default 1000 */
  readonly bufferEvents?: number | undefined;
  /** Bytes, as they travel, that wait for the consumer likewise. @default 4194304 */
  readonly bufferBytes?: number | undefined;
  /**
   * What to do where the changes since the last event cannot be told any more: "throw" a StoreError HISTORY_LOST, or
   * tell it by a "reset" event and go on with a new "snapshot", also if none was asked for at first.
   *
   * @default "throw"
   */
  readonly onHistoryLost?: "throw" | "snapshot" | undefined;
  /** How it connects again when the connection is lost; false: never. */
  readonly retry?: WatchRetryOptions | false | undefined;
  /** Hears of each lost connection, and when the next is tried: for logs. What it throws ends the watch. */
  readonly onInterruption?: ((error: StoreError, retryInMs: number) => void) | undefined;
  /** Ends the watch, which then rejects with StoreError CANCELLED. */
  readonly signal?: AbortSignal | undefined;
}

/** Which keys of a store a watch is about, and where it begins. */
export interface StoreWatchOptions extends WatchTuning {
  /** Only this key. Excludes keyPrefix. */
  readonly key?: string | undefined;
  /** Only keys that start with it. @default "" */
  readonly keyPrefix?: string | undefined;
  /** First tell what is there now, as "existing" events up to "snapshotComplete", then changes. @default false */
  readonly snapshot?: boolean | undefined;
  /** Go on behind the event that had this token, of a watch of the same keys. Excludes snapshot. @default from now on */
  readonly resumeToken?: string | undefined;
}

/** Which keys a watch is about, where it begins, and how. */
export interface WatchOptions<E extends ValueEncoding = ValueEncoding> extends StoreWatchOptions {
  /** Only keys of this store. @default those of every store of the context */
  readonly storeName?: string | undefined;
  /** The keys of all contexts; for a service tied to no dataset. @default false */
  readonly allContexts?: boolean | undefined;
  /** The form of the values. @default "plain" */
  readonly encoding?: E | undefined;
}
