import { statSync } from "node:fs";
import { dirname } from "node:path";
import type { Logger } from "pino";
import { ConfigError } from "./config/config-error.js";
import { type LmdbLocation, type MongodbLocation, shownStore } from "./config/store-uri.js";
import { systemCode } from "./config/system-code.js";
import type { ServeConfig } from "./config.js";
import type { MongoEvent } from "./engines/mongo/connection.js";
import { createGrpcServer, type GrpcServer } from "./grpc/server.js";
import { openProblem } from "./open-problem.js";
import type { WatchableEngine } from "./store/engine.js";
import { isStoreError } from "./store/errors.js";
import { DEFAULT_COLLECTION } from "./store/limits.js";

/** A running server. */
export interface App {
  /** Where it listens, with the real port in place of 0, in the order of the configuration; not all if stopped early. */
  readonly addresses: readonly string[];
  /**
   * Reports NOT_SERVING, waits for the drain delay unless the start was cut short, lets calls in flight finish
   * within the grace time, then closes the engine. Idempotent.
   */
  stop(): Promise<void>;
}

/** An engine that is open, or can be: its store may have to be waited for. */
interface StartedEngine {
  readonly engine: WatchableEngine;
  /** Waits until calls can be served; undefined if they can be from the first. */
  readonly connect?: (stopping: AbortSignal) => Promise<void>;
}

/** What the engine tells of, and who hears it. */
interface Hearing {
  readonly logger: Logger;
  readonly setServing: (serving: boolean) => void;
}

/**
 * Opens the engine and listens. A store that has to be waited for is connected to while the server listens already,
 * and health says NOT_SERVING. What was begun is undone if a later step fails; if `stopping` is aborted, the steps to
 * come are left out, and stop() closes what is open. Throws an Error whose message is one sentence for the user.
 */
export async function startApp(config: ServeConfig, logger: Logger, stopping: AbortSignal): Promise<App> {
  const collections = [...new Set([DEFAULT_COLLECTION, ...config.collections])];
  const hearing: Hearing = { logger, setServing: (serving) => server.setServing(serving) };
  const { engine, connect } = await openEngine(config, collections, hearing);
  const watch = {
    minProgressMs: config.watchProgressMs,
    stallMs: config.watchStallMs,
    limits: { totalBytes: config.watchBytes },
  };
  const server = createGrpcServer({ engine, collections, logger, watch, serving: connect === undefined });
  const addresses: string[] = [];
  try {
    for (const address of config.listen) {
      if (stopping.aborted) break;
      addresses.push(await listen(server, address.text));
    }
    if (connect !== undefined && !stopping.aborted) {
      logger.info({ addresses, store: shownStore(config.store) }, "listening, and connecting to the store");
      await connect(stopping);
    }
  } catch (error) {
    await server.shutdown({ drainMs: 0, graceMs: 0 });
    await engine.close();
    throw error;
  }
  // Nobody was told of a server that stops while it starts, so there is nobody to wait for.
  const drainMs = stopping.aborted ? 0 : config.drainDelayMs;
  if (!stopping.aborted) announce(config, addresses, logger);
  return { addresses, stop: stopOnce(engine, server, drainMs, config.shutdownGraceMs) };
}

function stopOnce(
  engine: WatchableEngine,
  server: GrpcServer,
  drainMs: number,
  graceMs: number,
): () => Promise<void> {
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    await server.shutdown({ drainMs, graceMs });
    await engine.close();
  };
  return () => {
    stopped ??= stop();
    return stopped;
  };
}

function announce(config: ServeConfig, addresses: readonly string[], logger: Logger): void {
  if (config.listen.some(({ local }) => !local)) {
    logger.warn("other machines may reach this server and there is no access control");
  }
  const startupMs = Math.round(performance.now());
  logger.info({ addresses, store: shownStore(config.store), startupMs }, "serving");
}

/** Loads an engine only where it is asked for: each brings much code along. */
async function openEngine(
  config: ServeConfig,
  collections: readonly string[],
  hearing: Hearing,
): Promise<StartedEngine> {
  const { store } = config;
  return store.engine === "lmdb"
    ? { engine: await openLmdb(config, store, collections, hearing.logger) }
    : createMongo(config, store, collections, hearing);
}

async function openLmdb(
  { historyTimeMs, historyBytes }: ServeConfig,
  store: LmdbLocation,
  collections: readonly string[],
  logger: Logger,
): Promise<WatchableEngine> {
  try {
    const { openLmdbEngine } = await import("./engines/lmdb/engine.js");
    return await openLmdbEngine({
      path: store.path,
      collections,
      historyTimeMs,
      historyBytes,
      onBackgroundError: (error) => logger.error({ err: error }, "a background task of the engine failed"),
    });
  } catch (error) {
    throw new Error(openProblem(store, error, "--store"), { cause: error });
  }
}

async function createMongo(
  { storeWaitMs, mongodbImages }: ServeConfig,
  store: MongodbLocation,
  collections: readonly string[],
  { logger, setServing }: Hearing,
): Promise<StartedEngine> {
  const { createMongoEngine } = await import("./engines/mongo/engine.js");
  const onEvent = (event: MongoEvent): void => {
    if ("serving" in event) setServing(event.serving);
    logEvent(event, logger);
  };
  try {
    const engine = createMongoEngine({ uri: store.uri, collections, onEvent, images: mongodbImages });
    const timeout = storeWaitMs === undefined ? {} : { timeoutMs: storeWaitMs };
    const connect = async (signal: AbortSignal): Promise<void> => {
      await engine.connect({ ...timeout, signal }).catch((error: unknown) => {
        // Who stops the server while it waits gets no error.
        if (!signal.aborted) throw connectProblem(error);
      });
    };
    return { engine, connect };
  } catch (error) {
    if (!isStoreError(error, "DATABASE_URI_INVALID")) throw error;
    throw new ConfigError(`the store ${store.shown} ${error.message}`);
  }
}

function connectProblem(error: unknown): unknown {
  if (!isStoreError(error, "DATABASE_UNREACHABLE")) return error;
  return new Error(`${error.message}; start it, correct --store, or raise --store-wait`, { cause: error });
}

function logEvent(event: MongoEvent, logger: Logger): void {
  if ("serving" in event) logger[event.serving ? "info" : "error"]({ serving: event.serving }, event.message);
  else logger[event.level](event.cause === undefined ? {} : { err: event.cause }, event.message);
}

async function listen(
  server: { listen(address: string): Promise<string> },
  address: string,
): Promise<string> {
  try {
    return await server.listen(address);
  } catch (error) {
    throw new Error(listenProblem(address, error), { cause: error });
  }
}

function listenProblem(address: string, error: unknown): string {
  const code = systemCode(error);
  const reason = address.startsWith("unix:")
    ? socketProblem(dirname(address.slice("unix:".length)), code)
    : portProblem(code);
  if (reason !== undefined) return `cannot listen on ${address}, since ${reason}, or choose another --listen`;
  return error instanceof Error ? error.message : String(error);
}

function portProblem(code: string | undefined): string | undefined {
  if (code === "EACCES" || code === "EPERM") return "this user may not; choose a port above 1023";
  if (code === "EADDRNOTAVAIL") return "this machine has no such address; choose one that it has";
  return undefined;
}

function isMissing(folder: string): boolean {
  try {
    return statSync(folder, { throwIfNoEntry: false }) === undefined;
  } catch {
    // A folder above it may not be read: what is there is not known.
    return false;
  }
}

function socketProblem(folder: string, code: string | undefined): string | undefined {
  // Node.js reports a folder that is not there as one without permission.
  if (code === "ENOENT" || (code === "EACCES" && isMissing(folder)))
    return `the folder ${folder} does not exist; create it`;
  if (code === "ENOTDIR") return `${folder} is no folder; name one`;
  if (code === "EACCES" || code === "EPERM") {
    return `this user may not write in the folder ${folder}; give it the permission`;
  }
  if (code === "EROFS") return `the folder ${folder} is on a read-only file system; name another folder`;
  return undefined;
}
