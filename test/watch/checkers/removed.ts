import type { Place, RecordedHistory, Removal, SeenEvent } from "./history.js";
import { CLOCK_SLACK_MS, eventText, placeName, referenceOf } from "./reference.js";

/** A time span in which a call may remove one key. */
interface Span {
  readonly from: number;
  readonly to: number;
}

/**
 * Deletions have no version to be known by: what was answered must have an event in the time of its call, and every
 * event a call in whose time it is.
 */
export function removalProblems(history: RecordedHistory): string[] {
  const removals = removalsByPlace(history);
  const deleted = new Map<string, SeenEvent[]>();
  for (const { event } of referenceOf(history).events) {
    if (event.type !== "deleted" && event.type !== "expired") continue;
    const name = placeName(event.document);
    deleted.set(name, [...(deleted.get(name) ?? []), event]);
  }
  const names = new Set([...removals.keys(), ...deleted.keys()]);
  return [
    ...[...names].flatMap((name) =>
      placeProblems(history, name, removals.get(name) ?? [], deleted.get(name) ?? []),
    ),
    ...countProblems(history),
  ];
}

/** The calls that may have removed each key that there was. */
function removalsByPlace(history: RecordedHistory): Map<string, Removal[]> {
  const places = new Map<string, Place>();
  for (const { event } of referenceOf(history).events) places.set(placeName(event.document), event.document);
  const removals = new Map<string, Removal[]>();
  for (const [name, place] of places) {
    removals.set(
      name,
      history.removals.filter((removal) => covers(removal, place)),
    );
  }
  return removals;
}

function covers({ datasetId, storeName, keys }: Removal, place: Place): boolean {
  return (
    (datasetId ?? place.datasetId) === place.datasetId &&
    (storeName ?? place.storeName) === place.storeName &&
    (keys?.includes(place.key) ?? true)
  );
}

function spanOf({ calledAt, answeredAt }: Removal): Span {
  return { from: calledAt - CLOCK_SLACK_MS, to: answeredAt + CLOCK_SLACK_MS };
}

/** Whether the answer says that every key of the call was removed. */
function removedAll({ keys, count }: Removal): boolean {
  return keys !== undefined && count === keys.length;
}

function placeProblems(
  { allowed }: RecordedHistory,
  name: string,
  removals: readonly Removal[],
  events: readonly SeenEvent[],
): string[] {
  const deletions = events.filter(({ type }) => type === "deleted");
  // A deletion that found the document live may be timed after its expiry.
  const shown = allowed.separateClockReadings === true ? events : deletions;
  const certain = removals.filter(removedAll);
  const possible = removals.filter(({ count }) => count !== 0);
  const lost = unmatched(certain.map(spanOf), shown.map(timeOf));
  const problems = lost.spans.map(
    ({ from, to }) => `${name} was deleted between ${from} and ${to}, of which there is no event`,
  );
  if (allowed.foreignWriters === true) return problems;
  const strange = unmatched(possible.map(spanOf), deletions.map(timeOf));
  const left = deletions.filter((event) => strange.times.includes(timeOf(event)));
  return [...problems, ...left.map((event) => `nobody deleted ${eventText(event)}`)];
}

function timeOf({ commitTime }: SeenEvent): number {
  return commitTime ?? Number.NaN;
}

/** The spans and times that are left where as many as can be are joined, each time with one span that holds it. */
function unmatched(
  spans: readonly Span[],
  times: readonly number[],
): { readonly spans: readonly Span[]; readonly times: readonly number[] } {
  const waiting = spans.toSorted((a, b) => a.to - b.to);
  const left = times
    .toSorted((a, b) => a - b)
    .filter((time) => {
      // The span that ends first: those that end later may hold later times, too.
      const at = waiting.findIndex(({ from, to }) => from <= time && time <= to);
      if (at >= 0) waiting.splice(at, 1);
      return at < 0;
    });
  return { spans: waiting, times: left };
}

/** A call that removed many has at least as many events in its time. */
function countProblems(history: RecordedHistory): string[] {
  const events = referenceOf(history)
    .events.map(({ event }) => event)
    .filter(({ type }) => type === "deleted" || type === "expired");
  return history.removals.flatMap((removal) => {
    const { count = 0, storeDocuments } = removal;
    const { from, to } = spanOf(removal);
    const inTime = events.filter(
      (event) => timeOf(event) >= from && timeOf(event) <= to && covers(removal, event.document),
    );
    if (inTime.length >= count - storeDocuments) return [];
    const what = `a call between ${from} and ${to} removed ${count} documents of ${removal.storeName ?? "all stores"}`;
    return [`${what}, of which there are ${inTime.length} events`];
  });
}
