import type { StoreError } from "../store/errors.js";
import type { KeyMetadata, ReadDocument, ValueEncoding } from "./documents.js";

/** Which key an event is about. */
export interface KeyIdentity {
  readonly storeName: string;
  readonly key: string;
  /** 24 lower-case hex digits; undefined for a store tied to no dataset. */
  readonly datasetId: string | undefined;
}

/** What every event has. */
interface Resumable {
  /**
   * Where a later watch goes on: right behind this event, with nothing left out and nothing told twice. Several events
   * may travel together; then only the last of them has it, so that a token that is kept never passes over one.
   */
  readonly resumeToken: string | undefined;
}

/** From here on nothing is missed. The first event, and again after each interruption. */
export interface WatchStartedEvent extends Resumable {
  readonly type: "started";
  /** Milliseconds between two signs of life of the server, at most. */
  readonly progressIntervalMs: number;
}

/** A key that was there when the snapshot was read. In list order: by dataset id (none first), store and key. */
export interface KeyExistingEvent<T, E extends ValueEncoding> extends Resumable, KeyIdentity {
  readonly type: "existing";
  readonly document: ReadDocument<T, E>;
}

/** The snapshot is complete, also when it was empty; what follows are changes. */
export interface SnapshotCompleteEvent extends Resumable {
  readonly type: "snapshotComplete";
}

/** What is told of the document before a change. */
interface WithPrevious<T, E extends ValueEncoding> {
  /** Just before the change, if includePrevious asked for it and there was one. */
  readonly previous: ReadDocument<T, E> | KeyMetadata | undefined;
  /** Whether `previous` comes without its value, since that is too large (on MongoDB, over 7 MiB). */
  readonly previousValueOmitted: boolean;
}

/**
 * A key was set, or its ttl or policy changed: "created" exactly when no live document had the key before, else
 * "updated".
 */
export interface KeySetEvent<T, E extends ValueEncoding> extends Resumable, KeyIdentity, WithPrevious<T, E> {
  readonly type: "created" | "updated";
  /** As the change left it. */
  readonly document: ReadDocument<T, E>;
  /** Whether `document` was read after the change, and may be a later version (on MongoDB without images). */
  readonly lookedUp: boolean;
  /** The store's clock at the commit. */
  readonly commitTime: Date;
}

/** A key is gone: "expired" if its time had come, whoever removed or replaced it, else "deleted". */
export interface KeyRemovedEvent<T, E extends ValueEncoding>
  extends Resumable,
    KeyIdentity,
    WithPrevious<T, E> {
  readonly type: "deleted" | "expired";
  /** The store's clock at the commit. */
  readonly commitTime: Date;
}

/** Everything up to this token was told, also when nothing matched. Keep the token, lest it grow too old. */
export interface WatchProgressEvent extends Resumable {
  readonly type: "progress";
}

/** What was told so far is void: a new snapshot follows, of "existing" events up to "snapshotComplete". */
export interface WatchResetEvent extends Resumable {
  readonly type: "reset";
  /**
   * "snapshotInterrupted": the connection was lost in the middle of a snapshot; what was told of it is void.
   * "historyLost": changes can no longer be told one by one, since the watch was away for longer than the store's
   * history lasts. Only with `onHistoryLost: "snapshot"`.
   */
  readonly cause: "snapshotInterrupted" | "historyLost";
  /** What ended the connection before. */
  readonly error: StoreError;
}

/** An event of one key. */
export type KeyEvent<T = unknown, E extends ValueEncoding = "plain"> =
  | KeyExistingEvent<T, E>
  | KeySetEvent<T, E>
  | KeyRemovedEvent<T, E>;

/** What a watch tells; `type` says which it is. */
export type WatchEvent<T = unknown, E extends ValueEncoding = "plain"> =
  | KeyEvent<T, E>
  | WatchStartedEvent
  | SnapshotCompleteEvent
  | WatchProgressEvent
  | WatchResetEvent;

/** The types of events of keys. */
export type KeyEventType = KeyEvent["type"];
