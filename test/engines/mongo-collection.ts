import { type Collection, type Document, MongoClient, ObjectId } from "mongodb";
import { type MongoCollection, openCollection } from "../../src/engines/mongo/collection.js";
import { createMongoConnection, type MongoConnection } from "../../src/engines/mongo/connection.js";
import {
  EXPIRY_INDEX,
  LIST_INDEX,
  OTHER_INDEXES,
  specOf,
  UNIQUE_INDEX,
} from "../../src/engines/mongo/index-definitions.js";
import { createDatabase } from "../support/mongodb/test-database.js";

/** A collection as the engine's parts see it, without an engine: nothing removes what has expired. */
export interface BareCollection {
  readonly uri: string;
  readonly connection: MongoConnection;
  readonly collection: MongoCollection;
  /** The same collection through a driver of its own. */
  readonly documents: Collection;
  close(): Promise<void>;
}

/** Makes a collection with the engine's indexes, of which the one by expiry removes nothing by itself. */
export async function openBareCollection(name: string): Promise<BareCollection> {
  const database = await createDatabase();
  const client = await MongoClient.connect(database.uri);
  const documents = client.db().collection(name);
  const specs = [UNIQUE_INDEX, ...OTHER_INDEXES].map((definition) => {
    const { expireAfterSeconds: _, ...spec } = specOf(definition);
    return spec;
  });
  await client.db().command({ createIndexes: name, indexes: specs });
  const uri = new URL(database.uri);
  uri.searchParams.set("monitorCommands", "true");
  const connection = createMongoConnection({ uri: uri.href });
  await connection.connect();
  const indexes = new Map([LIST_INDEX, EXPIRY_INDEX].map((index) => [index, index]));
  const collection = openCollection(connection, name, indexes);
  return {
    uri: database.uri,
    connection,
    collection,
    documents,
    close: async () => {
      await connection.close();
      await client.close();
      await database.drop();
    },
  };
}

/** A document as FiftyOne writes it, or with changes to that. */
export function fiftyOneDocument(
  datasetId: string,
  storeName: string,
  key: string,
  changes: Document = {},
): Document {
  const now = new Date(Date.now() - 60_000);
  return {
    store_name: storeName,
    key,
    value: "value",
    dataset_id: datasetId === "" ? null : ObjectId.createFromHexString(datasetId),
    created_at: now,
    updated_at: now,
    expires_at: null,
    policy: "persist",
    ...changes,
  };
}

/** Changes that make a document one that has expired. */
export const EXPIRED_CHANGES: Document = { expires_at: new Date(Date.now() - 30_000), policy: "evict" };

/** Inserts documents, a few thousand at a time. */
export async function insertAll(documents: Collection, all: Iterable<Document>): Promise<void> {
  let batch: Document[] = [];
  for (const document of all) {
    batch.push(document);
    if (batch.length < 5_000) continue;
    await documents.insertMany(batch, { ordered: false });
    batch = [];
  }
  if (batch.length > 0) await documents.insertMany(batch, { ordered: false });
}
