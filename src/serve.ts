import { once } from "node:events";
import type { Logger } from "pino";
import type { App } from "./app.js";
import type { ServeConfig } from "./config.js";
import { createStopRequests, STOP_SIGNALS, type StopSignal } from "./stop-signals.js";

/**
 * Runs a server until SIGTERM or SIGINT, then drains it. A second signal ends the process at once. Resolves to
 * the exit code. A signal during the start ends it as soon as the step at hand is done. Throws an Error with a
 * sentence for the user if the server cannot start.
 *
 * @param warnings what to say in the log before the start
 */
export async function serve(config: ServeConfig, warnings: readonly string[]): Promise<number> {
  const { createLogger } = await import("./log.js");
  const logger = createLogger(config.logLevel);
  logFatal(logger);
  const stopping = onStopSignal(logger);
  for (const warning of warnings) logger.warn(warning);
  logger.debug("starting");
  const { startApp } = await import("./app.js");
  const app = await startApp(config, logger, stopping).catch((error: unknown) => {
    // The user is told in a sentence; who looks for more finds the causes and the stack here.
    logger.debug({ err: error }, "the server cannot start");
    throw error;
  });
  if (!stopping.aborted) await once(stopping, "abort");
  return stop(app, logger);
}

async function stop(app: App, logger: Logger): Promise<number> {
  try {
    await app.stop();
    logger.info("stopped");
    return 0;
  } catch (error) {
    logger.error({ err: error }, "stopping failed");
    return 1;
  }
}

/** Aborts at the first signal, whenever it comes; the handlers stay to serve the second. */
function onStopSignal(logger: Logger): AbortSignal {
  const requestOf = createStopRequests(() => performance.now());
  const stopping = new AbortController();
  const handle = (signal: StopSignal): void => {
    const request = requestOf(signal);
    if (request === "drain") {
      logger.info({ signal }, "stopping");
      stopping.abort();
    } else if (request === "exit") {
      logger.warn({ signal }, "stopping at once");
      process.exit(STOP_SIGNALS[signal]);
    }
  };
  process.on("SIGINT", handle);
  process.on("SIGTERM", handle);
  return stopping.signal;
}

/** What nobody caught leaves the process in an unknown state: it is logged and the process ends. */
function logFatal(logger: Logger): void {
  const end = (error: unknown): void => {
    logger.fatal({ err: error }, "an unexpected error ends the server");
    process.exit(1);
  };
  process.on("uncaughtException", end);
  process.on("unhandledRejection", end);
}
