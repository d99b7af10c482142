import type { KeyDocument } from "./document.js";
import type { CallOptions } from "./engine.js";

/**
 * A place in a history. Places of one history compare as strings: the later one is the greater. Printable ASCII,
 * opaque but for that.
 */
export type Position = string;

/** The later one of two places. */
export function later(a: Position, b: Position): Position {
  return a > b ? a : b;
}

/** What happened to a key. */
export type ChangeType = "created" | "updated" | "deleted" | "expired";

/** A document as an event shows it. */
export interface EventDocument {
  /**
   * Reads it, at the latest before the next batch is asked for. The value is undefined if it was not asked for, or is
   * not to be had (previous documents on MongoDB, which may be too large).
   */
  read(withValue: boolean): KeyDocument;
}

/** One thing that happened to a key. */
export interface ChangeEvent {
  readonly type: ChangeType;
  /** The store's clock at the commit, in milliseconds since 1970. */
  readonly commitTime: number;
  /** After the change; undefined for "deleted" and "expired". */
  readonly document: EventDocument | undefined;
  /** Just before it; undefined for "created", and where the source does not have it. */
  readonly previous: EventDocument | undefined;
  /** Whether `document` was read after the change, and may be a later version than the change made. @default false */
  readonly lookedUp?: boolean;
}

/** One write to one key. */
export interface Change {
  readonly position: Position;
  /** 24 lower-case hex digits, or empty for stores tied to no dataset. */
  readonly datasetId: string;
  readonly storeName: string;
  readonly key: string;
  /** One; or two, where a document was written over one that had expired: "expired", then "created". */
  readonly events: readonly ChangeEvent[];
}

/** A part of a history. */
export interface ChangeBatch {
  /** In the order of their positions, which differ. */
  readonly changes: readonly Change[];
  /** Everything up to it is in this batch or in those before; at least that of the last change. */
  readonly position: Position;
}

/** A place in a certain history. */
export interface HistoryPoint {
  /**
   * Names the history: that of one collection of one deployment in its present incarnation. At most 64 printable ASCII
   * characters.
   */
  readonly history: string;
  readonly position: Position;
}

/** Which keys a watch is about. */
export interface Selector {
  /** Undefined: of all contexts. Empty: of stores tied to no dataset. */
  readonly datasetId: string | undefined;
  /** Undefined: of all stores. */
  readonly storeName: string | undefined;
  /** Undefined: all that start with `keyPrefix`. */
  readonly key: string | undefined;
  /** Empty matches all. */
  readonly keyPrefix: string;
}

/** All live documents that a selector matches, as of one place in the history. */
export interface ChangeSnapshot extends HistoryPoint {
  /**
   * Reads them once, by dataset id (none first), store and key, each in byte order of UTF-8, in pages that are not
   * empty, of 3 MiB at most or one document. Waits while the reader does not ask.
   *
   * @throws StoreError WATCH_TOO_SLOW if the reader takes so long that the snapshot cannot be kept any longer
   */
  pages(): AsyncGenerator<readonly KeyDocument[], void, undefined>;
  /** Gives up what the snapshot holds. Idempotent; to be called also after the last page. */
  close(): void;
}

/** What a watch needs of a source, besides the changes. */
export interface WatchNeeds {
  /** Whether previous documents will be read. */
  readonly previous: boolean;
}

/**
 * The history of one collection: every change of every key, once, in the order of commits; per key and altogether.
 * Store documents have none. Methods may be called any number of times side by side; each read costs what it reads,
 * and those at the end of the history share what can be shared.
 *
 * **Types.** "created" exactly where no live document was there before. "expired" where the old document's `expiresAt`
 * is at or before the commit time of its removal or replacement, whoever made it; "deleted" otherwise. Exactly one
 * "expired" for each expiry, within a second.
 */
export interface ChangeSource {
  /**
   * The end of the history: all that was acknowledged before the call is at or before it.
   *
   * @throws StoreError REPLICA_SET_REQUIRED, PREVIOUS_UNAVAILABLE, or UNAVAILABLE
   */
  now(needs: WatchNeeds, options?: CallOptions): Promise<HistoryPoint>;
  /**
   * Reads all that comes after a place, as it happens, without end; where there is nothing (yet), waits. Batches hold
   * some hundred changes at most. An empty batch moves the place on; a batch follows soon after every change of any
   * key, also while nobody else reads. Faults that pass are passed over; what ends the reading is thrown:
   *
   * @throws StoreError HISTORY_LOST if the place is not, or not any more, in the history: forgotten, of another
   *   history, or ahead of it. UNAVAILABLE if the source was silent for long. The signal's reason.
   */
  read(
    after: HistoryPoint,
    needs: WatchNeeds,
    signal: AbortSignal,
  ): AsyncGenerator<ChangeBatch, void, undefined>;
  /** Reads what is there now: see ChangeSnapshot. The signal ends the reading, too. */
  snapshot(selector: Selector, withValues: boolean, options?: CallOptions): Promise<ChangeSnapshot>;
}
