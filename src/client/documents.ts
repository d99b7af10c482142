import type { Policy } from "../store/document.js";
import type { RawValue } from "./raw-value.js";

/** What is known of a key besides its value. Times are the store's clock, in whole milliseconds. */
export interface KeyMetadata {
  readonly storeName: string;
  readonly key: string;
  /** 24 lower-case hex digits; undefined for a store tied to no dataset. */
  readonly datasetId: string | undefined;
  /** When the live document came to be. */
  readonly createdAt: Date;
  /** When it last changed in any way, ttl and policy included; strictly increasing per key. */
  readonly updatedAt: Date;
  /** When it expires; undefined if it does not. */
  readonly expiresAt: Date | undefined;
  readonly policy: Policy;
  /** Opaque version: changes with every change of the key and never returns. */
  readonly etag: string;
}

/** A key with its value. */
export interface KeyDocument<T = unknown> extends KeyMetadata {
  readonly value: T;
}

/**
 * A store. One that exists only through its keys has no document of its own, and so no metadata, times, policy or
 * etag.
 */
export interface StoreDocument {
  readonly storeName: string;
  /** 24 lower-case hex digits; undefined for a store tied to no dataset. */
  readonly datasetId: string | undefined;
  /** What createStore was given; undefined where there is none and, from listStoresGlobal, always. */
  readonly metadata: Record<string, unknown> | undefined;
  readonly createdAt: Date | undefined;
  readonly updatedAt: Date | undefined;
  readonly expiresAt: Date | undefined;
  readonly policy: Policy | undefined;
  readonly etag: string | undefined;
}

/** Result of an unconditional set. */
export interface SetResult {
  readonly document: KeyMetadata;
  /** Whether no live document had the key before; see ExecutionStoreService on repeated calls. */
  readonly created: boolean;
}

/** Result of a set-if-absent. */
export interface SetIfAbsentResult {
  /** Whether this call created the key. */
  readonly set: boolean;
  /** The live document after the call, whoever set it. */
  readonly document: KeyMetadata;
}

/** Result of a compare-and-set. */
export interface CompareAndSetResult {
  /** Whether this call wrote. */
  readonly set: boolean;
  /** The live document after the call; undefined if there is none. */
  readonly document: KeyMetadata | undefined;
}

/** Result of deleting a store in all contexts. */
export interface GlobalDeletion {
  /** Stores deleted: one per context. */
  readonly stores: number;
  /** Live documents deleted, store documents included. */
  readonly documents: number;
}

/**
 * The form in which a value is answered: "plain" decodes it to JavaScript values, "raw" leaves it as a RawValue,
 * "none" leaves it out and spares its transport.
 */
export type ValueEncoding = "plain" | "raw" | "none";

/** What a read answers for an encoding. */
export type ReadDocument<T, E extends ValueEncoding> = E extends "none"
  ? KeyMetadata
  : E extends "raw"
    ? KeyDocument<RawValue>
    : KeyDocument<T>;
