import type { Transaction } from "lmdb";
import type { ChangeSnapshot, Selector } from "../../store/changes.js";
import type { KeyDocument } from "../../store/document.js";
import { StoreError } from "../../store/errors.js";
import { MAX_PAGE_BYTES } from "../../store/limits.js";
import { positionOf } from "./change-reader.js";
import { type Collection, readState } from "./collection.js";
import { readEntries } from "./environment.js";
import {
  after,
  CONTEXTS_END,
  canHoldKey,
  canHoldStore,
  contextKey,
  FIRST_CONTEXT,
  isStoreDocument,
  namePrefix,
  prefixEnd,
  splitDocumentKey,
  storeKey,
  storeKeyOfNameKey,
  storePrefix,
  toBound,
} from "./keys.js";
import { DOCUMENT_OVERHEAD_BYTES, readValue } from "./reads.js";
import { decodeRecord, isLive, keyDocument, type StoredRecord, valueLength } from "./record.js";
import { keysInChunks, Turns } from "./snapshot.js";

/** Documents read between two looks at the clock. */
const CHUNK = 256;

/** How long a snapshot may be held: LMDB reuses no page meanwhile that has changed since, and the file grows. */
export interface HoldLimits {
  /** In all, in ms. */
  readonly wholeMs: number;
  /** Without anyone asking for a page, in ms. */
  readonly idleMs: number;
}

const HOLD_LIMITS: HoldLimits = { wholeMs: 5 * 60_000, idleMs: 30_000 };

function tooSlow(what: string): StoreError {
  return new StoreError(
    "WATCH_TOO_SLOW",
    `the snapshot was given up, since ${what}; read faster or watch fewer keys, and take a new one`,
  );
}

/** A read transaction that ends with whatever comes first: its reader, the caller, the engine, or its time. */
class Hold {
  readonly options: { readonly transaction: Transaction };
  /** The last change that it has. */
  readonly revision: number;
  /** The clock at its start. */
  readonly now: number;
  /** Aborts with the reason for which later reads fail. */
  readonly ended: AbortSignal;
  private readonly controller = new AbortController();
  private readonly whole: NodeJS.Timeout;
  private idle: NodeJS.Timeout | undefined;
  private readonly onAbort = (event: Event): void => this.end((event.target as AbortSignal).reason);

  constructor(
    private readonly collection: Collection,
    private readonly signal: AbortSignal | undefined,
    private readonly limits: HoldLimits,
  ) {
    this.ended = this.controller.signal;
    const { environment, clock, name } = collection;
    this.options = { transaction: environment.root.useReadTransaction() };
    this.revision = readState(environment.meta, name, this.options).revision;
    this.now = clock.now();
    signal?.addEventListener("abort", this.onAbort);
    environment.closing.addEventListener("abort", this.onAbort);
    const { wholeMs } = limits;
    this.whole = setTimeout(
      () => this.end(tooSlow(`it was not read to its end in ${wholeMs / 1000} s`)),
      wholeMs,
    ).unref();
    this.rest();
  }

  /** Waits for the reader, though not for long. */
  rest(): void {
    const { idleMs } = this.limits;
    const end = (): void => this.end(tooSlow(`nobody asked for more of it in ${idleMs / 1000} s`));
    this.idle = setTimeout(end, idleMs).unref();
  }

  /** The reader asks for more. Throws if the hold has ended. */
  resume(): void {
    clearTimeout(this.idle);
    this.ended.throwIfAborted();
  }

  /** Gives up the transaction; what is read later throws the reason. Idempotent. */
  end(reason: unknown): void {
    if (this.ended.aborted) return;
    const { environment } = this.collection;
    clearTimeout(this.idle);
    clearTimeout(this.whole);
    this.signal?.removeEventListener("abort", this.onAbort);
    environment.closing.removeEventListener("abort", this.onAbort);
    this.options.transaction.done();
    environment.watchSnapshots.release();
    this.controller.abort(reason);
  }
}

/** What a snapshot reads, and how. */
interface Reading {
  readonly collection: Collection;
  readonly selector: Selector;
  readonly withValues: boolean;
  readonly hold: Hold;
  readonly turns: Turns;
}

interface Range {
  readonly start: Buffer;
  readonly end: Buffer;
}

/** The stores in which a selector can match anything, as store keys in their order. */
async function* storesOf({ collection, selector, hold, turns }: Reading): AsyncGenerator<readonly Buffer[]> {
  const { stores, names } = collection.databases;
  const { datasetId, storeName } = selector;
  if (storeName === undefined) {
    const start = datasetId === undefined ? FIRST_CONTEXT : contextKey(datasetId);
    const end = datasetId === undefined ? CONTEXTS_END : prefixEnd(start);
    yield* keysInChunks(stores, start, end, hold.options, turns);
  } else if (datasetId !== undefined) {
    yield [storeKey(datasetId, storeName)];
  } else {
    const prefix = namePrefix(storeName);
    const all = keysInChunks(names, prefix, prefixEnd(prefix), hold.options, turns);
    for await (const keys of all) yield keys.map(storeKeyOfNameKey);
  }
}

function rangeIn(store: Buffer, { key, keyPrefix }: Selector): Range {
  const start = toBound(Buffer.concat([storePrefix(store), Buffer.from(key ?? keyPrefix)]));
  return { start, end: key === undefined ? prefixEnd(start) : after(start) };
}

/** The document keys that a selector matches, in their order. */
async function* rangesOf(reading: Reading): AsyncGenerator<readonly Range[]> {
  const { datasetId, storeName, key, keyPrefix } = reading.selector;
  if (storeName !== undefined && !canHoldStore(storeName)) return;
  if (key !== undefined && !canHoldKey(key)) return;
  if (storeName === undefined && key === undefined && keyPrefix === "") {
    const start = datasetId === undefined ? FIRST_CONTEXT : contextKey(datasetId);
    yield [{ start, end: datasetId === undefined ? CONTEXTS_END : prefixEnd(start) }];
    return;
  }
  for await (const stores of storesOf(reading)) yield stores.map((store) => rangeIn(store, reading.selector));
}

interface LiveRecord {
  readonly at: Buffer;
  readonly record: StoredRecord;
}

async function* readRecords(reading: Reading): AsyncGenerator<readonly LiveRecord[]> {
  const { collection, hold, turns, withValues } = reading;
  for await (const ranges of rangesOf(reading)) {
    for (const { start, end } of ranges) {
      for (let from: Buffer | undefined = start; from !== undefined; ) {
        const range = { start: from, end, limit: CHUNK, ...hold.options };
        const entries = readEntries(collection.databases.documents, range);
        yield entries
          .map(({ key, value }) => ({ at: key, record: decodeRecord(value, withValues ? "view" : "none") }))
          .filter(({ at, record }) => isLive(record, hold.now) && !isStoreDocument(at));
        const last = entries.at(-1);
        from = last === undefined || entries.length < CHUNK ? undefined : after(last.key);
        await turns.rest();
      }
    }
  }
}

async function* readPages(reading: Reading): AsyncGenerator<readonly KeyDocument[]> {
  const { collection, hold, turns, withValues } = reading;
  let page: KeyDocument[] = [];
  let bytes = 0;
  await turns.rest();
  for await (const records of readRecords(reading)) {
    for (const { at, record } of records) {
      const size = DOCUMENT_OVERHEAD_BYTES + at.length + (withValues ? valueLength(record.value) : 0);
      if (page.length > 0 && bytes + size > MAX_PAGE_BYTES) {
        yield page;
        await turns.rest();
        page = [];
        bytes = 0;
      }
      const { datasetId, storeName, key } = splitDocumentKey(at);
      const value = withValues ? readValue(collection, record, hold.options) : undefined;
      page.push(keyDocument(datasetId, storeName, key, record, value, collection.etags));
      bytes += size;
    }
  }
  // Many small snapshots at once take their share, too.
  await turns.rest();
  if (page.length > 0) yield page;
}

/** Waits in line, and takes a transaction. */
async function takeHold(
  collection: Collection,
  signal: AbortSignal | undefined,
  limits: HoldLimits,
): Promise<Hold> {
  const { closing, watchSnapshots } = collection.environment;
  await watchSnapshots.acquire(signal, closing);
  try {
    signal?.throwIfAborted();
    closing.throwIfAborted();
    return new Hold(collection, signal, limits);
  } catch (error) {
    watchSnapshots.release();
    throw error;
  }
}

/** See ChangeSource.snapshot. */
export async function takeSnapshot(
  collection: Collection,
  selector: Selector,
  withValues: boolean,
  signal: AbortSignal | undefined,
  limits: HoldLimits = HOLD_LIMITS,
): Promise<ChangeSnapshot> {
  const hold = await takeHold(collection, signal, limits);
  const turns = new Turns(collection.environment, hold.ended);
  const reading = { collection, selector, withValues, hold, turns };
  return {
    history: collection.incarnation,
    position: positionOf(hold.revision),
    async *pages() {
      try {
        hold.resume();
        for await (const page of readPages(reading)) {
          hold.rest();
          yield page;
          hold.resume();
        }
      } finally {
        hold.end(new Error("the snapshot has been read"));
      }
    },
    close: () => hold.end(new Error("the snapshot was closed")),
  };
}
