import { type Document, MongoNetworkError, type RunCommandOptions } from "mongodb";
import type { MongoConnection } from "../connection.js";
import { untilAborted } from "../until-aborted.js";

/** What bounds one command. */
export interface CommandLimits {
  /** How long the server may be silent, in ms. */
  readonly silenceMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Sends a command. Errors are the driver's; a server that is silent for too long counts as a lost connection. */
export async function sendCommand(
  connection: MongoConnection,
  command: Document,
  options: RunCommandOptions,
  { silenceMs, signal }: CommandLimits,
): Promise<Document> {
  signal?.throwIfAborted();
  const limit = new AbortController();
  const silent = (): void => limit.abort(new MongoNetworkError("MongoDB did not answer in time"));
  const abort = (): void => limit.abort(signal?.reason);
  const timer = setTimeout(silent, silenceMs);
  signal?.addEventListener("abort", abort);
  try {
    // The driver closes the connection of a command that is aborted, and the server then gives the command up.
    const sent = connection.db.command(command, { ...options, signal: limit.signal });
    return await untilAborted(untilAborted(sent, limit.signal), connection.lost);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}
