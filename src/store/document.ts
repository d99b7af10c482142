/** Kept until deleted, or removable by `clearCache` and expiry. */
export type Policy = "persist" | "evict";

/**
 * Where a store lives: a collection and a context.
 *
 * @property collection the name of a collection that the engine serves
 * @property datasetId 24 lower-case hex digits, or empty for stores tied to no dataset
 */
export interface Scope {
  readonly collection: string;
  readonly datasetId: string;
}

/** What every stored document has. Times are milliseconds since 1970 by the store's clock. */
export interface Versioned {
  /** When the live document came to be. */
  readonly createdAt: number;
  /** When it last changed in any way; strictly increasing per key or store document. */
  readonly updatedAt: number;
  /** When it expires; undefined if it does not. */
  readonly expiresAt: number | undefined;
  readonly policy: Policy;
  /** Opaque, never empty; changes with every change and never returns. */
  readonly etag: string;
}

/** A live key. */
export interface KeyDocument extends Versioned {
  readonly datasetId: string;
  readonly storeName: string;
  readonly key: string;
  /**
   * A BSON document with the one field `value`, exactly as it was written; undefined where the caller did not
   * ask for it. The bytes belong to the receiver.
   */
  readonly value: Uint8Array | undefined;
}

/** A store as it exists: with its own document, or only through its keys. */
export interface StoreDocument {
  readonly datasetId: string;
  readonly storeName: string;
  /** Undefined for a store that exists only through its keys. */
  readonly own: StoreOwnDocument | undefined;
}

/** A store's own document. */
export interface StoreOwnDocument extends Versioned {
  /** A BSON document; undefined if the store was created without, or the caller did not ask for it. */
  readonly metadata: Uint8Array | undefined;
}
