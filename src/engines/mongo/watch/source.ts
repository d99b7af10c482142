import type {
  ChangeBatch,
  ChangeSnapshot,
  ChangeSource,
  HistoryPoint,
  Selector,
  WatchNeeds,
} from "../../../store/changes.js";
import type { CallOptions } from "../../../store/engine.js";
import { CallQueue } from "../call-queue.js";
import type { MongoCollection } from "../collection.js";
import type { MongoConnection, MongoEvent } from "../connection.js";
import { closing, databaseUnreachable, serverCode } from "../errors.js";
import { untilAborted } from "../until-aborted.js";
import { ClusterClock } from "./cluster-clock.js";
import { readDocumentMap } from "./document-map.js";
import { findCollection, type ImagesOption, prepareCollection } from "./images.js";
import { lookupView } from "./lookup-view.js";
import { PATIENCE, type Patience } from "./patience.js";
import { type ClusterTime, positionAt } from "./position.js";
import { SharedStream } from "./shared-stream.js";
import { FORGOTTEN, openSnapshot } from "./snapshot.js";
import { endOf, previousUnavailable, replicaSetRequired, streamLost } from "./stream-errors.js";
import { type ChangeView, IMAGES_VIEW } from "./view.js";
import type { WatchConnection } from "./watch-connection.js";

/** How many readers may go through older parts of the history at once; the others wait, so many of them. */
const CATCHING_UP = 4;
const MAX_WAITING = 10_000;
/** How long the shared stream stays open without readers, in ms. */
const IDLE_MS = 60_000;
/** How long the server may be silent while all documents are read, in ms. */
const MAP_SILENCE_MS = 30_000;
/** How often the collection is looked at anew where somebody drops it meanwhile. */
const MAX_LOOKS = 20;
/** How many pages of snapshots are read at once; the others wait, however many. */
const SNAPSHOT_PAGES = 4;

/** What a source is made of. */
export interface MongoSourceOptions {
  readonly collection: MongoCollection;
  readonly watchConnection: WatchConnection;
  readonly images: ImagesOption;
  readonly onEvent: (event: MongoEvent) => void;
  /** How long the shared stream stays open without readers, in ms. @default 60000 */
  readonly idleMs?: number;
  /** @default that of an engine */
  readonly patience?: Patience;
}

/** The changes of a collection, and what ends with the engine. */
export interface MongoSource extends ChangeSource {
  /** Ends all readers with SHUTTING_DOWN. */
  close(): void;
}

/** The changes of a collection. Nothing is asked of the database before somebody watches. */
export function createSource(options: MongoSourceOptions): MongoSource {
  return new Source(options);
}

class Source implements MongoSource {
  readonly #options: MongoSourceOptions;
  readonly #clock: ClusterClock;
  readonly #turns = new CallQueue(CATCHING_UP, MAX_WAITING);
  readonly #pageTurns = new CallQueue(SNAPSHOT_PAGES, Number.POSITIVE_INFINITY);
  /** The stream that new readers share. */
  #stream: Promise<SharedStream> | undefined;
  #users = 0;
  #idleTimer: NodeJS.Timeout | undefined;
  #warned = false;
  readonly #closing = new AbortController();

  constructor(options: MongoSourceOptions) {
    this.#options = options;
    const { connection, documents } = options.collection;
    this.#clock = new ClusterClock(connection, documents.collectionName);
  }

  now(needs: WatchNeeds, options?: CallOptions): Promise<HistoryPoint> {
    return this.#use(options?.signal, async (stream) => {
      if (needs.previous && !stream.hasImages) throw previousUnavailable();
      return { history: stream.history, position: positionAt(await this.#clock.now(options)) };
    });
  }

  async *read(
    after: HistoryPoint,
    needs: WatchNeeds,
    signal: AbortSignal,
  ): AsyncGenerator<ChangeBatch, void, undefined> {
    this.#enter();
    try {
      const stream = await this.#shared(signal);
      yield* stream.read(after, needs, signal);
    } finally {
      this.#leave();
    }
  }

  snapshot(selector: Selector, withValues: boolean, options?: CallOptions): Promise<ChangeSnapshot> {
    // Taken while the stream is open, so that it has all that follows.
    return this.#use(options?.signal, async ({ history }) =>
      openSnapshot({
        collection: this.#options.collection,
        connection: await this.#options.watchConnection.open(options?.signal),
        turns: this.#pageTurns,
        selector,
        withValues,
        clock: this.#clock,
        history,
        call: options,
      }),
    );
  }

  close(): void {
    this.#closing.abort(closing("read", "NOT_APPLIED"));
    this.#pageTurns.clear();
    clearTimeout(this.#idleTimer);
    this.#end();
  }

  async #use<Result>(
    signal: AbortSignal | undefined,
    work: (stream: SharedStream) => Promise<Result>,
  ): Promise<Result> {
    this.#enter();
    try {
      return await work(await this.#shared(signal));
    } finally {
      this.#leave();
    }
  }

  #enter(): void {
    this.#users += 1;
    clearTimeout(this.#idleTimer);
  }

  #leave(): void {
    this.#users -= 1;
    if (this.#users > 0 || this.#closing.signal.aborted) return;
    this.#idleTimer = setTimeout(() => this.#end(), this.#options.idleMs ?? IDLE_MS);
    this.#idleTimer.unref();
  }

  #end(): void {
    this.#stream?.then(
      (stream) => stream.close(closing("read", "NOT_APPLIED")),
      () => undefined,
    );
    this.#stream = undefined;
  }

  #shared(signal: AbortSignal | undefined): Promise<SharedStream> {
    signal?.throwIfAborted();
    this.#closing.signal.throwIfAborted();
    if (this.#stream === undefined) {
      const opening = this.#open(() => this.#forget(opening));
      this.#stream = opening;
      opening.catch(() => this.#forget(opening));
    }
    return untilAborted(this.#stream, signal);
  }

  #forget(stream: Promise<SharedStream>): void {
    if (this.#stream === stream) this.#stream = undefined;
  }

  async #open(onEnd: () => void): Promise<SharedStream> {
    const { collection, watchConnection, images, onEvent, patience = PATIENCE } = this.#options;
    const { connection, documents } = collection;
    if (!connection.replicated) throw replicaSetRequired();
    const own = await watchConnection.open(undefined);
    const subject = { connection: own, closings: watchConnection, collection: documents.collectionName };
    for (let look = 1; look <= MAX_LOOKS; look += 1) {
      const state = await prepareCollection({ ...subject, images, onEvent });
      // In this order: what happens to the collection from now on is found out by the stream.
      const time = await this.#clock.now(undefined);
      const found = await own.run(undefined, "read", () => findCollection(subject));
      if (found?.id !== state.id || found.hasImages !== state.hasImages) continue;
      const view = state.hasImages ? IMAGES_VIEW : await this.#lookUp(own, time);
      if (view === undefined) continue;
      const start = positionAt(time);
      const turns = this.#turns;
      return new SharedStream({
        subject: { ...subject, view },
        clock: this.#clock,
        history: state.id,
        start,
        turns,
        patience,
        onEnd,
      });
    }
    throw databaseUnreachable("read", "NOT_APPLIED", new Error("the collection was dropped again and again"));
  }

  /** The view of a collection without images; undefined if the collection of that time is gone. */
  async #lookUp(connection: MongoConnection, time: ClusterTime): Promise<ChangeView | undefined> {
    const { collection, onEvent } = this.#options;
    const name = collection.documents.collectionName;
    if (!this.#warned) {
      this.#warned = true;
      const command = `{ collMod: ${JSON.stringify(name)}, changeStreamPreAndPostImages: { enabled: true } }`;
      const message =
        `MongoDB keeps no pre- and post-images of collection ${name}, and this server does not switch them on, or may ` +
        `not: watches show no previous documents, resume only while this server has the changes in memory, and show ` +
        `updated documents as they are when they are looked up; give the user the right collMod, or run ${command} once`;
      onEvent({ level: "warn", message });
    }
    const limits = { silenceMs: MAP_SILENCE_MS, signal: this.#closing.signal };
    try {
      return lookupView(await readDocumentMap(connection, name, time, limits));
    } catch (error) {
      if (FORGOTTEN.has(serverCode(error) ?? 0)) return undefined;
      throw endOf(error) ?? streamLost(error);
    }
  }
}
