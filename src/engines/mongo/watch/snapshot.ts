import type { Document } from "mongodb";
import type { ChangeSnapshot, Selector } from "../../../store/changes.js";
import type { KeyDocument, Scope } from "../../../store/document.js";
import type { CallOptions } from "../../../store/engine.js";
import { StoreError } from "../../../store/errors.js";
import { MAX_PAGE_BYTES, STORE_KEY } from "../../../store/limits.js";
import { split } from "../../../store/split.js";
import { databaseTime } from "../clock.js";
import type { MongoCollection } from "../collection.js";
import type { Limits } from "../connection.js";
import { serverCode } from "../errors.js";
import { datasetOf, LEAST_ID, prefixEnd, TEXT_KEY } from "../filters.js";
import { keyDocumentOf, type Place, placeOf, type RawDocument, splitDocument, timeOf } from "../record.js";
import { ofContext, ofStore, type Range } from "../selections.js";
import { SizeGuess } from "../size-guess.js";
import { untilAborted } from "../until-aborted.js";
import type { ClusterClock } from "./cluster-clock.js";
import { cursorReplyOf, RAW_REPLY } from "./cursor-reply.js";
import { type ClusterTime, positionAt, timestampOf } from "./position.js";

/** The most documents of one reply. */
const MOST_DOCUMENTS = 20_000;
/** What a document takes besides its key and its value, in bytes, about. */
const DOCUMENT_OVERHEAD_BYTES = 200;
const PAGE = {
  bytes: MAX_PAGE_BYTES,
  bytesOf: ({ key, value }: KeyDocument) => DOCUMENT_OVERHEAD_BYTES + key.length + (value?.length ?? 0),
};
/** The server has forgotten what was there then: SnapshotTooOld, and SnapshotUnavailable. */
const FORGOTTEN: ReadonlySet<number> = new Set([239, 246]);

/** What to read. */
export interface SnapshotOptions {
  readonly collection: MongoCollection;
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
  // First this: what was live then and is not there at the snapshot has an event before it, and not behind it.
  const now = await databaseTime(collection, call);
  const time = await clock.now(call);
  const reading = new Reading(options, time, now);
  return {
    history,
    position: positionAt(time),
    pages: () => reading.pages(),
    close: () => reading.close(),
  };
}

class Reading {
  readonly #options: SnapshotOptions;
  readonly #time: ClusterTime;
  /** The database's clock: one time for all pages, so that what expires meanwhile is there or not, as of one moment. */
  readonly #now: number;
  readonly #size: SizeGuess;
  #closed = false;

  constructor(options: SnapshotOptions, time: ClusterTime, now: number) {
    this.#options = options;
    this.#time = time;
    this.#now = now;
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
  }

  /** The next documents of the first range that has some; `last` is the place of the last one, if there may be more. */
  async #readPart(ranges: readonly Range[]): Promise<{ documents: KeyDocument[]; last: Place | undefined }> {
    for (const range of ranges) {
      // Documents that nobody can name can only be counted.
      for (let skip = 0; ; ) {
        const raws = await this.#find(range, skip);
        if (raws.length === 0) break;
        const last = raws.findLast((raw) => placeOf(raw) !== undefined);
        if (last !== undefined) return { documents: this.#shown(raws), last: placeOf(last) };
        skip += raws.length;
      }
    }
    return { documents: [], last: undefined };
  }

  #shown(raws: readonly RawDocument[]): KeyDocument[] {
    const { withValues } = this.#options;
    return raws.flatMap((raw) => {
      const place = placeOf(raw);
      const expiresAt = timeOf(raw.expires_at) ?? Number.POSITIVE_INFINITY;
      const isShown = place !== undefined && place.key !== STORE_KEY && expiresAt > this.#now;
      return isShown ? [keyDocumentOf(raw, place, withValues)] : [];
    });
  }

  async #find({ filter, sort }: Range, skip: number): Promise<readonly RawDocument[]> {
    const { collection, withValues, call } = this.#options;
    const limit = Math.min(this.#size.documentsIn(MAX_PAGE_BYTES), MOST_DOCUMENTS);
    try {
      return await collection.connection.run(call, "read", async (limits) => {
        const command = {
          find: collection.documents.collectionName,
          filter,
          sort,
          skip,
          limit,
          singleBatch: true,
          batchSize: limit,
          ...(!withValues && { projection: { value: 0 } }),
          ...collection.listIndex,
          readConcern: { level: "snapshot", atClusterTime: timestampOf(this.#time) },
        };
        const { documents, bytes } = await this.#send(command, limits);
        this.#size.learn(bytes, documents.length);
        return documents.map(splitDocument);
      });
    } catch (error) {
      throw isForgotten(error) ? tooSlow() : error;
    }
  }

  async #send(command: Document, { maxTimeMS }: Limits) {
    const { db, lost } = this.#options.collection.connection;
    const reply = db.command({ ...command, maxTimeMS }, { ...RAW_REPLY, signal: lost });
    return cursorReplyOf(await untilAborted(reply, lost));
  }
}

function isForgotten(error: unknown): boolean {
  return error instanceof Error && FORGOTTEN.has(serverCode(error) ?? serverCodeOf(error.cause) ?? 0);
}

/** What a StoreError keeps of a server's error. */
function serverCodeOf(cause: unknown): number | undefined {
  return cause instanceof Error && "code" in cause && typeof cause.code === "number" ? cause.code : undefined;
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
