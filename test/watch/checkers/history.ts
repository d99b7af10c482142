/**
 * What is recorded of a run: what was asked of the servers and what they answered, and what every watcher received.
 * All times are milliseconds since 1970, with fractions, by the one clock of the recording process; those of documents
 * and events are the store's clock, which must be the same machine's.
 */

/** Which key. */
export interface Place {
  /** 24 lower-case hex digits, or empty. */
  readonly datasetId: string;
  readonly storeName: string;
  readonly key: string;
}

/** What tells the versions of a key apart, besides the value. */
export interface Version {
  readonly etag: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly expiresAt: number | undefined;
  readonly policy: "persist" | "evict";
}

/** A document as it was received. */
export interface SeenDocument extends Place {
  /** Undefined where only the identity was sent. */
  readonly version: Version | undefined;
  /** The value's text, the same for every encoding; undefined where no value was sent. */
  readonly value: string | undefined;
}

/** A live document with all that belongs to it. */
export interface LiveDocument extends Place {
  readonly version: Version;
  readonly value: string;
}

export type EventType = "existing" | "created" | "updated" | "deleted" | "expired";

/** An event as it was received. */
export interface SeenEvent {
  readonly type: EventType;
  readonly document: SeenDocument;
  readonly previous: SeenDocument | undefined;
  readonly previousValueOmitted: boolean;
  /** Undefined where none was sent. */
  readonly commitTime: number | undefined;
}

/** A message as it was received. */
export interface SeenMessage {
  readonly kind: "started" | "snapshot" | "snapshot-complete" | "events" | "progress";
  readonly events: readonly SeenEvent[];
  /** Empty: none was sent. */
  readonly token: string;
  /** The progress interval in force; in "started" only. */
  readonly intervalMs: number | undefined;
  readonly receivedAt: number;
}

/** What a watcher asked for. */
export interface WatchRequest {
  readonly datasetId: string;
  readonly allContexts: boolean;
  /** Empty: every store. */
  readonly storeName: string;
  /** Undefined: by prefix. */
  readonly key: string | undefined;
  readonly keyPrefix: string;
  readonly snapshot: boolean;
  /** Empty: none. */
  readonly resumeToken: string;
  /** Empty: all. */
  readonly types: readonly EventType[];
  readonly encoding: "json" | "bson" | "none";
  readonly includePrevious: boolean;
}

/** Where a token came from: a message of a stream, or the end of one. */
export interface TokenOrigin {
  readonly stream: Stream;
  /** How many messages of the stream were received up to it. */
  readonly messages: number;
  readonly from: "message" | "end";
}

/** How a stream ended. */
export interface StreamEnd {
  /** "cancelled": by the watcher. Else the name of the gRPC status. */
  readonly status: string;
  /** Undefined: the server did not say. */
  readonly reason: string | undefined;
  /** The token in the details; empty: none. */
  readonly token: string;
  readonly at: number;
}

/** One call of WatchKeys. */
export interface Stream {
  readonly name: string;
  readonly request: WatchRequest;
  /** Where the request's token came from; undefined: it has none. */
  readonly origin: TokenOrigin | undefined;
  readonly calledAt: number;
  /** Whether the watcher stopped reading for a while. */
  readonly paused: boolean;
  readonly messages: readonly SeenMessage[];
  /** Undefined: it was open to the end of the run, and all that was written had been waited for. */
  readonly end: StreamEnd | undefined;
}

/** A write to one key. Every value is that of one put alone. */
export interface Put extends Place {
  /** Undefined: the value stays. */
  readonly value: string | undefined;
  readonly calledAt: number;
  /** Infinity: it was not answered, and may happen at any time. */
  readonly answeredAt: number;
  /** "refused": the answer was that nothing was written. "unknown": nobody knows. */
  readonly outcome: "written" | "refused" | "unknown";
  /** Of what was written. */
  readonly version: Version | undefined;
  /** As it was answered; undefined where the answer does not tell. */
  readonly created: boolean | undefined;
}

/** A call that removes keys. */
export interface Removal {
  /** Undefined: in all contexts. */
  readonly datasetId: string | undefined;
  /** Undefined: in all stores. */
  readonly storeName: string | undefined;
  /** Undefined: all keys. */
  readonly keys: readonly string[] | undefined;
  readonly calledAt: number;
  /** Infinity: it was not answered, and may happen at any time. */
  readonly answeredAt: number;
  /** How many documents the answer says were removed; undefined: nobody knows. */
  readonly count: number | undefined;
  /** How many store documents may be among them. */
  readonly storeDocuments: number;
}

/** A read of a key that answered a document. */
export interface Read {
  readonly document: SeenDocument;
  readonly calledAt: number;
}

/** From when until when servers or database were disturbed on purpose. */
export interface Disturbance {
  readonly from: number;
  readonly to: number;
}

/** What may happen in a run, besides what always may. */
export interface Allowances {
  /** Whether others write, too, whose writes are not recorded. @default false */
  readonly foreignWriters?: boolean;
  /** Whether a history may end, for every watcher: OUT_OF_RANGE. @default false */
  readonly historyEnds?: boolean;
  /** Whether watchers may be so slow that they are ended: RESOURCE_EXHAUSTED. @default false */
  readonly slowWatchers?: boolean;
  /** Whether previous documents may come without their value. @default false */
  readonly previousOmitted?: boolean;
  /**
   * Whether removals are timed by another reading of the clock than the one that found the document live, so that a
   * deletion just before the expiry may count as one after it. @default false
   */
  readonly separateClockReadings?: boolean;
  /**
   * Whether a new key that is gone before its writer is answered may be answered with a later version than it had.
   * @default false
   */
  readonly guessedVersions?: boolean;
}

/** A run as it was recorded. It began without a key. */
export interface RecordedHistory {
  readonly puts: readonly Put[];
  readonly removals: readonly Removal[];
  readonly reads: readonly Read[];
  /** All streams, those of the reference as well. */
  readonly streams: readonly Stream[];
  /**
   * Streams that each resume where the one before ended, and together saw everything: all contexts, all types, values
   * as BSON, previous documents, from before the first write until after the last.
   */
  readonly reference: readonly Stream[];
  /** All live documents at the end. */
  readonly remaining: readonly LiveDocument[];
  /** When the remaining documents were read. */
  readonly endedAt: number;
  readonly disturbances: readonly Disturbance[];
  readonly allowed: Allowances;
}

/** Says what breaks one promise; empty if nothing does. */
export type Checker = (history: RecordedHistory) => string[];

/** Whether a time is in a disturbance, or soon after one. */
export function isDisturbed({ disturbances }: RecordedHistory, at: number, recoveryMs: number): boolean {
  return disturbances.some(({ from, to }) => from <= at && at <= to + recoveryMs);
}
