import { gapAtStart, gapsBehindStart } from "./gaps.js";
import type { Checker } from "./history.js";

/** Reliable: from STARTED on, and between two received events, no matching event was left out. */
export const reliable: Checker = (history) =>
  history.streams.flatMap((stream) => {
    const fresh = stream.origin === undefined && !stream.request.snapshot;
    return [...(fresh ? gapAtStart(history, stream) : []), ...gapsBehindStart(history, stream)];
  });
