import { type Checker, isDisturbed, type RecordedHistory, type SeenEvent } from "./history.js";
import {
  CLOCK_SLACK_MS,
  eventText,
  liveEvents,
  placeName,
  referenceOf,
  State,
  streamText,
} from "./reference.js";

/** How long after the expiry its event may be committed, for 99 of 100, in ms. */
const LATE_MS = 1000;
/** The same for all: a machine that does too much at once may be slower. */
const TOO_LATE_MS = 10_000;
/** How many may be late of a few, where one of a hundred is none. */
const FEW = 2;
/** How long servers and database may take to go on after a disturbance, in ms. */
const RECOVERY_MS = 15_000;

/**
 * Expiry once: a key that expires gives exactly one EXPIRED, never a DELETED, within a second (p99), and no read shows
 * it after `expires_at`.
 */
export const expiryOnce: Checker = (history) => [
  ...removalProblems(history),
  ...lateProblems(history),
  ...streamProblems(history),
  ...readProblems(history),
];

/** Which of the two a removal is, is decided by `expires_at` against its commit time; and nothing revives. */
function removalProblems(history: RecordedHistory): string[] {
  const state = new State();
  const problems = referenceOf(history).events.flatMap(({ event }) => {
    const expiresAt = state.apply(event)?.version.expiresAt;
    const isOver = expiresAt !== undefined && expiresAt <= (event.commitTime ?? 0);
    const text = `${eventText(event)}, where expires_at was ${expiresAt}`;
    if (event.type === "deleted" && isOver) return [text];
    if (event.type === "expired" && !isOver) return [text];
    return event.type === "updated" && isOver ? [text] : [];
  });
  const left = [...state.documents.values()].filter(
    ({ version: { expiresAt } }) => expiresAt !== undefined && expiresAt < history.endedAt - LATE_MS,
  );
  return [
    ...problems,
    ...left.map(
      (document) => `${placeName(document)} expired at ${document.version.expiresAt} without an event`,
    ),
  ];
}

function lateProblems(history: RecordedHistory): string[] {
  const state = new State();
  const delays: { readonly event: SeenEvent; readonly delay: number }[] = [];
  for (const { event } of referenceOf(history).events) {
    const expiresAt = state.apply(event)?.version.expiresAt;
    if (event.type !== "expired" || expiresAt === undefined || event.commitTime === undefined) continue;
    if (isDisturbed(history, event.commitTime, RECOVERY_MS)) continue;
    delays.push({ event, delay: event.commitTime - expiresAt });
  }
  const late = delays.filter(({ delay }) => delay > LATE_MS);
  const tooLate = late.some(({ delay }) => delay > TOO_LATE_MS);
  if (!tooLate && late.length <= Math.max(FEW, delays.length / 100)) return [];
  const texts = late.map(({ event, delay }) => `  ${eventText(event)} is ${delay} ms late`);
  return [`${late.length} of ${delays.length} expiries were not within ${LATE_MS} ms:`, ...texts];
}

/** No stream shows one for the other. */
function streamProblems(history: RecordedHistory): string[] {
  const reference = referenceOf(history);
  const removals = new Map(
    reference.events
      .filter(({ event }) => event.document.version === undefined)
      .map(({ event }) => [`${placeName(event.document)} ${event.commitTime}`, event]),
  );
  return history.streams.flatMap((stream) => {
    const places = reference.received(stream);
    return liveEvents(stream).flatMap((event, at) => {
      const real = removals.get(`${placeName(event.document)} ${event.commitTime}`);
      const removed = event.type === "deleted" || event.type === "expired";
      if (!removed || places[at] !== undefined || real === undefined) return [];
      return [`${streamText(stream)} got ${eventText(event)}, which was ${eventText(real)}`];
    });
  });
}

function readProblems({ reads }: RecordedHistory): string[] {
  return reads.flatMap(({ document, calledAt }) => {
    const expiresAt = document.version?.expiresAt;
    if (expiresAt === undefined || calledAt < expiresAt + CLOCK_SLACK_MS) return [];
    return [`${placeName(document)} was read at ${Math.round(calledAt)}, after its expiry at ${expiresAt}`];
  });
}
