import { type Collection, type Document, MongoClient } from "mongodb";
import { onTestFinished } from "vitest";
import { openCollection } from "../../src/engines/mongo/collection.js";
import {
  createMongoConnection,
  type MongoConnection,
  type MongoEvent,
} from "../../src/engines/mongo/connection.js";
import { ensureIndexes } from "../../src/engines/mongo/indexes.js";
import type { ImagesOption } from "../../src/engines/mongo/watch/images.js";
import { PATIENCE, type Patience } from "../../src/engines/mongo/watch/patience.js";
import { createSource } from "../../src/engines/mongo/watch/source.js";
import { WatchConnection } from "../../src/engines/mongo/watch/watch-connection.js";
import type { Change, ChangeBatch, ChangeSource, HistoryPoint } from "../../src/store/changes.js";
import type { KeyDocument } from "../../src/store/document.js";
import { testDatabase } from "../support/mongodb/test-database.js";

/** A collection's changes without an engine: no sweeper removes what has expired. */
export interface WatchedCollection {
  readonly uri: string;
  readonly source: ChangeSource;
  /** The connection of calls. */
  readonly connection: MongoConnection;
  /** Closes the source and its connection, as closing an engine does. */
  readonly closeWatch: () => Promise<void>;
  /** The same collection through a driver of its own, with FiftyOne's indexes. */
  readonly documents: Collection;
  readonly client: MongoClient;
  readonly events: MongoEvent[];
}

/** How to watch. */
export interface WatchedOptions {
  /** @default that of the tests */
  readonly uri?: string;
  /** @default "auto" */
  readonly images?: ImagesOption;
  /** @default as long as the engine does */
  readonly idleMs?: number;
  /** @default that of an engine */
  readonly patience?: Partial<Patience>;
}

/** Opens a collection and the source of its changes; both are closed with the test. */
export async function openWatched({
  uri: given,
  images = "auto",
  idleMs,
  patience,
}: WatchedOptions = {}): Promise<WatchedCollection> {
  const uri = given ?? (await testDatabase()).uri;
  const client = await MongoClient.connect(uri, { writeConcern: { w: "majority", journal: true } });
  const events: MongoEvent[] = [];
  const onEvent = (event: MongoEvent): void => void events.push(event);
  const connection = createMongoConnection({ uri });
  await connection.connect();
  const indexes = new Map(await ensureIndexes(connection, "keys", onEvent));
  const watchConnection = new WatchConnection(uri);
  const collection = openCollection(connection, "keys", indexes);
  const source = createSource({
    collection,
    watchConnection,
    images,
    onEvent,
    ...(idleMs !== undefined && { idleMs }),
    patience: { ...PATIENCE, ...patience },
  });
  const closeWatch = async (): Promise<void> => {
    source.close();
    await watchConnection.close();
  };
  onTestFinished(async () => {
    await Promise.all([closeWatch(), connection.close(), client.close()]);
  });
  return { uri, source, connection, closeWatch, documents: client.db().collection("keys"), client, events };
}

/** An event with its documents read. */
export interface ReadEvent {
  readonly position: string;
  readonly name: string;
  readonly type: string;
  readonly commitTime: number;
  readonly document: KeyDocument | undefined;
  readonly previous: KeyDocument | undefined;
  readonly lookedUp: boolean;
}

/** The events of a change. */
export function eventsOf({ position, datasetId, storeName, key, events }: Change): ReadEvent[] {
  return events.map(({ type, commitTime, document, previous, lookedUp = false }) => ({
    position,
    name: `${datasetId}/${storeName}/${key}`,
    type,
    commitTime,
    document: document?.read(true),
    previous: previous?.read(true),
    lookedUp,
  }));
}

/** As `store/key: type`, for documents of no dataset. */
export function told(events: readonly ReadEvent[]): string[] {
  return events.map(({ name, type }) => `${name.slice(1)}: ${type}`);
}

/** Where the history ends; for what comes from now on. */
export function now({ source }: Pick<WatchedCollection, "source">, previous = true): Promise<HistoryPoint> {
  return source.now({ previous });
}

/** What the documents of the watched collection have to have, as FiftyOne writes it. */
export function keyDocument(key: string, changes: Document = {}): Document {
  const at = new Date();
  return {
    store_name: "jobs",
    key,
    value: "value",
    dataset_id: null,
    created_at: at,
    updated_at: at,
    expires_at: null,
    policy: "persist",
    ...changes,
  };
}

/** Where readings find their end. */
const ENDS = "ends";
let ends = 0;

/** All events behind a place, up to now. */
export async function eventsAfter(
  { source, documents }: Pick<WatchedCollection, "source" | "documents">,
  point: HistoryPoint,
  previous = true,
): Promise<ReadEvent[]> {
  const end = `end ${(ends += 1)}`;
  await documents.insertOne(keyDocument(end, { store_name: ENDS }));
  const events: ReadEvent[] = [];
  for await (const { changes } of source.read(point, { previous }, AbortSignal.timeout(20_000))) {
    for (const change of changes) {
      if (change.storeName !== ENDS) events.push(...eventsOf(change));
      else if (change.key === end) return events;
    }
  }
  return events;
}

/** A reading in the background, with the batches that it has had so far. */
export interface Following {
  readonly batches: readonly ChangeBatch[];
  readonly events: readonly ReadEvent[];
  /** Settles when the reading has ended, with its error. */
  readonly ended: Promise<unknown>;
  stop(): void;
}

/** Reads on and on; ended with the test. */
export function follow(source: ChangeSource, point: HistoryPoint, previous = true): Following {
  const controller = new AbortController();
  const batches: ChangeBatch[] = [];
  const events: ReadEvent[] = [];
  const run = async (): Promise<unknown> => {
    try {
      for await (const batch of source.read(point, { previous }, controller.signal)) {
        batches.push(batch);
        for (const change of batch.changes) if (change.storeName !== ENDS) events.push(...eventsOf(change));
      }
      return undefined;
    } catch (error) {
      return error;
    }
  };
  const stop = (): void => controller.abort(new Error("the test needs it no more"));
  onTestFinished(stop);
  return { batches, events, ended: run(), stop };
}
