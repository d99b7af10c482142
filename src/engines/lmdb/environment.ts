import { closeSync, existsSync, mkdirSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { type Database, open, type RootDatabase, type Transaction } from "lmdb";
import { StoreError } from "../../store/errors.js";
import { lockDirectory, type OwnerLock } from "./owner-lock.js";

/** A database of byte keys and byte values. */
export type Bytes = Database<Buffer, Buffer>;

/** The version of the layout on disk that this code reads and writes. */
const FORMAT = 1;
const FORMAT_KEY = Buffer.from("format");
const BINARY = { encoding: "binary", keyEncoding: "binary", cache: false } as const;
/** Databases per collection, and `meta`. */
const DATABASES_PER_COLLECTION = 8;

/** A part of a database; `end` is exclusive. */
export interface KeyRange {
  readonly start: Buffer;
  readonly end: Buffer;
  readonly limit: number;
  /** From `start` downwards. */
  readonly reverse?: boolean;
  readonly transaction?: Transaction;
}

/** Reads keys at once. */
export function readKeys(database: Bytes, range: KeyRange): Buffer[] {
  return Array.from(database.getKeys(range));
}

/** Reads keys with their values at once. */
export function readEntries(database: Bytes, range: KeyRange): { key: Buffer; value: Buffer }[] {
  return Array.from(database.getRange(range));
}

/** One collection's databases; keys.ts tells their keys. */
export interface CollectionDatabases {
  /** Documents: records, with small values in them. */
  readonly documents: Bytes;
  /** Large values by the revision that wrote them. */
  readonly blobs: Bytes;
  /** Store records. */
  readonly stores: Bytes;
  /** Store names to contexts. */
  readonly names: Bytes;
  /** Every document with an expiry, in the order of expiry. */
  readonly expiries: Bytes;
  /** Per store, what is evictable, in the order of expiry. */
  readonly evictables: Bytes;
  /** The change log, by revision. */
  readonly changes: Bytes;
}

/** An open database directory. */
export interface Environment {
  readonly root: RootDatabase<Buffer, Buffer>;
  /** The format, and the incarnation and the state of each collection. */
  readonly meta: Bytes;
  collection(name: string): CollectionDatabases;
  close(): Promise<void>;
}

function unusable(path: string, cause: unknown): StoreError {
  const text = cause instanceof Error ? cause.message : String(cause);
  return new StoreError(
    "DIRECTORY_UNUSABLE",
    `cannot open a database in ${path}: ${text}; check that it is a directory this user may write to and that holds nothing else`,
    { cause },
  );
}

/** LMDB's mark, in the first page of its file behind the page's header of 24 bytes. */
const LMDB_MAGIC = 0xbeefc0de;

/** LMDB itself ends the process on a file that is not its own. */
function checkMagic(path: string): void {
  const file = join(path, "data.mdb");
  if (!existsSync(file)) return;
  const head = Buffer.alloc(28);
  const fd = openSync(file, "r");
  try {
    const length = readSync(fd, head, 0, head.length, 0);
    if (length > 0 && head.readUInt32LE(24) !== LMDB_MAGIC) throw new Error("data.mdb is no LMDB file");
  } finally {
    closeSync(fd);
  }
}

function openRoot(path: string, collections: number): RootDatabase<Buffer, Buffer> {
  return open<Buffer, Buffer>({
    path,
    ...BINARY,
    noSubdir: false,
    maxDbs: collections * DATABASES_PER_COLLECTION + 2,
    // Every commit is on disk before anyone sees it: a reader never sees what a crash could take back.
    overlappingSync: false,
    commitDelay: 0,
  });
}

function unknownFormat(path: string, found: string): StoreError {
  return new StoreError(
    "FORMAT_UNKNOWN",
    `the database in ${path} has ${found}; this version reads format ${FORMAT}: run the version that made it, or choose another directory`,
  );
}

/** Checks the format of a directory, or marks a new one. */
function checkFormat(path: string, root: RootDatabase<Buffer, Buffer>, meta: Bytes): void {
  const bytes = meta.get(FORMAT_KEY);
  if (bytes !== undefined) {
    if (bytes.toString() !== String(FORMAT)) throw unknownFormat(path, `format ${bytes.toString()}`);
    return;
  }
  // The root database holds the names of the others, each with a NUL behind it.
  const others = Array.from(root.getKeys(), (name) => name.toString().replace("\0", "")).filter(
    (name) => name !== "meta",
  );
  if (others.length > 0) throw unknownFormat(path, "data of another program");
  meta.putSync(FORMAT_KEY, Buffer.from(String(FORMAT)));
}

/**
 * Opens, or makes, a database directory.
 *
 * @param collections how many collections will be opened at most
 * @throws StoreError DIRECTORY_IN_USE, FORMAT_UNKNOWN or DIRECTORY_UNUSABLE
 */
export async function openEnvironment(path: string, collections: number): Promise<Environment> {
  let lock: OwnerLock | undefined;
  let root: RootDatabase<Buffer, Buffer> | undefined;
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    lock = lockDirectory(path);
    checkMagic(path);
    root = openRoot(path, collections);
    const opened = root;
    const held = lock;
    const meta: Bytes = opened.openDB({ name: "meta", ...BINARY });
    checkFormat(path, opened, meta);
    return {
      root: opened,
      meta,
      collection: (name) => openCollection(opened, name),
      async close() {
        await opened.close();
        held.release();
      },
    };
  } catch (error) {
    await root?.close();
    lock?.release();
    throw error instanceof StoreError ? error : unusable(path, error);
  }
}

function openCollection(root: RootDatabase<Buffer, Buffer>, collection: string): CollectionDatabases {
  const database = (name: string): Bytes => root.openDB({ name: `${collection}/${name}`, ...BINARY });
  return {
    documents: database("documents"),
    blobs: database("blobs"),
    stores: database("stores"),
    names: database("names"),
    expiries: database("expiries"),
    evictables: database("evictables"),
    changes: database("changes"),
  };
}
