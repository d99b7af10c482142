import type { Policy } from "./document.js";
import type { CallOptions } from "./engine.js";

/** A live document with all that a copy of it keeps: everything but its etag, which belongs to where it is stored. */
export interface ArchivedDocument {
  /** 24 lower-case hex digits, or empty for stores tied to no dataset. */
  readonly datasetId: string;
  readonly storeName: string;
  /** Undefined for a store's own document. */
  readonly key: string | undefined;
  /** Times are milliseconds since 1970. */
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Undefined if it does not expire. */
  readonly expiresAt: number | undefined;
  readonly policy: Policy;
  /**
   * A BSON document with the one field `value`, byte for byte; of a store's own document, its metadata in that form.
   * Undefined for a store's own document without metadata.
   */
  readonly value: Uint8Array | undefined;
}

/** A part of all documents of a collection. */
export interface ArchivePart {
  readonly documents: readonly ArchivedDocument[];
  /** How many were passed over that are no documents of a store: their names are no strings, or their context is none. */
  readonly foreign: number;
}

/** What a collection holds, for telling how far a copy is; other writers may make it inexact. */
export interface ArchiveSize {
  /** Documents, foreign ones included, without the expired ones. */
  readonly documents: number;
  /** Documents whose time has come and that are still on disk: nobody can read them, and they are not copied. */
  readonly expired: number;
}

/** What to do with documents: only look for them, write those that are missing, or write those that differ, too. */
export type TransferMode = "compare" | "add" | "overwrite";

/**
 * How a document stands: there and equal in every respect; there, but different, and left as it is; not there (told
 * only on comparing); written as a new one, or in place of a different one; or not to be written, since its time has
 * come by this store's clock.
 */
export type TransferOutcome = "same" | "differs" | "missing" | "created" | "replaced" | "expired" | Refusal;

/** A document that this engine cannot hold. */
export interface Refusal {
  /** Why, as the end of a sentence that begins with the document's name: `is …; …`. */
  readonly refused: string;
}

/**
 * All documents of an engine's collections, for moving them from one engine to another. Errors are those of the
 * Engine's methods. Other callers may use the engine meanwhile: what is there throughout is read exactly once.
 */
export interface Archive {
  size(collection: string, options?: CallOptions): Promise<ArchiveSize>;
  /** Reads every live document, in parts of at most about 16 MiB, or one document. The order is the engine's own. */
  read(collection: string, options?: CallOptions): AsyncGenerator<ArchivePart, void, undefined>;
  /**
   * Compares the documents of one part with what is stored, writes as the mode says, and answers one outcome for each,
   * in order. Written documents keep their times; every later change of them is later than they are. What is written
   * is durable when the promise resolves. It is not atomic: an error may leave a part, and repeating is safe.
   */
  write(
    collection: string,
    documents: readonly ArchivedDocument[],
    mode: TransferMode,
    options?: CallOptions,
  ): Promise<readonly TransferOutcome[]>;
}

/** The bytes of a document's value. */
export function valueBytes({ value }: ArchivedDocument): number {
  return value?.length ?? 0;
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}

/** Whether two documents of one name are equal in everything that a copy keeps. */
export function sameDocument(a: ArchivedDocument, b: ArchivedDocument): boolean {
  return (
    a.createdAt === b.createdAt &&
    a.updatedAt === b.updatedAt &&
    a.expiresAt === b.expiresAt &&
    a.policy === b.policy &&
    sameBytes(a.value, b.value)
  );
}
