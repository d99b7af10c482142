import type { DeliveryPace } from "./delivery.js";

/** How much of everything. */
export interface Effort {
  /** Watchers of a key each, at a fixed rate of writes. */
  readonly sizes: readonly number[];
  /** Watchers of one key. */
  readonly fanOutSizes: readonly number[];
  readonly pace: DeliveryPace;
  /** Rounds beside other systems. */
  readonly rounds: number;
  readonly roundPace: DeliveryPace;
  readonly idleWatchers: number;
  /** How long these are left alone, in milliseconds. */
  readonly idleMs: number;
  /** How long keys expire, in seconds. */
  readonly expirySeconds: number;
  /** Keys of the snapshot, and events of the history. */
  readonly keys: number;
}

/** Within seven minutes an engine. */
export const DEFAULT_EFFORT: Effort = {
  sizes: [1, 100, 1000, 10_000],
  fanOutSizes: [100, 1000, 10_000],
  pace: { warmUpMs: 2000, ms: 10_000 },
  rounds: 3,
  roundPace: { warmUpMs: 1000, ms: 4000 },
  idleWatchers: 10_000,
  // Longer than the interval of progress.
  idleMs: 12_000,
  expirySeconds: 10,
  keys: 100_000,
};

/** Within two. */
export const QUICK_EFFORT: Effort = {
  sizes: [1, 100, 1000],
  fanOutSizes: [100, 1000],
  pace: { warmUpMs: 1000, ms: 3000 },
  rounds: 2,
  roundPace: { warmUpMs: 500, ms: 2000 },
  idleWatchers: 2000,
  idleMs: 3000,
  expirySeconds: 3,
  keys: 20_000,
};
