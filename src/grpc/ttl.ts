import type { Duration } from "../../gen/ts/google/protobuf/duration.js";
import { invalidField } from "../store/errors.js";
import { MAX_TTL_MS } from "../store/limits.js";

const MAX_NANOS = 999_999_999;

/**
 * A time to live in whole milliseconds, rounded up.
 *
 * Throws TTL_INVALID if the duration is not well formed, TTL_NOT_POSITIVE or TTL_TOO_LONG.
 */
export function ttlToMs(ttl: Duration, field: string): number {
  const { seconds, nanos } = ttl;
  if (nanos > MAX_NANOS || nanos < -MAX_NANOS || (seconds > 0n && nanos < 0) || (seconds < 0n && nanos > 0)) {
    const problem = `is no well-formed duration; expected nanos within ±${MAX_NANOS} and with the sign of seconds`;
    throw invalidField("TTL_INVALID", field, problem);
  }
  if (seconds < 0n || nanos < 0 || (seconds === 0n && nanos === 0)) {
    const problem = "is not greater than 0; expected a positive duration, or leave it unset for no expiry";
    throw invalidField("TTL_NOT_POSITIVE", field, problem);
  }
  // Up to 2^63 seconds; beyond 2^53 the number is rounded, and far beyond the limit in any case.
  const ms = Number(seconds) * 1000 + Math.ceil(nanos / 1e6);
  if (ms > MAX_TTL_MS) {
    const problem = `is longer than ${MAX_TTL_MS} ms (100 years); expected less, or leave it unset for no expiry`;
    throw invalidField("TTL_TOO_LONG", field, problem);
  }
  return ms;
}
