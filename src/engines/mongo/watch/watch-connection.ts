import type { MongoClientOptions } from "mongodb";
import { createMongoConnection, type MongoConnection } from "../connection.js";
import { closing, databaseUnreachable } from "../errors.js";
import { untilAborted } from "../until-aborted.js";

/** How long the first watch waits for a primary, in ms. */
const CONNECT_WITHIN_MS = 10_000;

/** What change streams need, whatever the URI says for calls. */
const OVERRIDES: MongoClientOptions = {
  // Each open stream holds a connection nearly all the time; their number is bounded where they are opened.
  maxPoolSize: 0,
  minPoolSize: 0,
  // Streams are given up sooner, by times of their own.
  socketTimeoutMS: 90_000,
  // Of several mongos the nearest one, for every command of a cursor.
  localThresholdMS: 0,
};

/** The connection of all change streams of an engine, apart from that of its calls, so that neither waits for the other. */
export class WatchConnection {
  readonly #uri: string;
  #opened: Promise<MongoConnection> | undefined;
  readonly #closed = new AbortController();

  constructor(uri: string) {
    this.#uri = uri;
  }

  /** The connection, which is made at the first call. Throws StoreError DATABASE_UNREACHABLE, or the signal's reason. */
  open(signal: AbortSignal | undefined): Promise<MongoConnection> {
    this.#closed.signal.throwIfAborted();
    this.#opened ??= this.#connect();
    return untilAborted(this.#opened, signal);
  }

  async close(): Promise<void> {
    this.#closed.abort(closing("read", "NOT_APPLIED"));
    const connection = await this.#opened?.catch(() => undefined);
    await connection?.close();
  }

  async #connect(): Promise<MongoConnection> {
    const connection = createMongoConnection({ uri: this.#uri, overrides: OVERRIDES });
    try {
      await connection.connect({ timeoutMs: CONNECT_WITHIN_MS, signal: this.#closed.signal });
      return connection;
    } catch (error) {
      this.#opened = undefined;
      await connection.close();
      this.#closed.signal.throwIfAborted();
      throw databaseUnreachable("read", "NOT_APPLIED", error);
    }
  }
}
