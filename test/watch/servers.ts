import { onTestFinished } from "vitest";
import { openLmdbEngine } from "../../src/engines/lmdb/engine.js";
import type { WatchOptions } from "../../src/grpc/watch-keys.js";
import type { WatchableEngine } from "../../src/store/engine.js";
import { firstAddress, type ServerProcess, startServer } from "../cli/cli-process.js";
import { freePort } from "../support/free-port.js";
import { tempDir } from "../support/temp-dir.js";
import { startTestServer, type TestServer } from "../support/test-server.js";
import { PROGRESS_MS } from "./traffic/recorded-stream.js";

/** The one collection of the servers here. */
export const COLLECTION = "execution_store";

/** Opens an engine over an empty directory, or over one that has been used. Its server closes it. */
export function openLmdb(path = tempDir()): Promise<WatchableEngine> {
  return openLmdbEngine({ path, collections: [COLLECTION] });
}

/** Starts a server in this process; it ends with the test. */
export async function startOver(engine: WatchableEngine, watch: WatchOptions = {}): Promise<TestServer> {
  const server = await startTestServer({ engine, watch: { minProgressMs: PROGRESS_MS, ...watch } });
  onTestFinished(() => server.close());
  return server;
}

/** A server in a process of its own, at one address for all its lives. */
export class RestartableServer {
  readonly #args: readonly string[];
  #process: ServerProcess;

  private constructor(args: readonly string[], process: ServerProcess) {
    this.#args = args;
    this.#process = process;
  }

  /** Starts it; it ends with the test. `buildBeforeTests()` must be called in the test's file. */
  static async start(store: string, ...more: readonly string[]): Promise<RestartableServer> {
    const args = ["--store", store, "--watch-progress", `${PROGRESS_MS}ms`, ...more];
    const listen = `127.0.0.1:${await freePort()}`;
    const server = new RestartableServer(args, await startServer([...args, "--listen", listen]));
    onTestFinished(() => server.end("SIGKILL"));
    return server;
  }

  get address(): string {
    return firstAddress(this.#process);
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Sends it a signal and waits for its end. */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    this.#process.kill(signal);
    await this.#process.ended;
  }

  /** Starts it again after its end. */
  async restart(): Promise<void> {
    this.#process = await startServer([...this.#args, "--listen", this.address]);
  }
}
