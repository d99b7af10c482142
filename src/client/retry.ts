import { invalidField, type StoreError } from "../store/errors.js";

/** How often and how soon failed calls are repeated. */
export interface RetryOptions {
  /** The most times a call is sent, the first included. Attempts that find no server do not count. @default 6 */
  readonly maxAttempts?: number | undefined;
  /** Milliseconds before the first repetition; doubled for each that follows. @default 100 */
  readonly initialBackoffMs?: number | undefined;
  /** The most milliseconds between two attempts, unless the server asks for more. @default 2000 */
  readonly maxBackoffMs?: number | undefined;
  /**
   * Milliseconds, from the call's beginning and within its time, in which a server that cannot be reached is tried
   * again, so that a worker may start before its server; 0: fail at once, Infinity: as long as the call may take.
   *
   * @default 10000
   */
  readonly waitForServerMs?: number | undefined;
}

/** RetryOptions, filled in and checked. */
export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly initialBackoffMs: number;
  readonly maxBackoffMs: number;
  readonly waitForServerMs: number;
}

/** What the contract says of repeating a method; undefined: a repetition may have another effect. */
export type IdempotencyLevel = "NO_SIDE_EFFECTS" | "IDEMPOTENT" | undefined;

/** What RetryOptions says of calls. */
const CALLS: RetryPolicy = {
  maxAttempts: 6,
  initialBackoffMs: 100,
  maxBackoffMs: 2000,
  waitForServerMs: 10_000,
};

/** Fills options in. Throws StoreError CLIENT_OPTION_INVALID. */
export function retryPolicy(options: RetryOptions | false = {}, defaults = CALLS): RetryPolicy {
  const {
    maxAttempts = defaults.maxAttempts,
    initialBackoffMs = defaults.initialBackoffMs,
    maxBackoffMs = defaults.maxBackoffMs,
    waitForServerMs = defaults.waitForServerMs,
  } = options === false ? { maxAttempts: 1, waitForServerMs: 0 } : options;
  if (!(Number.isInteger(maxAttempts) || maxAttempts === Number.POSITIVE_INFINITY) || maxAttempts < 1) {
    throw invalidField(
      "CLIENT_OPTION_INVALID",
      "retry.maxAttempts",
      "is not a whole number of at least 1; expected 1 to send a call once, or more to repeat it",
    );
  }
  if (typeof waitForServerMs !== "number" || !(waitForServerMs >= 0)) {
    throw invalidField(
      "CLIENT_OPTION_INVALID",
      "retry.waitForServerMs",
      "is not a number of milliseconds of at least 0; expected 0 not to wait, or Infinity for as long as the call may take",
    );
  }
  for (const [name, value] of Object.entries({ initialBackoffMs, maxBackoffMs })) {
    if (!Number.isFinite(value) || value < 0) {
      throw invalidField(
        "CLIENT_OPTION_INVALID",
        `retry.${name}`,
        "is not a finite number of milliseconds of at least 0; expected one such as 100, or leave it out",
      );
    }
  }
  return { maxAttempts, initialBackoffMs, maxBackoffMs, waitForServerMs };
}

/**
 * Whether a call that failed may be sent again: only where the server could not be reached or asks for it, and then
 * if it is certain that nothing was written, or if writing twice is writing once. So a set-if-absent or a
 * compare-and-set of unknown outcome never is: its repetition could not tell its own first attempt from a rival.
 */
export function isRetryable(error: StoreError, level: IdempotencyLevel): boolean {
  return error.kind === "UNAVAILABLE" && (error.outcome === "NOT_APPLIED" || level !== undefined);
}

/**
 * Milliseconds to wait after attempt `attempt` (from 1): exponential, of which `random` (0 to 1) takes up to a half
 * away, so that clients that failed together do not come back together. What the server asks for is the least.
 */
export function retryDelay(policy: RetryPolicy, attempt: number, error: StoreError, random: number): number {
  const backoff = Math.min(policy.maxBackoffMs, policy.initialBackoffMs * 2 ** (attempt - 1));
  const asked = error.retryAfterMs ?? 0;
  return Math.max(backoff * (1 - random / 2), asked * (1 + random / 5));
}
