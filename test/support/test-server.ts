import type { Logger } from "../../src/grpc/logger.js";
import { createGrpcServer } from "../../src/grpc/server.js";
import type { WatchOptions } from "../../src/grpc/watch-keys.js";
import type { WatchableEngine } from "../../src/store/engine.js";
import { createModelEngine } from "./model-engine.js";

/** How a test's server is started. */
export interface TestServerOptions {
  /** Closed with the server. @default a new model engine */
  readonly engine?: WatchableEngine;
  /** The collections that callers may name. @default the server's */
  readonly collections?: readonly string[];
  /** @default "127.0.0.1:0" */
  readonly listen?: string;
  /** @default none */
  readonly logger?: Logger;
  /** @default the server's */
  readonly watch?: WatchOptions;
}

/** A server that runs in the test's process. */
export interface TestServer {
  /** Where it listens, with the port that was bound. */
  readonly address: string;
  readonly engine: WatchableEngine;
  /** Stops the server at once and closes the engine. Idempotent. */
  close(): Promise<void>;
}

/** Starts the real server on a free port. */
export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const { engine = createModelEngine(), collections, listen = "127.0.0.1:0", logger, watch } = options;
  const server = createGrpcServer({
    engine,
    ...(collections === undefined ? {} : { collections }),
    ...(logger === undefined ? {} : { logger }),
    ...(watch === undefined ? {} : { watch }),
  });
  const address = await server.listen(listen);
  let closing: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    await server.shutdown({ drainMs: 0, graceMs: 0 });
    await engine.close();
  };
  return {
    address,
    engine,
    close() {
      closing ??= stop();
      return closing;
    },
  };
}
