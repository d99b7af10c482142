import type { Duration } from "../../gen/ts/google/protobuf/duration.js";
import { invalidField } from "../store/errors.js";

/** How often a watch tells its place if the request does not say it, in milliseconds. */
const DEFAULT_MS = 10_000;
const MAX_NANOS = 999_999_999;
/** The longest google.protobuf.Duration: about ten thousand years. */
const MAX_SECONDS = 315_576_000_000n;

/** The interval of a watch in milliseconds, which is at least `leastMs`. Throws PROGRESS_INTERVAL_INVALID. */
export function progressIntervalMs(interval: Duration | undefined, leastMs: number): number {
  if (interval === undefined) return Math.max(DEFAULT_MS, leastMs);
  const { seconds, nanos } = interval;
  if (seconds < 0n || seconds > MAX_SECONDS || nanos < 0 || nanos > MAX_NANOS) {
    const problem = `is negative or no well-formed duration; expected 0 or more with nanos up to ${MAX_NANOS}, or leave it unset for ${DEFAULT_MS / 1000} s`;
    throw invalidField("PROGRESS_INTERVAL_INVALID", "progress_interval", problem);
  }
  return Math.max(Number(seconds) * 1000 + Math.ceil(nanos / 1e6), leastMs);
}
