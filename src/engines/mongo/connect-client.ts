import { setTimeout as delay } from "node:timers/promises";
import {
  type MongoClient,
  MongoCompatibilityError,
  type MongoOptions,
  MongoServerSelectionError,
} from "mongodb";
import { isStoreError, StoreError } from "../../store/errors.js";
import type { ConnectOptions, MongoEvent } from "./connection.js";
import { RETRY_AFTER_MS } from "./errors.js";
import { lastingProblem } from "./lasting-problem.js";
import { checkServer, tooOld } from "./server-check.js";
import type { TopologyWatch } from "./topology-watch.js";
import { failureReason, hostsOf } from "./unreachable-reason.js";
import { untilAborted } from "./until-aborted.js";

/** How often a wait that goes on is told of, in milliseconds. */
const REMINDER_MS = 30_000;
/** Between two attempts, in milliseconds: some fail at once, such as those to look up a name. */
const PAUSE_MS = 1_000;

/** What takes long on a large collection that has no indexes yet. */
const PREPARING = "the indexes that calls need are being looked for and built";

/** Who connects, and who hears of it. */
export interface Start {
  readonly client: MongoClient;
  readonly watch: TopologyWatch;
  readonly onEvent: (event: MongoEvent) => void;
}

/** What a connected client has found; see checkServer(). */
type Connected = ReturnType<typeof checkServer>;

/** How to connect; see ConnectOptions. */
export interface ClientOptions extends Pick<ConnectOptions, "timeoutMs" | "signal"> {
  /** Runs when a primary is there. */
  readonly prepare: (connected: Connected) => Promise<void>;
}

/**
 * Connects a client, checks the server, waits for a primary and prepares, telling at once and then every half minute
 * what it waits for.
 *
 * @throws StoreError DATABASE_UNREACHABLE if all that is not done in time, DATABASE_UNUSABLE if waiting is useless; or
 *   the signal's reason
 */
export async function connectClient(
  start: Start,
  { timeoutMs, signal, prepare }: ClientOptions,
): Promise<void> {
  const hosts = hostsOf(start.client.options);
  const log = new WaitingLog(hosts, start.onEvent);
  const failed = new AbortController();
  const unlisten = start.watch.listen(() => {
    const { options } = start.client;
    const useless = start.watch.servers
      .map(({ error }) => uselessness(error, options))
      .find((found) => found !== undefined);
    if (useless !== undefined) failed.abort(useless);
    if (failed.signal.aborted) return;
    log.tell(start.watch.state.reason ?? log.fallback);
  });
  const expire = (): void => failed.abort(notInTime(hosts, timeoutMs ?? 0, log));
  const timer = timeoutMs === undefined ? undefined : setTimeout(expire, timeoutMs);
  const end = signal === undefined ? failed.signal : AbortSignal.any([failed.signal, signal]);
  try {
    const connected = await attempt(start, log, end);
    log.prepare();
    await untilAborted(prepare(connected), end);
  } catch (error) {
    // Whatever was under way then fails with another error, or with one that wraps the reason.
    end.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
    unlisten();
    log.stop();
  }
}

function notInTime(hosts: string, timeoutMs: number, { fallback, reason }: WaitingLog): StoreError {
  const what = fallback === undefined ? "could not be reached" : "was not ready";
  const message = `MongoDB at ${hosts} ${what} within ${timeoutMs / 1000} s: ${reason}`;
  return new StoreError("DATABASE_UNREACHABLE", message, { retryAfterMs: RETRY_AFTER_MS });
}

/** Attempts until one succeeds, or there is no use in more. */
async function attempt(start: Start, log: WaitingLog, end: AbortSignal): Promise<Connected> {
  const hosts = hostsOf(start.client.options);
  for (;;) {
    try {
      return await untilAborted(connectOnce(start), end);
    } catch (error) {
      end.throwIfAborted();
      const useless = uselessness(error, start.client.options);
      if (useless !== undefined) throw useless;
      // Of servers that were found the watch knows more.
      if (!(error instanceof MongoServerSelectionError)) log.tell(failureReason(hosts, error));
    }
    await delay(PAUSE_MS, undefined, { signal: end });
  }
}

async function connectOnce({ client, watch, onEvent }: Start): Promise<Connected> {
  await client.connect();
  // Only a command shows some of what is wrong: compressors, for one.
  if (watch.state.primary !== undefined) await client.db("admin").command({ ping: 1 });
  // With directConnection the driver is content with a server that is no primary.
  const server = watch.state.primary ?? watch.servers[0];
  if (server === undefined) throw new Error("no server is left");
  const connected = checkServer(client, server, onEvent);
  if (watch.state.primary === undefined) await watch.primaryWithin(Infinity, undefined);
  return connected;
}

/** What more attempts will not mend, in a sentence for the operator; undefined if they may. */
function uselessness(error: unknown, options: MongoOptions): StoreError | undefined {
  if (isStoreError(error)) return error;
  // The driver itself refuses servers whose wire version is older still.
  if (isIncompatible(error)) return tooOld(hostsOf(options), undefined);
  const problem = lastingProblem(error, options);
  return problem === undefined ? undefined : new StoreError("DATABASE_UNUSABLE", problem, { cause: error });
}

function isIncompatible(error: unknown): boolean {
  if (error instanceof MongoCompatibilityError) return true;
  return error instanceof Error && error.cause instanceof MongoCompatibilityError;
}

/** Says what is waited for when that changes, and from time to time. */
class WaitingLog {
  reason = "no server has answered yet";
  /** What is waited for while there is a primary. */
  fallback: string | undefined;
  readonly #hosts: string;
  readonly #onEvent: (event: MongoEvent) => void;
  readonly #timer: NodeJS.Timeout;

  constructor(hosts: string, onEvent: (event: MongoEvent) => void) {
    this.#hosts = hosts;
    this.#onEvent = onEvent;
    this.#timer = setInterval(() => this.#say(), REMINDER_MS);
  }

  tell(reason: string | undefined): void {
    if (reason === undefined || reason === this.reason) return;
    this.reason = reason;
    this.#say();
  }

  /** There is a primary now; what is left is usually done at once, so nothing is said yet. */
  prepare(): void {
    this.fallback = PREPARING;
    this.reason = PREPARING;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #say(): void {
    this.#onEvent({ level: "warn", message: `waiting for MongoDB at ${this.#hosts}: ${this.reason}` });
  }
}
