import { type ClientSession, type Document, MongoNetworkError } from "mongodb";
import type { MongoConnection } from "../connection.js";
import { untilAborted } from "../until-aborted.js";
import { type CursorReply, cursorReplyOf, RAW_REPLY } from "./cursor-reply.js";

/** What bounds one command. */
export interface CursorLimits {
  /** How long the server may be silent, in ms. */
  readonly silenceMs: number;
  readonly signal: AbortSignal;
}

/**
 * Sends a command that opens a cursor, or reads on. Errors are the driver's; a server that is silent for too long counts
 * as a lost connection.
 */
export async function sendForCursor(
  connection: MongoConnection,
  command: Document,
  session: ClientSession,
  { silenceMs, signal }: CursorLimits,
): Promise<CursorReply> {
  signal.throwIfAborted();
  const limit = new AbortController();
  const silent = (): void => limit.abort(new MongoNetworkError("MongoDB did not answer in time"));
  const abort = (): void => limit.abort(signal.reason);
  const timer = setTimeout(silent, silenceMs);
  signal.addEventListener("abort", abort);
  try {
    // The driver closes the connection of a command that is aborted, and the server then gives the command up.
    const sent = connection.db.command(command, { ...RAW_REPLY, session, signal: limit.signal });
    const reply = await untilAborted(untilAborted(sent, limit.signal), connection.lost);
    return cursorReplyOf(reply);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}
