import { gapAtStart } from "./gaps.js";
import { type Checker, isDisturbed, type RecordedHistory, type SeenMessage, type Stream } from "./history.js";
import { eventText, liveEvents, streamText } from "./reference.js";

/** How much later than its interval a message may come, and how far a token may be behind, in ms. */
const SLACK_MS = 3000;
/** How long servers and database may take to go on after a disturbance, in ms. */
const RECOVERY_MS = 15_000;

/**
 * Bookmarkable: a progress message with a token means everything up to that token was sent, also when nothing matched.
 * It comes at the interval in force, and its token moves on.
 */
export const bookmarkable: Checker = (history) =>
  history.streams.flatMap((stream) => [
    ...tokenProblems(stream),
    ...silences(history, stream),
    ...resumedProblems(history, stream),
  ]);

/** Every message has a token, but those before the end of a snapshot. */
function tokenProblems(stream: Stream): string[] {
  const complete = stream.messages.findIndex(({ kind }) => kind === "snapshot-complete");
  return stream.messages.flatMap(({ kind, token }, index) => {
    const tokenless = stream.request.snapshot && (complete < 0 || index < complete);
    if (tokenless === (token === "")) return [];
    return [`${streamText(stream)}: a message ${kind} ${tokenless ? "has a" : "has no"} token`];
  });
}

function silences(history: RecordedHistory, stream: Stream): string[] {
  // Who does not read gets nothing.
  if (stream.paused) return [];
  const intervalMs = stream.messages[0]?.intervalMs;
  if (intervalMs === undefined) return [];
  const complete = stream.messages.findIndex(({ kind }) => kind === "snapshot-complete");
  // A snapshot takes its time, and has no place to tell until it is complete.
  const told = stream.request.snapshot
    ? stream.messages.slice(complete < 0 ? Number.POSITIVE_INFINITY : complete)
    : stream.messages;
  const times = [...told.map(({ receivedAt }) => receivedAt), stream.end?.at ?? history.endedAt];
  return times.flatMap((time, index) => {
    const before = times[index - 1] ?? time;
    if (time - before <= intervalMs + SLACK_MS || isDisturbed(history, time, RECOVERY_MS)) return [];
    const what = `${streamText(stream)} got nothing for ${Math.round(time - before)} ms`;
    return [`${what} after ${told[index - 1]?.kind}, with an interval of ${intervalMs} ms`];
  });
}

function resumedProblems(history: RecordedHistory, stream: Stream): string[] {
  const { origin } = stream;
  const bookmark = origin?.stream.messages[origin.messages - 1];
  if (origin?.from !== "message" || bookmark?.kind !== "progress") return [];
  return [...gapAtStart(history, stream), ...lateTokens(history, stream, origin.stream, bookmark)];
}

/** What was committed long before a progress message arrived is not sent after it. */
function lateTokens(
  history: RecordedHistory,
  stream: Stream,
  origin: Stream,
  { receivedAt }: SeenMessage,
): string[] {
  if (origin.paused || isDisturbed(history, receivedAt, RECOVERY_MS)) return [];
  const oldest = receivedAt - (origin.messages[0]?.intervalMs ?? 0) - SLACK_MS;
  return liveEvents(stream)
    .filter(({ commitTime }) => commitTime !== undefined && commitTime < oldest)
    .map((event) => {
      const late = `${eventText(event)} was sent after a progress message of ${Math.round(receivedAt)}`;
      return `${streamText(stream)}: ${late}`;
    });
}
