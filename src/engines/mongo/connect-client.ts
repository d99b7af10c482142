import { setTimeout as delay } from "node:timers/promises";
import {
  type MongoClient,
  MongoCompatibilityError,
  MongoServerSelectionError,
  type ServerDescription,
} from "mongodb";
import { isStoreError, StoreError } from "../../store/errors.js";
import type { ConnectOptions, MongoEvent } from "./connection.js";
import { CODES, RETRY_AFTER_MS, serverCode } from "./errors.js";
import { checkServer, tooOld } from "./server-check.js";
import type { TopologyWatch } from "./topology-watch.js";
import { failureReason, hostsOf } from "./unreachable-reason.js";
import { untilAborted } from "./until-aborted.js";

/** How often a wait that goes on is told of, in milliseconds. */
const REMINDER_MS = 30_000;
/** Between two attempts, in milliseconds: some fail at once, such as those to look up a name. */
const PAUSE_MS = 1_000;

/** Who connects, and who hears of it. */
export interface Start {
  readonly client: MongoClient;
  readonly watch: TopologyWatch;
  readonly onEvent: (event: MongoEvent) => void;
}

/** What a connected client has found; see checkServer(). */
export type Connected = ReturnType<typeof checkServer>;

/**
 * Connects a client, checks the server and waits for a primary, telling at once and then every half minute what it
 * waits for.
 *
 * @throws StoreError DATABASE_UNREACHABLE if there is none in time, DATABASE_UNUSABLE if waiting is useless; or the
 *   signal's reason
 */
export async function connectClient(start: Start, { timeoutMs, signal }: ConnectOptions): Promise<Connected> {
  const hosts = hostsOf(start.client.options);
  const log = new WaitingLog(hosts, start.onEvent);
  const failed = new AbortController();
  const unlisten = start.watch.listen(() => {
    if (start.watch.servers.some(isIncompatible)) failed.abort(tooOld(hosts, undefined));
    log.tell(start.watch.state.reason);
  });
  const expire = (): void => failed.abort(notInTime(hosts, timeoutMs ?? 0, log.reason));
  const timer = timeoutMs === undefined ? undefined : setTimeout(expire, timeoutMs);
  const end = signal === undefined ? failed.signal : AbortSignal.any([failed.signal, signal]);
  try {
    return await attempt(start, log, end);
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

function notInTime(hosts: string, timeoutMs: number, reason: string): StoreError {
  const message = `MongoDB at ${hosts} could not be reached within ${timeoutMs / 1000} s: ${reason}`;
  return new StoreError("DATABASE_UNREACHABLE", message, { retryAfterMs: RETRY_AFTER_MS });
}

/** The driver itself refuses servers that are older still. */
function isIncompatible({ error }: ServerDescription): boolean {
  return error instanceof MongoCompatibilityError || error?.cause instanceof MongoCompatibilityError;
}

/** Attempts until one succeeds, or there is no use in more. */
async function attempt(start: Start, log: WaitingLog, end: AbortSignal): Promise<Connected> {
  const hosts = hostsOf(start.client.options);
  for (;;) {
    try {
      return await untilAborted(connectOnce(start), end);
    } catch (error) {
      end.throwIfAborted();
      throwIfUseless(error, hosts);
      // Of servers that were found the watch knows more.
      if (!(error instanceof MongoServerSelectionError)) log.tell(failureReason(hosts, error));
    }
    await delay(PAUSE_MS, undefined, { signal: end });
  }
}

async function connectOnce({ client, watch, onEvent }: Start): Promise<Connected> {
  await client.connect();
  // With directConnection the driver is content with a server that is no primary.
  const server = watch.state.primary ?? watch.servers[0];
  if (server === undefined) throw new Error("no server is left");
  const connected = checkServer(client, server, onEvent);
  if (watch.state.primary === undefined) await watch.primaryWithin(Infinity, undefined);
  return connected;
}

/** Throws what more attempts will not mend, in a sentence for the operator. */
function throwIfUseless(error: unknown, hosts: string): void {
  if (isStoreError(error)) throw error;
  if (serverCode(error) === CODES.authenticationFailed) {
    throw new StoreError(
      "DATABASE_UNUSABLE",
      `MongoDB at ${hosts} refuses the user or its password; check both, and authSource, in the URI`,
      { cause: error },
    );
  }
  if (error instanceof MongoCompatibilityError) throw tooOld(hosts, undefined);
}

/** Says what is waited for when that changes, and from time to time. */
class WaitingLog {
  reason = "no server has answered yet";
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

  stop(): void {
    clearInterval(this.#timer);
  }

  #say(): void {
    this.#onEvent({ level: "warn", message: `waiting for MongoDB at ${this.#hosts}: ${this.reason}` });
  }
}
