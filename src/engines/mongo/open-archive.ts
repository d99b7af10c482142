import { StoreError } from "../../store/errors.js";
import type { Archive } from "../../store/transfer.js";
import { openCollection } from "./collection.js";
import {
  type ConnectOptions,
  createMongoConnection,
  type MongoConnection,
  type MongoEvent,
} from "./connection.js";
import { CODES, serverCode, translate } from "./errors.js";
import { ensureIndexes } from "./indexes.js";
import { createArchive } from "./transfer.js";
import { hostsOf } from "./unreachable-reason.js";

/** How to reach a MongoDB whose documents are copied. */
export interface MongoArchiveOptions extends Pick<ConnectOptions, "timeoutMs" | "signal"> {
  readonly uri: string;
  /** The collections to copy. */
  readonly collections: readonly string[];
  /** Whether documents will be written: the indexes are made then, else nothing is changed. */
  readonly write: boolean;
  /** Hears which indexes cannot be made. What befalls the connection ends in an error, which says it. */
  readonly onEvent: (event: MongoEvent) => void;
}

/** The documents of a MongoDB, until it is closed. */
export interface MongoArchive {
  readonly archive: Archive;
  close(): Promise<void>;
}

/**
 * Connects for a copy alone: a database that is copied from is only read, so that the role read is enough.
 *
 * @throws StoreError DATABASE_URI_INVALID, whose message follows the name of the option that gave the URI;
 *   DATABASE_UNREACHABLE, DATABASE_UNUSABLE, or the signal's reason
 */
export async function openMongoArchive(options: MongoArchiveOptions): Promise<MongoArchive> {
  const { uri, collections, write, onEvent, timeoutMs, signal } = options;
  const connection = createMongoConnection({ uri });
  const prepare = async (): Promise<void> => {
    for (const name of collections) {
      if (write) await ensureIndexes(connection, name, onEvent);
      else await checkReadable(connection, name);
    }
  };
  try {
    await connection.connect({
      prepare,
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(signal !== undefined && { signal }),
    });
  } catch (error) {
    await connection.close();
    throw error;
  }
  const archive = createArchive((name) => openCollection(connection, name));
  return { archive, close: () => connection.close() };
}

/** Throws DATABASE_UNUSABLE where this user may not read. */
async function checkReadable({ client, db }: MongoConnection, collection: string): Promise<void> {
  try {
    await db.collection(collection).findOne({}, { projection: { _id: 1 } });
  } catch (error) {
    if (serverCode(error) !== CODES.unauthorized) throw translate(error, "read");
    const database = JSON.stringify(db.databaseName);
    const problem =
      client.options.credentials === undefined
        ? `wants a user for the database ${database}; name one in the URI`
        : `does not let this user read the database ${database}; give it the role read there`;
    throw new StoreError("DATABASE_UNUSABLE", `MongoDB at ${hostsOf(client.options)} ${problem}`);
  }
}
