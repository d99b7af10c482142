import { gapAtStart } from "./gaps.js";
import { type Checker, isDisturbed, type RecordedHistory, type Stream, type StreamEnd } from "./history.js";
import { streamText } from "./reference.js";

/** How long servers may go on with ends after a disturbance, in ms. */
const RECOVERY_MS = 15_000;

/**
 * No silent loss: history lost is OUT_OF_RANGE; too slow is RESOURCE_EXHAUSTED with the last good token; drain or
 * failover is UNAVAILABLE. Nothing arrives on a stream after such an end, and its token resumes without loss.
 */
export const noSilentLoss: Checker = (history) =>
  history.streams.flatMap((stream) => {
    const { end, messages, origin } = stream;
    const byEnd = origin?.from === "end" ? gapAtStart(history, stream) : [];
    if (end === undefined) return byEnd;
    const after = messages.some(({ receivedAt }) => receivedAt > end.at);
    const problem = endProblem(history, stream, end);
    return [
      ...byEnd,
      ...(after ? [`${streamText(stream)} got a message after its end`] : []),
      ...(problem === undefined ? [] : [`${streamText(stream)} ${endText(end)}: ${problem}`]),
    ];
  });

function endText({ status, reason, token }: StreamEnd): string {
  const detail = token === "" ? "without a token" : "with a token";
  return `ended with ${status} ${reason ?? "without a reason"} ${detail}`;
}

/** What is wrong about an end, if anything is. */
function endProblem(history: RecordedHistory, stream: Stream, end: StreamEnd): string | undefined {
  const { allowed } = history;
  const needsToken = stream.messages.some(({ token }) => token !== "");
  const tokenless =
    needsToken && end.token === "" ? "a token was sent, so the end should have one" : undefined;
  switch (end.status) {
    case "cancelled":
      return undefined;
    case "OUT_OF_RANGE":
      if (allowed.historyEnds !== true) return "the history did not end";
      return end.reason === "HISTORY_LOST" ? undefined : "expected HISTORY_LOST";
    case "RESOURCE_EXHAUSTED":
      if (allowed.slowWatchers !== true) return "the watcher was not slow";
      return end.reason === "WATCH_TOO_SLOW" ? tokenless : "expected WATCH_TOO_SLOW";
    case "UNAVAILABLE":
      if (!isDisturbed(history, end.at, RECOVERY_MS)) return "nothing was disturbed";
      // Without a reason it is the connection's end, of which the server can say nothing.
      return end.reason === undefined ? undefined : tokenless;
    default:
      return "a stream must not end so";
  }
}
