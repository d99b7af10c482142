import { bookmarkable } from "./bookmarkable.js";
import { createdOrUpdated } from "./created-or-updated.js";
import { expiryOnce } from "./expiry-once.js";
import type { Checker, RecordedHistory } from "./history.js";
import { noSilentLoss } from "./no-silent-loss.js";
import { ordered } from "./ordered.js";
import { previous } from "./previous.js";
import { reliable } from "./reliable.js";
import { resumable } from "./resumable.js";
import { snapshotExact } from "./snapshot-exact.js";
import { unique } from "./unique.js";
import { written } from "./written.js";

/** One checker per promise, and one for the ground that they stand on. */
export const CHECKERS = {
  written,
  ordered,
  unique,
  reliable,
  resumable,
  bookmarkable,
  "snapshot-exact": snapshotExact,
  "created or updated": createdOrUpdated,
  previous,
  "expiry once": expiryOnce,
  "no silent loss": noSilentLoss,
} as const satisfies Record<string, Checker>;

/** What breaks any promise, each problem after the promise's name. */
export function checkAll(history: RecordedHistory): string[] {
  return Object.entries(CHECKERS).flatMap(([name, check]) =>
    check(history).map((problem) => `${name}: ${problem}`),
  );
}
