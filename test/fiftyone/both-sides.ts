import { type Db, type Document, MongoClient, type ObjectId } from "mongodb";
import { openMongoEngine } from "../../src/engines/mongo/engine.js";
import { type ContextOptions, ExecutionStoreService } from "../../src/index.js";
import { createDatabase } from "../support/mongodb/test-database.js";
import { startTestServer } from "../support/test-server.js";
import { FiftyOne, type FiftyOneOptions } from "./fiftyone.js";

/** Enough for the virtual environment to be made before the first test. */
export const SETUP_LIMIT_MS = 1_200_000;
/** The collection of both sides where none is named. */
export const DEFAULT_COLLECTION = "execution_store";
/** The fields of every document, in any order. */
export const FIELDS = [
  "_id",
  "created_at",
  "dataset_id",
  "expires_at",
  "key",
  "policy",
  "store_name",
  "updated_at",
  "value",
];

/** A context and collection, for either side. */
export interface Place {
  /** Undefined: stores tied to no dataset. */
  readonly datasetId: ObjectId | undefined;
  /** Undefined: the default one. */
  readonly collection?: string;
}

/** A document of FiftyOne's models, as bridge.py answers it. */
export interface PythonDocument {
  readonly store_name: string;
  readonly key: string;
  readonly value: unknown;
  readonly dataset_id: ObjectId | null;
  readonly created_at: Date;
  readonly updated_at: Date | null;
  readonly expires_at: Date | null;
  readonly policy: string;
}

/** FiftyOne and this service on one database. */
export interface BothSides {
  readonly fiftyOne: FiftyOne;
  /** The address of the server. */
  readonly address: string;
  /** A client of the service in this place; closed with all. */
  serviceIn(place: Place): ExecutionStoreService;
  /** Calls a method of FiftyOne's ExecutionStoreService in this place. */
  python<T = unknown>(place: Place, method: string, ...args: readonly unknown[]): Promise<T>;
  /** Calls a command of bridge.py in this place. */
  command<T = unknown>(place: Place, name: string, parameters: Readonly<Record<string, unknown>>): Promise<T>;
  /** What is in the collection, by neither side's code. */
  documents(filter: Document, collection?: string): Promise<Document[]>;
  readonly database: Db;
  /** Of the database. */
  readonly uri: string;
  close(): Promise<void>;
}

/** How the two sides are opened. */
export interface BothSidesOptions extends Pick<FiftyOneOptions, "variables"> {
  /** The collections of the service besides the default one. @default none */
  readonly collections?: readonly string[];
  /** @default a new database in the MongoDB of the tests */
  readonly database?: { readonly uri: string; readonly name: string };
}

/** The place as the parameters of bridge.py. */
function contextOf({ datasetId, collection }: Place): Readonly<Record<string, unknown>> {
  return { dataset_id: datasetId ?? null, ...(collection !== undefined && { collection_name: collection }) };
}

/** The place as the options of the client. */
function optionsOf({ datasetId, collection }: Place): ContextOptions {
  return { datasetId, collectionName: collection };
}

/** Opens a server over a MongoDB, and a FiftyOne on the same database. */
export async function openBothSides(options: BothSidesOptions = {}): Promise<BothSides> {
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) await closer();
  };
  try {
    return { ...(await open(options, closers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function newDatabase(closers: (() => Promise<void>)[]): Promise<{ uri: string; name: string }> {
  const created = await createDatabase();
  closers.push(() => created.drop());
  return created;
}

async function open(
  { collections: more = [], database, variables = {} }: BothSidesOptions,
  closers: (() => Promise<void>)[],
): Promise<Omit<BothSides, "close">> {
  const { uri, name } = database ?? (await newDatabase(closers));
  const client = await new MongoClient(uri).connect();
  closers.push(() => client.close());
  const collections = [DEFAULT_COLLECTION, ...more];
  const engine = await openMongoEngine({ uri, collections });
  const server = await startTestServer({ engine, collections });
  closers.push(() => server.close());
  const service = new ExecutionStoreService({ address: server.address });
  closers.push(() => service.close());
  const fiftyOne = await FiftyOne.start({ uri, name, variables });
  closers.push(() => fiftyOne.close());
  return {
    fiftyOne,
    address: server.address,
    database: client.db(name),
    uri,
    serviceIn: (place) => service.withContext(optionsOf(place)),
    python: (place, method, ...args) => fiftyOne.call("service", { method, args, ...contextOf(place) }),
    command: (place, command, parameters) => fiftyOne.call(command, { ...parameters, ...contextOf(place) }),
    documents: (filter, collection = DEFAULT_COLLECTION) =>
      client.db(name).collection(collection).find(filter).toArray(),
  };
}
