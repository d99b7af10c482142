import { setTimeout as delay } from "node:timers/promises";
import {
  createServer,
  type Server,
  type ServiceImplementation,
  type TsProtoServiceDefinition,
} from "nice-grpc";
import { StoreServiceDefinition } from "../../gen/ts/execution_store/v1/execution_store.js";
import { HealthDefinition } from "../../gen/ts/grpc/health/v1/health.js";
import type { WatchableEngine } from "../store/engine.js";
import { DEFAULT_COLLECTION, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES } from "../store/limits.js";
import { Calls, type ServedService } from "./call.js";
import { Descriptors } from "./descriptors.js";
import { HealthService } from "./health.js";
import { prepareListenAddress } from "./listen-address.js";
import { type Logger, silentLogger } from "./logger.js";
import { createReflectionServices } from "./reflection.js";
import { StoreService } from "./service.js";
import type { WatchOptions } from "./watch-keys.js";

/** What a server needs. */
export interface ServerOptions {
  /** Holds the data. It stays the caller's: close it after the server's shutdown. */
  readonly engine: WatchableEngine;
  /**
   * The collections that callers may name; the engine must serve them.
   *
   * @default ["execution_store"]
   */
  readonly collections?: readonly string[];
  /** @default none */
  readonly logger?: Logger;
  /**
   * What health says at first; see setServing().
   *
   * @default true
   */
  readonly serving?: boolean;
  /** How watches are served. */
  readonly watch?: WatchOptions;
}

/** How a server stops. */
export interface ShutdownOptions {
  /**
   * How long to go on serving after health says NOT_SERVING, so that load balancers turn away first, in
   * milliseconds.
   *
   * @default 0
   */
  readonly drainMs?: number;
  /**
   * How long calls in flight may then take to finish, in milliseconds; after it they are answered with UNAVAILABLE.
   *
   * @default 10_000
   */
  readonly graceMs?: number;
}

/** A gRPC server: StoreService, health and reflection. */
export interface GrpcServer {
  /**
   * Listens on `HOST:PORT` (port 0 for a free one) or `unix:/absolute/path`, in the clear. May be called several
   * times, for several addresses.
   *
   * @returns the address with the port that was bound
   * Throws an Error with one sentence for people if that cannot be; its `cause` is the system's error.
   */
  listen(address: string): Promise<string>;
  /** Says in health whether calls can be served, such as when a database comes or goes. Ignored once shutdown began. */
  setServing(serving: boolean): void;
  /**
   * Says NOT_SERVING, waits for `drainMs`, ends streams with UNAVAILABLE, lets calls in flight finish within
   * `graceMs`, and closes all connections. Idempotent: later calls wait for the first.
   */
  shutdown(options?: ShutdownOptions): Promise<void>;
}

/** How long the answers to abandoned calls may take to leave, in milliseconds. */
const FLUSH_MS = 250;

const CHANNEL_OPTIONS = {
  // A little more than a request may have: what is just over the limit is refused with details, not by the library.
  "grpc.max_receive_message_length": MAX_REQUEST_BYTES + 1024 * 1024,
  "grpc.max_send_message_length": MAX_RESPONSE_BYTES,
  // Without a bound one connection could open any number; this leaves room for thousands of watches and for unary
  // calls beside them.
  "grpc.max_concurrent_streams": 4096,
  // A peer that vanished without a word is noticed, and its streams end, within 80 s.
  "grpc.keepalive_time_ms": 60_000,
  "grpc.keepalive_timeout_ms": 20_000,
  // Nothing serves channelz, and its counters cost time in every call.
  "grpc.enable_channelz": 0,
};

function createServerOf(services: readonly ServedService[]): Server {
  const server = createServer(CHANNEL_OPTIONS);
  for (const { definition, implementation } of services) {
    // The layer has typed both; nice-grpc would have to infer the types of all methods again.
    const untyped = implementation as ServiceImplementation<TsProtoServiceDefinition>;
    server.add(definition as TsProtoServiceDefinition, untyped);
  }
  return server;
}

/** Creates a server. It listens nowhere yet. */
export function createGrpcServer(options: ServerOptions): GrpcServer {
  const { engine, collections = [DEFAULT_COLLECTION], logger = silentLogger, serving = true } = options;
  const descriptors = new Descriptors();
  const calls = new Calls(logger, descriptors);
  const health = new HealthService();
  const names = [StoreServiceDefinition.fullName, HealthDefinition.fullName];
  const services = [
    calls.serve(StoreServiceDefinition, new StoreService(engine, new Set(collections), options.watch)),
    calls.serve(HealthDefinition, health, { readOnly: true }),
    ...createReflectionServices(calls, descriptors, names),
  ];
  /** One per address: nice-grpc's servers listen once. */
  const servers: Server[] = [];
  const listening = new Set<Promise<unknown>>();
  let stopping: Promise<void> | undefined;

  function setHealth(status: "SERVING" | "NOT_SERVING"): void {
    health.setStatus("", status);
    health.setStatus(StoreServiceDefinition.fullName, status);
  }

  async function listen(address: string): Promise<string> {
    const prepared = await prepareListenAddress(address);
    const server = createServerOf(services);
    const port = await server.listen(prepared.target).catch((error: unknown) => {
      throw new Error(`cannot listen on ${address}; choose another address`, { cause: error });
    });
    servers.push(server);
    return prepared.name(port);
  }

  async function stop({ drainMs = 0, graceMs = 10_000 }: ShutdownOptions): Promise<void> {
    await Promise.allSettled(listening);
    setHealth("NOT_SERVING");
    // Also without a delay, health watchers hear of it before their streams end.
    await delay(drainMs);
    calls.stop();
    await close(servers, calls, graceMs, logger);
  }

  async function listenUnlessStopping(address: string): Promise<string> {
    if (stopping !== undefined) throw new Error("the server is shutting down and listens no more");
    const listened = listen(address);
    listening.add(listened);
    return listened.finally(() => listening.delete(listened));
  }

  setHealth(serving ? "SERVING" : "NOT_SERVING");
  return {
    listen: listenUnlessStopping,
    setServing(isServing) {
      if (stopping === undefined) setHealth(isServing ? "SERVING" : "NOT_SERVING");
    },
    shutdown(shutdownOptions = {}) {
      stopping ??= stop(shutdownOptions);
      return stopping;
    },
  };
}

/** Closes servers when their calls have finished, and in any case soon after the grace time. */
async function close(
  servers: readonly Server[],
  calls: Calls,
  graceMs: number,
  logger: Logger,
): Promise<void> {
  const finished = Promise.all(servers.map((server) => server.shutdown())).then((): true => true);
  if (await within(finished, graceMs)) return;
  const abandoned = calls.abandon();
  if (abandoned > 0) logger.warn({ abandoned, graceMs }, "calls did not finish within the grace time");
  if (await within(finished, FLUSH_MS)) return;
  for (const server of servers) server.forceShutdown();
}

/** Whether a promise is fulfilled in time. Its rejection is passed on. */
async function within(promise: Promise<true>, ms: number): Promise<boolean> {
  const timer = new AbortController();
  try {
    return await Promise.race([promise, delay(ms, false, { signal: timer.signal })]);
  } finally {
    timer.abort();
  }
}
