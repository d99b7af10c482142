import type { Checker, RecordedHistory } from "./history.js";
import { eventText, placeName, type ReferenceEvent, referenceOf, streamText } from "./reference.js";

/** Ordered: events of a key arrive in commit order; per stream, positions never go back. */
export const ordered: Checker = (history) => [
  ...realTimeProblems(history),
  ...versionProblems(history),
  ...streamProblems(history),
];

/** What was answered before something else was called must come before it. */
function realTimeProblems(history: RecordedHistory): string[] {
  const problems: string[] = [];
  let latest: ReferenceEvent | undefined;
  for (const each of referenceOf(history).events) {
    const { put, event } = each;
    if (put === undefined) continue;
    const called = latest?.put?.calledAt ?? Number.NEGATIVE_INFINITY;
    if (latest !== undefined && put.answeredAt < called) {
      problems.push(`${eventText(event)} was answered before ${eventText(latest.event)} was called`);
    }
    if (put.calledAt > called) latest = each;
  }
  return problems;
}

/** The times of a key's versions grow. */
function versionProblems(history: RecordedHistory): string[] {
  const { allowed } = history;
  // Other writers may leave these times, or set them back.
  if (allowed.foreignWriters === true) return [];
  const problems: string[] = [];
  const latest = new Map<string, number>();
  for (const { event } of referenceOf(history).events) {
    const { version } = event.document;
    const name = placeName(event.document);
    // Over MongoDB, nothing is kept of what was deleted that a new version could be held against.
    if (version === undefined && allowed.separateClockReadings === true) latest.delete(name);
    if (version === undefined) continue;
    const before = latest.get(name) ?? Number.NEGATIVE_INFINITY;
    if (version.updatedAt <= before) {
      problems.push(`${eventText(event)} has updated_at ${version.updatedAt}, the version before ${before}`);
    }
    latest.set(name, version.updatedAt);
  }
  return problems;
}

function streamProblems(history: RecordedHistory): string[] {
  const reference = referenceOf(history);
  return history.streams.flatMap((stream) => {
    const seen = new Set<number>();
    let last = -1;
    return reference.received(stream).flatMap((index) => {
      // One that comes again is a matter of uniqueness.
      const isNew = index !== undefined && !seen.has(index);
      if (!isNew) return [];
      seen.add(index);
      if (index > last) {
        last = index;
        return [];
      }
      const [late, early] = [reference.events[index], reference.events[last]];
      if (late === undefined || early === undefined) return [];
      return [`${streamText(stream)} got ${eventText(late.event)} after ${eventText(early.event)}`];
    });
  });
}
