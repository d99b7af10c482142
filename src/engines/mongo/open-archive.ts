import type { Archive } from "../../store/transfer.js";
import { openCollection } from "./collection.js";
import { type ConnectOptions, createMongoConnection, type MongoEvent } from "./connection.js";
import { ensureIndexes } from "./indexes.js";
import { createArchive } from "./transfer.js";

/** How to reach a MongoDB whose documents are copied. */
export interface MongoArchiveOptions extends Pick<ConnectOptions, "timeoutMs" | "signal"> {
  readonly uri: string;
  /** The collections to copy. */
  readonly collections: readonly string[];
  /** Whether documents will be written: the indexes are made then, else nothing is changed. */
  readonly write: boolean;
  /** Hears what an operator may want to know. */
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
  const connection = createMongoConnection({ uri, onEvent });
  const prepare = async (): Promise<void> => {
    if (!write) return;
    for (const name of collections) await ensureIndexes(connection, name, onEvent);
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
