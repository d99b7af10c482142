import { setTimeout as delay } from "node:timers/promises";
import { type Db, type MongoClient, type MongoClientOptions, ObjectId, ReadConcern } from "mongodb";
import type { CallOptions } from "../../store/engine.js";
import type { Reason, StoreError } from "../../store/errors.js";
import { DEFAULT_COLLECTION, DEFAULT_DATABASE } from "../../store/limits.js";
import { CallQueue } from "./call-queue.js";
import { type ClientSettings, clientOf, MAX_TIME_MS } from "./client-settings.js";
import { connectClient } from "./connect-client.js";
import {
  type Access,
  CODES,
  closing,
  databaseBusy,
  databaseUnreachable,
  isTransient,
  serverCode,
  translate,
} from "./errors.js";
import { IndexHints } from "./index-hints.js";
import { Reigns } from "./reigns.js";
import { TopologyWatch } from "./topology-watch.js";
import { hostsOf } from "./unreachable-reason.js";
import { untilAborted } from "./until-aborted.js";

/** What the connection tells its operator. */
export type MongoEvent =
  | { readonly level: "info" | "warn" | "error"; readonly message: string; readonly cause?: unknown }
  /** Whether calls can be served has changed. */
  | { readonly serving: boolean; readonly message: string };

/** What bounds a driver call. */
export interface Limits {
  /** How long the server may work on one command, in milliseconds: to be given to each as its maxTimeMS. */
  readonly maxTimeMS: number;
  /**
   * Aborts when the caller is gone. To be given to reads that may take long, so that the server ends them: the
   * driver closes the connection of a call that is aborted.
   */
  readonly signal: AbortSignal | undefined;
}

/** How to connect. */
export interface ConnectOptions {
  /** How long to wait for a primary, and until all is prepared, in milliseconds. @default for ever */
  readonly timeoutMs?: number;
  /** Ends the attempt; connect() then throws its reason. */
  readonly signal?: AbortSignal;
  /** Runs when a primary is there, before any call is let through. */
  readonly prepare?: () => Promise<void>;
}

/** The engine's connection to MongoDB: one pool, whose primary it follows. */
export interface MongoConnection {
  readonly client: MongoClient;
  /** Indexes that calls name. */
  readonly hints: IndexHints;
  /**
   * The database, with read concern majority (local on a standalone) and write concern majority with journal. Throws
   * before the connection is made.
   */
  readonly db: Db;
  /** Whether there are retryable writes: a replica set or a sharded cluster, no standalone. Known once connected. */
  readonly replicated: boolean;
  /** Whether it is a sharded cluster. Known once connected. */
  readonly sharded: boolean;
  /**
   * Aborts soon after the primary of now is lost: for every driver call, since the driver may wait for ever for one
   * that was lost with it.
   */
  readonly lost: AbortSignal;
  /** Resolves when reads see all that former primaries acknowledged. For reads that are made again within one run. */
  confirmed(): Promise<void>;
  /**
   * Connects, waits for a primary, checks the server and prepares. Meanwhile, calls are refused. After a failure the
   * connection can only be closed.
   *
   * @throws StoreError DATABASE_UNREACHABLE if there is no primary in time, DATABASE_UNUSABLE if waiting is useless:
   *   the user is refused, the server is too old, or the URI names one member of several
   */
  connect(options?: ConnectOptions): Promise<void>;
  /**
   * Runs driver calls on behalf of one caller, or of several who ask together. As many as the pool has connections
   * run at once, the rest wait in a queue, which they leave when their signal aborts. While a new primary is
   * elected, calls wait for it; if that takes too long, they are refused at once. Reads that lost their server are
   * made again, and so are calls that are refused because an index that they name is gone. The caller is answered as
   * soon as its signal aborts, even if the driver call goes on.
   *
   * @param work one driver call, or several of which the last alone writes: the error's outcome is that of the last
   * @throws StoreError translated from the driver's, with an outcome if `access` is "write"; or the signal's reason
   */
  run<T>(options: CallOptions | undefined, access: Access, work: (limits: Limits) => Promise<T>): Promise<T>;
  /** Closes all connections: calls that run fail with SHUTTING_DOWN. Idempotent. */
  close(): Promise<void>;
}

/** What a connection is made of. */
export interface MongoConnectionOptions {
  /** `mongodb://…` or `mongodb+srv://…`; its path names the database. @default database execution_store */
  readonly uri: string;
  /** Hears what an operator may want to know. @default nobody */
  readonly onEvent?: (event: MongoEvent) => void;
  /** Options of the driver that win over the URI's. @default none */
  readonly overrides?: MongoClientOptions;
}

/** How many calls may wait for their turn, beyond those that run. */
const MAX_WAITING = 4_096;
/** What the operator can mend, or wants to know. */
const TOLD: ReadonlySet<Reason> = new Set([
  "DATABASE_UNREACHABLE",
  "DATABASE_PERMISSION_DENIED",
  "STORAGE_FULL",
]);
/** How long after one of them the next of its kind is kept back, in milliseconds. */
const TELL_INTERVAL_MS = 10_000;
/** How long closing may take, in milliseconds. */
const CLOSE_WITHIN_MS = 2_000;
/** How long a new primary may take to show that it is one, in milliseconds. */
const CONFIRM_MS = 5_000;
/** How often a read that lost its server is made again. */
const MAX_REPEATS = 4;
/** The pause before a repetition, times its number, in milliseconds. */
const REPEAT_PAUSE_MS = 50;

/**
 * Makes a connection, without connecting.
 *
 * @throws StoreError DATABASE_URI_INVALID; its message follows the name of the option that gave the URI
 */
export function createMongoConnection(options: MongoConnectionOptions): MongoConnection {
  const settings = clientOf(options.uri, DEFAULT_DATABASE, options.overrides);
  return new Connection(settings, options.onEvent ?? (() => undefined));
}

class Connection implements MongoConnection {
  readonly client: MongoClient;
  readonly hints = new IndexHints();
  readonly #settings: ClientSettings;
  readonly #onEvent: (event: MongoEvent) => void;
  readonly #watch: TopologyWatch;
  readonly #reigns: Reigns;
  readonly #queue: CallQueue;
  #db: Db | undefined;
  #replicated = false;
  #sharded = false;
  #open = false;
  readonly #closed = new AbortController();
  #closing: Promise<void> | undefined;
  /** When a fault of this kind was last told of, by performance.now(). */
  readonly #toldAt = new Map<string, number>();

  constructor(settings: ClientSettings, onEvent: (event: MongoEvent) => void) {
    this.client = settings.client;
    this.#settings = settings;
    this.#onEvent = onEvent;
    this.#watch = new TopologyWatch(settings.client);
    this.#reigns = new Reigns(this.#watch, (signal) => this.#askPrimary(signal));
    this.#queue = new CallQueue(settings.poolSize, MAX_WAITING);
  }

  get db(): Db {
    if (this.#db === undefined) throw databaseUnreachable("write", "NOT_APPLIED");
    return this.#db;
  }

  get replicated(): boolean {
    return this.#replicated;
  }

  get sharded(): boolean {
    return this.#sharded;
  }

  get lost(): AbortSignal {
    return this.#reigns.lost;
  }

  async confirmed(): Promise<void> {
    await this.#reigns.confirmation();
  }

  async connect(options: ConnectOptions = {}): Promise<void> {
    const start = { client: this.client, watch: this.#watch, onEvent: this.#onEvent };
    const ends = [this.#closed.signal, ...(options.signal === undefined ? [] : [options.signal])];
    const end = AbortSignal.any(ends);
    await connectClient(start, {
      ...options,
      signal: end,
      prepare: async ({ replicated, sharded }) => {
        this.#replicated = replicated;
        this.#sharded = sharded;
        this.#db = this.client.db(this.#settings.database, {
          readPreference: "primary",
          readConcern: new ReadConcern(replicated ? "majority" : "local"),
          writeConcern: { w: "majority", journal: true },
        });
        await options.prepare?.();
      },
    });
    end.throwIfAborted();
    this.#open = true;
    const hosts = hostsOf(this.client.options);
    this.#onEvent({ serving: true, message: `connected to MongoDB at ${hosts}` });
    this.#watch.report(
      () =>
        this.#onEvent({
          serving: false,
          message: `MongoDB is away: ${this.#watch.state.reason ?? "no server answers"}`,
        }),
      () =>
        this.#onEvent({ serving: true, message: `MongoDB is back at ${this.#watch.state.primary?.address}` }),
    );
  }

  async run<T>(
    options: CallOptions | undefined,
    access: Access,
    work: (limits: Limits) => Promise<T>,
  ): Promise<T> {
    const signal = options?.signal;
    const deadline = performance.now() + MAX_TIME_MS;
    for (let attempt = 1; ; attempt += 1) {
      await this.#begin(access, signal, deadline);
      const { losses } = this.hints;
      try {
        return await this.#work(access, work, signal, deadline);
      } catch (error) {
        // Also where the error came first: an aborted call fails in many ways.
        if (signal?.aborted === true) throw signal.reason;
        const translated = translate(error, access);
        if (this.#closing !== undefined) throw duringClose(translated, access);
        this.#tell(translated);
        const again = this.#isHintGone(error, losses) || (access === "read" && isTransient(error));
        if (!again || attempt > MAX_REPEATS) throw translated;
      }
      await delay(attempt * REPEAT_PAUSE_MS, undefined, signal === undefined ? {} : { signal }).catch(() =>
        signal?.throwIfAborted(),
      );
    }
  }

  /** Whether a call may have been refused, before it did anything, for an index that it named. */
  #isHintGone(error: unknown, lossesBefore: number): boolean {
    if (serverCode(error) !== CODES.badValue) return false;
    if (this.hints.losses === lossesBefore) this.hints.lose();
    return this.hints.losses !== lossesBefore;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#open = false;
    this.#closed.abort(closing("read", "NOT_APPLIED"));
    this.#watch.close();
    this.#reigns.close();
    this.#queue.clear();
    // The driver takes leave of the sessions, and waits for a server that may be gone.
    await Promise.race([this.client.close(), delay(CLOSE_WITHIN_MS, undefined, { ref: false })]);
  }

  /** Tells the operator of what callers hear, once in a while: of thousands of calls that fail alike, one is enough. */
  #tell({ reason, message, cause }: StoreError): void {
    if (!TOLD.has(reason)) return;
    const now = performance.now();
    if (now - (this.#toldAt.get(reason) ?? Number.NEGATIVE_INFINITY) < TELL_INTERVAL_MS) return;
    this.#toldAt.set(reason, now);
    this.#onEvent({ level: "warn", message: `calls fail: ${message}`, cause });
  }

  /** Resolves when the caller has its turn and there is a primary. */
  async #begin(access: Access, signal: AbortSignal | undefined, deadline: number): Promise<void> {
    this.#check(access, signal);
    if (!this.#queue.tryEnter()) {
      const entered = await this.#queue.enter(deadline - performance.now(), signal);
      if (!entered) {
        this.#check(access, signal);
        throw databaseBusy(access);
      }
    }
    try {
      this.#check(access, signal);
      if (this.#watch.state.primary === undefined) await this.#awaitPrimary(access, signal);
      const confirmation = this.#reigns.confirmation();
      if (confirmation !== undefined) await this.#awaitConfirmation(confirmation, access, signal);
    } catch (error) {
      this.#queue.release();
      throw error;
    }
  }

  #check(access: Access, signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    if (this.#open) return;
    if (this.#closing !== undefined) throw closing(access, "NOT_APPLIED");
    throw databaseUnreachable(access, "NOT_APPLIED");
  }

  /** Who comes while an election may still be under way waits for it; later, nobody. */
  async #awaitPrimary(access: Access, signal: AbortSignal | undefined): Promise<void> {
    const patience = this.client.options.serverSelectionTimeoutMS - this.#watch.lostForMs;
    const found = patience > 0 && (await this.#watch.primaryWithin(patience, signal));
    this.#check(access, signal);
    if (!found) throw databaseUnreachable(access, "NOT_APPLIED");
  }

  async #awaitConfirmation(
    confirmation: Promise<void>,
    access: Access,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    try {
      await untilAborted(confirmation, signal);
    } catch (error) {
      signal?.throwIfAborted();
      this.#check(access, signal);
      throw databaseUnreachable(access, "NOT_APPLIED", error);
    }
  }

  /** A read that only a primary of now can answer; what it finds does not matter. */
  async #askPrimary(signal: AbortSignal): Promise<void> {
    const find = {
      readConcern: new ReadConcern("linearizable"),
      maxTimeMS: CONFIRM_MS,
      signal,
    };
    try {
      await this.db.collection(DEFAULT_COLLECTION).findOne({ _id: new ObjectId() }, find);
    } catch (error) {
      // Who may not ask has to do without.
      if (serverCode(error) !== CODES.unauthorized) throw error;
    }
  }

  /** The caller's turn ends when the driver is done, however early the caller leaves. */
  #work<T>(
    access: Access,
    work: (limits: Limits) => Promise<T>,
    signal: AbortSignal | undefined,
    deadline: number,
  ): Promise<T> {
    const maxTimeMS = Math.max(1, Math.round(deadline - performance.now()));
    // Writes follow the primary themselves: they know what may be done again.
    const lost = access === "read" ? this.#reigns.lost : undefined;
    const turn = untilAborted(work({ maxTimeMS, signal }), lost).finally(() => this.#queue.release());
    return untilAborted(turn, signal);
  }
}

/** What closing cuts off fails in many ways. */
function duringClose(error: StoreError, access: Access): StoreError {
  const cutOff = error.kind === "UNAVAILABLE" || error.kind === "INTERNAL";
  return cutOff ? closing(access, error.outcome ?? "UNKNOWN", error.cause) : error;
}
