import { setTimeout as delay, setImmediate } from "node:timers/promises";
import type { MongoClientOptions } from "mongodb";
import { createMongoConnection, type MongoConnection } from "../connection.js";
import { closing, databaseUnreachable } from "../errors.js";
import { untilAborted } from "../until-aborted.js";

/** How long the first watch waits for a primary, in ms. */
const CONNECT_WITHIN_MS = 10_000;

/** How long closing waits for the server to close what is open on it, in ms. */
const LET_GO_WITHIN_MS = 3_000;

/** What change streams need, whatever the URI says for calls. */
const OVERRIDES: MongoClientOptions = {
  // Each open stream holds a connection nearly all the time; their number is bounded where they are opened.
  maxPoolSize: 0,
  minPoolSize: 0,
  // Commands are given up sooner, by times of their own, of which the longest is that of a stream that goes through others'
  // changes. A server that is gone is given up by `lost`.
  socketTimeoutMS: 20 * 60_000,
  // No longer than a stream that was lost is opened again.
  serverSelectionTimeoutMS: 10_000,
  // Of several mongos the nearest one, for every command of a cursor.
  localThresholdMS: 0,
};

/** The connection of all change streams of an engine, apart from that of its calls, so that neither waits for the other. */
export class WatchConnection {
  readonly #uri: string;
  #opened: Promise<MongoConnection> | undefined;
  readonly #closed = new AbortController();
  readonly #lettingGo = new Set<Promise<void>>();

  constructor(uri: string) {
    this.#uri = uri;
  }

  /** The connection, which is made at the first call. Throws StoreError DATABASE_UNREACHABLE, or the signal's reason. */
  open(signal: AbortSignal | undefined): Promise<MongoConnection> {
    this.#closed.signal.throwIfAborted();
    this.#opened ??= this.#connect();
    return untilAborted(this.#opened, signal);
  }

  /** Closing waits for it, though not for long. */
  awaitAtClose(work: Promise<void>): void {
    this.#lettingGo.add(work);
    const end = (): void => void this.#lettingGo.delete(work);
    work.then(end, end);
  }

  /** Closes the connection; what reads from it is to be closed before. */
  async close(): Promise<void> {
    this.#closed.abort(closing("read", "NOT_APPLIED"));
    const connection = await this.#opened?.catch(() => undefined);
    // Streams that were closed just now have begun to let go then.
    await setImmediate();
    const ended = Promise.allSettled(this.#lettingGo);
    await Promise.race([ended, delay(LET_GO_WITHIN_MS, undefined, { ref: false })]);
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
