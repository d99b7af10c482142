import { type CopyRequest, copy } from "./cli/copy.js";
import { createOutput } from "./cli/output.js";
import { openArchive } from "./open-archive.js";
import { STOP_SIGNALS, type StopSignal } from "./stop-signals.js";

/**
 * Runs a copy until it is done or a signal comes: the first one ends it in order, a second one at once. Resolves to the
 * exit code.
 */
export async function runCopy(request: CopyRequest): Promise<number> {
  const stopping = new AbortController();
  let stoppedBy: StopSignal | undefined;
  const stop = (signal: StopSignal): void => {
    stoppedBy = signal;
    stopping.abort();
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  try {
    return await copy(request, openArchive, createOutput(), stopping.signal);
  } catch (error) {
    if (stoppedBy === undefined) throw error;
    return STOP_SIGNALS[stoppedBy];
  }
}
