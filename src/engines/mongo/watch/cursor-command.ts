import type { ClientSession, Document } from "mongodb";
import type { MongoConnection } from "../connection.js";
import { type CursorReply, cursorReplyOf, RAW_REPLY } from "./cursor-reply.js";
import { type CommandLimits, sendCommand } from "./send-command.js";

/** Sends a command that opens a cursor, or reads on. Errors are those of sendCommand. */
export async function sendForCursor(
  connection: MongoConnection,
  command: Document,
  session: ClientSession | undefined,
  limits: CommandLimits,
): Promise<CursorReply> {
  const options = session === undefined ? RAW_REPLY : { ...RAW_REPLY, session };
  return cursorReplyOf(await sendCommand(connection, command, options, limits));
}
