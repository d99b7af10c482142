import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import type { Document } from "mongodb";
import type { ChangeSnapshot, Selector } from "../../../store/changes.js";
import type { KeyDocument, Scope } from "../../../store/document.js";
import type { CallOptions } from "../../../store/engine.js";
import { historyLost, StoreError } from "../../../store/errors.js";
import { MAX_PAGE_BYTES, MAX_TIMER_MS, STORE_KEY } from "../../../store/limits.js";
import { split } from "../../../store/split.js";
import type { CallQueue } from "../call-queue.js";
import { databaseTime } from "../clock.js";
import type { IndexHint, MongoCollection } from "../collection.js";
import type { Limits, MongoConnection } from "../connection.js";
import { CODES, closing, RETRY_AFTER_MS, serverCode } from "../errors.js";
import { datasetOf, LEAST_ID, prefixEnd, TEXT_KEY } from "../filters.js";
import { keyDocumentOf, type Place, placeOf, type RawDocument, splitDocument, timeOf } from "../record.js";
import { ofContext, ofStore, type Range } from "../selections.js";
import { SizeGuess } from "../size-guess.js";
import { wasLive } from "../versions.js";
import type { ClusterClock } from "./cluster-clock.js";
import { sendForCursor } from "./cursor-command.js";
import type { CursorReply } from "./cursor-reply.js";
import { findCollection } from "./images.js";
import { type ClusterTime, positionAt, timestampOf } from "./position.js";

/** The most documents of one reply. */
const MOST_DOCUMENTS = 1_000;
/** How many of them are made ready at one go, while others wait. */
const SLICE = 250;
/** How long a write takes, mostly, from when it takes its time to when it has its place in the order of writes, in ms. */
const UNDER_WAY_MS = 20;
/** What a document takes besides its key and its value, in bytes, about. */
const DOCUMENT_OVERHEAD_BYTES = 200;
const PAGE = {
  bytes: MAX_PAGE_BYTES,
  bytesOf: ({ key, value }: KeyDocument) => DOCUMENT_OVERHEAD_BYTES + key.length + (value?.length ?? 0),
};
/** How long the answer of a server may take that has given a command up, in ms. */
const ANSWER_MS = 5_000;
/** SnapshotTooOld. */
const TOO_OLD = 239;
/** SnapshotUnavailable: the collection got its name after that. */
const UNAVAILABLE = 246;
/** The server does not have what was there then. */
export const FORGOTTEN: ReadonlySet<number> = new Set([TOO_OLD, UNAVAILABLE]);

/** What to read. */
export interface SnapshotOptions {
  readonly collection: MongoCollection;
  /** The connection on which pages are read. */
  readonly connection: MongoConnection;
  /** Turns of those who read pages. */
  readonly turns: CallQueue;
  readonly selector: Selector;
  readonly withValues: boolean;
  readonly clock: ClusterClock;
  readonly history: string;
  /** Its signal ends the reading, too. */
  readonly call: CallOptions | undefined;
}

/** See ChangeSource.snapshot. Nothing is held between two pages but the place where the next one begins. */
export async function openSnapshot(options: SnapshotOptions): Promise<ChangeSnapshot> {
  const { collection, clock, history, call } = options;
  const now = await databaseTime(collection, call);
  // What has expired by then is left out: writes that began before, and found it live, are to be part of the snapshot.
  await delay(UNDER_WAY_MS, undefined, call?.signal && { signal: call.signal }).catch(() =>
    call?.signal?.throwIfAborted(),
  );
  const state = await clock.latestWrite(call);
  const end = await databaseTime(collection, call);
  const reading = new Reading(options, { now, state, end });
  return {
    history,
    position: positionAt(state),
    pages: () => reading.pages(),
    close: () => reading.close(),
  };
}

/** The same times for all pages, so that what expires is there or not, as of one moment. */
interface Times {
  /** The state that is read. */
  readonly state: ClusterTime;
  /** The database's clock before it, by as long as writes take. */
  readonly now: number;
  /** The database's clock after it. */
  readonly end: number;
}

/** Whether a document was live, and not only written as if it were: FiftyOne also sets what has expired. */
function isLive(document: RawDocument, { now, end }: Times): boolean {
  if (!wasLive({ document, now })) return false;
  const { updated_at: updatedAt, expires_at: expiresAt } = document;
  const writtenBefore =
    (timeOf(updatedAt) ?? Number.NEGATIVE_INFINITY) < (timeOf(expiresAt) ?? Number.POSITIVE_INFINITY);
  return writtenBefore || wasLive({ document, now: end });
}

class Reading {
  readonly #options: SnapshotOptions;
  readonly #times: Times;
  readonly #size: SizeGuess;
  #closed = false;

  constructor(options: SnapshotOptions, times: Times) {
    this.#options = options;
    this.#times = times;
    this.#size = options.withValues ? options.collection.valueSize : new SizeGuess();
  }

  close(): void {
    this.#closed = true;
  }

  async *pages(): AsyncGenerator<readonly KeyDocument[], void, undefined> {
    for (const part of partsOf(this.#options)) {
      let after: Place | undefined;
      for (;;) {
        const { documents, last } = await this.#readPart(part.ranges(after));
        for (const page of split(documents, PAGE)) {
          if (this.#closed) return;
          yield page;
        }
        if (last === undefined) break;
        after = last;
      }
    }
    // Of a collection that is gone the server finds nothing, and does not say so.
    await this.#checkSame();
  }

  async #checkSame(): Promise<void> {
    const { collection, connection, history, call } = this.#options;
    const subject = { connection, collection: collection.documents.collectionName };
    const found = await connection.run(call, "read", () => findCollection(subject));
    if (found?.id !== history) throw historyLost("the collection was dropped or renamed");
  }

  /** The next documents of the first range that has some; `last` is the place of the last one, if there may be more. */
  async #readPart(ranges: readonly Range[]): Promise<{ documents: KeyDocument[]; last: Place | undefined }> {
    for (const range of ranges) {
      // Documents that nobody can name can only be counted.
      for (let skip = 0; ; ) {
        const raws = await this.#readPage(range, skip);
        if (raws.length === 0) break;
        const last = raws.findLast((raw) => placeOf(raw) !== undefined);
        if (last !== undefined) return { documents: await this.#shown(raws), last: placeOf(last) };
        skip += raws.length;
      }
    }
    return { documents: [], last: undefined };
  }

  async #shown(raws: readonly RawDocument[]): Promise<KeyDocument[]> {
    const shown: KeyDocument[] = [];
    for (const [index, raw] of raws.entries()) {
      if (index > 0 && index % SLICE === 0) await nextTurn();
      const place = placeOf(raw);
      const isShown = place !== undefined && place.key !== STORE_KEY && isLive(raw, this.#times);
      if (isShown) shown.push(keyDocumentOf(raw, place, this.#options.withValues));
    }
    return shown;
  }

  async #readPage(range: Range, skip: number): Promise<readonly RawDocument[]> {
    const limit = Math.min(this.#size.documentsIn(MAX_PAGE_BYTES), MOST_DOCUMENTS);
    try {
      return await this.#find(range, skip, limit);
    } catch (error) {
      const code = causeOf(error);
      if (code === TOO_OLD) throw tooSlow();
      if (code !== UNAVAILABLE) throw error;
      await this.#checkSame();
      throw renamedMeanwhile();
    }
  }

  async #find({ filter, sort }: Range, skip: number, limit: number): Promise<readonly RawDocument[]> {
    const { collection, connection, turns, withValues, call } = this.#options;
    const command = {
      find: collection.documents.collectionName,
      filter,
      sort,
      skip,
      limit,
      singleBatch: true,
      batchSize: limit,
      ...(!withValues && { projection: { value: 0 } }),
      readConcern: { level: "snapshot", atClusterTime: timestampOf(this.#times.state) },
    };
    if (!(await turns.enter(MAX_TIMER_MS, call?.signal))) throw closing("read", "NOT_APPLIED");
    try {
      const send = (limits: Limits): Promise<CursorReply> => this.#send(command, limits);
      const { documents, bytes } = await connection.run(call, "read", send);
      this.#size.learn(bytes, documents.length);
      return documents.map(splitDocument);
    } finally {
      turns.release();
    }
  }

  async #send(command: Document, { maxTimeMS, signal }: Limits): Promise<CursorReply> {
    const { collection, connection } = this.#options;
    const limits = { silenceMs: maxTimeMS + ANSWER_MS, signal };
    const send = (hint: IndexHint): Promise<CursorReply> =>
      sendForCursor(connection, { ...command, ...hint, maxTimeMS }, undefined, limits);
    const hint = collection.listIndex;
    try {
      return await send(hint);
    } catch (error) {
      if (hint.hint === undefined || serverCode(error) !== CODES.badValue) throw error;
      // Somebody may have dropped the index.
      collection.connection.hints.lose();
      return await send({});
    }
  }
}

/** The server's code of an error, also of one that was translated. */
function causeOf(error: unknown): number | undefined {
  const { code } = Object(error instanceof StoreError ? error.cause : error);
  return typeof code === "number" ? code : undefined;
}

function renamedMeanwhile(): StoreError {
  return new StoreError(
    "DATABASE_CONFLICT",
    "MongoDB does not show the snapshot any more, since the collection was renamed, and back, meanwhile; try again in a moment",
    { retryAfterMs: RETRY_AFTER_MS },
  );
}

function tooSlow(): StoreError {
  return new StoreError(
    "WATCH_TOO_SLOW",
    "the snapshot was read so slowly that MongoDB does not have it any more; read it faster, or select less",
  );
}

/** Documents in an order in which one index has them. */
interface Part {
  /** What comes after a place (undefined: all), one range after another. */
  readonly ranges: (after: Place | undefined) => readonly Range[];
}

/** What a selector selects, in list order. */
function partsOf({ collection, selector }: SnapshotOptions): readonly Part[] {
  const { datasetId, storeName } = selector;
  const scopeOf = (id: string): Scope => ({ collection: collection.documents.collectionName, datasetId: id });
  const withinContext = (id: string): Part =>
    storeName === undefined
      ? ofContext(collection, scopeOf(id))
      : ofStore(collection, scopeOf(id), storeName);
  const parts =
    datasetId === undefined ? [withinContext(""), ofDatasets(storeName)] : [withinContext(datasetId)];
  const keys = keyFilterOf(selector);
  return parts.map(({ ranges }) => ({
    ranges: (after) => ranges(after).map(({ filter, sort }) => ({ filter: { $and: [filter, keys] }, sort })),
  }));
}

/** All that is tied to a dataset. */
function ofDatasets(storeName: string | undefined): Part {
  const sort = { dataset_id: 1, store_name: 1, key: 1 };
  const stores = storeName ?? { $gte: "" };
  return {
    ranges: (after) => {
      if (after === undefined) {
        return [{ filter: { dataset_id: { $gte: LEAST_ID }, store_name: stores, ...TEXT_KEY }, sort }];
      }
      const dataset = datasetOf(after.datasetId);
      const store = { dataset_id: dataset, store_name: after.storeName, key: { $gt: after.key } };
      const others = { dataset_id: dataset, store_name: { $gt: after.storeName }, ...TEXT_KEY };
      const following = { dataset_id: { $gt: dataset }, store_name: stores, ...TEXT_KEY };
      return [
        { filter: store, sort },
        ...(storeName === undefined ? [{ filter: others, sort }] : []),
        { filter: following, sort },
      ];
    },
  };
}

/** Part of a filter. */
function keyFilterOf({ key, keyPrefix }: Selector): Document {
  if (key !== undefined) return { key };
  const end = prefixEnd(keyPrefix);
  return { key: { $gte: keyPrefix, ...(end !== undefined && { $lt: end }) } };
}
