/** What the watches of one collection may hold and take. */
export interface WatchLimits {
  /** Bytes of events that may wait for one watcher, unless a single change has more. */
  readonly queueBytes: number;
  /** Changes that may wait for one watcher. */
  readonly queueChanges: number;
  /** Bytes of events that may wait for all watchers together; payloads that they share count for each. */
  readonly totalBytes: number;
  /** How many parts of the history may be read again at the same time, for watchers that are behind. */
  readonly catchUps: number;
  /** How long a watcher that is behind may hold up others that are read for with it, in milliseconds. */
  readonly patienceMs: number;
}

/** Where nobody says otherwise. */
export const DEFAULT_WATCH_LIMITS: WatchLimits = {
  queueBytes: 4 * 1024 * 1024,
  queueChanges: 4096,
  totalBytes: 256 * 1024 * 1024,
  catchUps: 4,
  patienceMs: 100,
};
