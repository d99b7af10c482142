import { callHeaders, openHttp2Connection } from "../http2-connection.js";
import { beginWatch } from "./begin-watch.js";
import { WATCH_PATH } from "./store-watches.js";

/** One watch of the measured server. */
export interface WatchChannel {
  /** STARTED, encoded. */
  readonly first: Buffer;
  /** Rejects when the watch ends; never resolves. */
  readonly ended: Promise<never>;
  close(): void;
}

/** Opens a watch on a connection of its own. `tell` hears all messages but the first. */
export async function openWatchChannel(
  port: number,
  message: Buffer,
  tell: (message: Buffer) => void,
): Promise<WatchChannel> {
  const connection = await openHttp2Connection(port);
  let end: ((reason: Error) => void) | undefined;
  const ended = new Promise<never>((_, reject) => {
    end = reject;
  });
  // Its end at close() is nobody's concern.
  ended.catch(() => {});
  const first = await beginWatch(connection, {
    headers: callHeaders(WATCH_PATH),
    message,
    ends: true,
    tell,
    ended: (reason) => end?.(reason),
  });
  return { first, ended, close: () => connection.close() };
}
