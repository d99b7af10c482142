import type { Histogram } from "./histogram.js";
import type { Watched } from "./watched-server.js";

/** Many watchers, in other processes than the server and the writer. */
export interface Watchers {
  /** The processes that they are in. */
  readonly pids: readonly number[];
  /** Opens a watch for each, and waits until all have begun. */
  open(watched: readonly Watched[]): Promise<void>;
  /** Forgets what has come so far. */
  reset(): Promise<void>;
  /** How many events have come since the last reset. */
  count(): Promise<number>;
  /** The times that these took, from just before the write was sent to their arrival, in microseconds. */
  delays(): Promise<Histogram>;
  /** Ends all watches. */
  close(): Promise<void>;
}
