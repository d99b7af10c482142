import { setMaxListeners } from "node:events";
import { closeSync, existsSync, mkdirSync, openSync, readSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type Database, open, type RootDatabase, type Transaction } from "lmdb";
import { StoreError } from "../../store/errors.js";
import { LoopShare } from "./loop-share.js";
import { lockDirectory, type OwnerLock } from "./owner-lock.js";
import { Semaphore } from "./semaphore.js";

/** A database of byte keys and byte values. */
export type Bytes = Database<Buffer, Buffer>;

/** The version of the layout on disk that this code reads and writes. */
const FORMAT = 1;
const FORMAT_KEY = Buffer.from("format");
const BINARY = { encoding: "binary", keyEncoding: "binary", cache: false } as const;
/** Databases per collection, and `meta`. */
const DATABASES_PER_COLLECTION = 8;
/** Long works that may hold a snapshot at the same time; LMDB keeps old pages for each. */
const MAX_SNAPSHOTS = 8;
/** The same for snapshots that are read as fast as someone far away takes them. */
const MAX_WATCH_SNAPSHOTS = 16;

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
  readonly path: string;
  /** Aborts when closing begins: work that takes many turns ends. */
  readonly closing: AbortSignal;
  readonly loop: LoopShare;
  /** For works that read as fast as they can. */
  readonly snapshots: Semaphore;
  /** For those that wait for their readers. */
  readonly watchSnapshots: Semaphore;
  readonly root: RootDatabase<Buffer, Buffer>;
  /** The format, and the incarnation and the state of each collection. */
  readonly meta: Bytes;
  collection(name: string): CollectionDatabases;
  /** Begins closing: see `closing`. */
  startClosing(): void;
  close(): Promise<void>;
}

/** What calls hear that come after, or run into, closing. */
export function shuttingDown(): StoreError {
  return new StoreError("SHUTTING_DOWN", "the database is closing; try again in a moment", {
    outcome: "NOT_APPLIED",
    retryAfterMs: 1000,
  });
}

function unusable(path: string, cause: unknown): StoreError {
  const text = cause instanceof Error ? cause.message : String(cause);
  return new StoreError(
    "DIRECTORY_UNUSABLE",
    `cannot open a database in ${path}: ${text}; check that it is a directory this user may write to and that holds nothing else`,
    { cause },
  );
}

/** One by one: Node's own recursive mkdir never returns where a parent cannot be made, such as in /proc. */
function makeDirectory(path: string): void {
  if (existsSync(path)) return;
  const parent = dirname(path);
  if (parent !== path) makeDirectory(parent);
  mkdirSync(path, { mode: 0o700 });
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
    // Its promises would fail without anyone to hear it when a commit fails; writer.ts gathers batches itself.
    eventTurnBatching: false,
  });
}

function unknownFormat(path: string, found: string): StoreError {
  return new StoreError(
    "FORMAT_UNKNOWN",
    `the database in ${path} has ${found}; this version reads format ${FORMAT}: run the version that made it, or choose another directory`,
  );
}

/** Opens the database about the databases, after checking that the directory is ours, or new. */
function openMeta(path: string, root: RootDatabase<Buffer, Buffer>): Bytes {
  // The root database holds the names of the others, each with a NUL behind it.
  const names = Array.from(root.getKeys(), (name) => name.toString().replace("\0", ""));
  if (names.length > 0 && !names.includes("meta")) throw unknownFormat(path, "data of another program");
  const meta: Bytes = root.openDB({ name: "meta", ...BINARY });
  const format = meta.get(FORMAT_KEY)?.toString();
  if (format === undefined) meta.putSync(FORMAT_KEY, Buffer.from(String(FORMAT)));
  else if (format !== String(FORMAT)) throw unknownFormat(path, `format ${format}`);
  return meta;
}

function noDatabase(path: string): StoreError {
  return new StoreError(
    "DIRECTORY_UNUSABLE",
    `there is no database in ${path}; check the path, which is that of the directory with data.mdb in it`,
  );
}

/**
 * Opens a database directory.
 *
 * @param collections how many collections will be opened at most
 * @param make whether to make the database if it is not there
 * @throws StoreError DIRECTORY_IN_USE, FORMAT_UNKNOWN or DIRECTORY_UNUSABLE
 */
export async function openEnvironment(path: string, collections: number, make = true): Promise<Environment> {
  let lock: OwnerLock | undefined;
  let root: RootDatabase<Buffer, Buffer> | undefined;
  try {
    if (!make && !existsSync(join(path, "data.mdb"))) throw noDatabase(path);
    makeDirectory(resolve(path));
    lock = lockDirectory(path);
    checkMagic(path);
    root = openRoot(path, collections);
    const opened = root;
    const held = lock;
    const closing = new AbortController();
    // There are as many as there are readings that wait.
    setMaxListeners(0, closing.signal);
    const meta = openMeta(path, opened);
    return {
      path,
      closing: closing.signal,
      loop: new LoopShare(),
      snapshots: new Semaphore(MAX_SNAPSHOTS),
      watchSnapshots: new Semaphore(MAX_WATCH_SNAPSHOTS),
      root: opened,
      meta,
      startClosing: () => closing.abort(shuttingDown()),
      collection: (name) => openCollection(opened, name),
      async close() {
        try {
          await opened.close();
        } finally {
          held.release();
        }
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
