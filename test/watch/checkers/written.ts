import type { Checker, Put, RecordedHistory } from "./history.js";
import {
  asShown,
  eventText,
  liveEvents,
  placeName,
  referenceOf,
  State,
  sameDocument,
  sameVersion,
  streamText,
} from "./reference.js";
import { removalProblems } from "./removed.js";

/**
 * The ground of all promises: the reference has what was written, as it was answered, and nothing else; it leads to
 * what is there at the end; and every stream shows its documents.
 */
export const written: Checker = (history) => [
  ...putProblems(history),
  ...foundlings(history),
  ...removalProblems(history),
  ...remainingProblems(history),
  ...streamProblems(history),
];

/** Every acknowledged put is there, with the version that was answered; none that was refused is. */
function putProblems(history: RecordedHistory): string[] {
  const reference = referenceOf(history);
  return history.puts.flatMap((put) => {
    const { version, outcome } = put;
    if (outcome !== "written" || version === undefined) return [];
    const found = reference.ofPut(put);
    const text = `${placeName(put)}: what was written as ${version.etag}`;
    if (found === undefined) return [`${text} is not in the reference: ${JSON.stringify(put)}`];
    const { document } = found.event;
    // A guess is another version.
    if (document.version?.etag === version.etag && !sameVersion(document.version, version)) {
      return [`${text} is ${JSON.stringify(document.version)}, not ${JSON.stringify(version)}`];
    }
    if (put.value === undefined || put.value === document.value) return [];
    return [`${text} has the value ${document.value}, not ${put.value}`];
  });
}

/** Whatever has no acknowledged put must be one of those that nobody knows about, each at most once. */
function foundlings(history: RecordedHistory): string[] {
  if (history.allowed.foreignWriters === true) return [];
  const unknown = new Map<string, Put[]>();
  for (const put of history.puts.filter(({ outcome }) => outcome === "unknown")) {
    unknown.set(placeName(put), [...(unknown.get(placeName(put)) ?? []), put]);
  }
  const state = new State();
  return referenceOf(history).events.flatMap(({ event, put }) => {
    const before = state.apply(event);
    const { document } = event;
    if (document.version === undefined || put !== undefined) return [];
    const candidates = unknown.get(placeName(document)) ?? [];
    // A value names its put; one that stays may be any put's that keeps it.
    const found =
      candidates.find(({ value }) => value === document.value) ??
      candidates.find(({ value }) => value === undefined && before?.value === document.value);
    if (found === undefined) return [`nobody wrote ${eventText(event)}`];
    candidates.splice(candidates.indexOf(found), 1);
    return [];
  });
}

/** What is there at the end is what the events lead to, but for what has expired. */
function remainingProblems(history: RecordedHistory): string[] {
  const state = new State();
  for (const { event } of referenceOf(history).events) state.apply(event);
  const remaining = new Map(history.remaining.map((document) => [placeName(document), document]));
  const names = new Set([...remaining.keys(), ...state.documents.keys()]);
  return [...names].flatMap((name) => {
    const there = remaining.get(name);
    const told = state.documents.get(name);
    if (sameDocument(there, told)) return [];
    const expiresAt = told?.version.expiresAt;
    if (there === undefined && expiresAt !== undefined && expiresAt <= history.endedAt) return [];
    const versions = `${JSON.stringify(there?.version)}, by its events ${JSON.stringify(told?.version)}`;
    return [`${name} is at the end ${versions}`];
  });
}

/** Documents are the same for everyone, and values come in the encoding asked for. */
function streamProblems(history: RecordedHistory): string[] {
  const reference = referenceOf(history);
  return history.streams.flatMap((stream) => {
    const places = reference.received(stream);
    return liveEvents(stream).flatMap((event, at) => {
      const real = reference.events[places[at] ?? -1]?.event;
      if (real === undefined) return [];
      const same =
        sameDocument(event.document, asShown(real.document, stream.request)) &&
        event.commitTime === real.commitTime;
      return same ? [] : [`${streamText(stream)} got ${eventText(event)}, which was ${eventText(real)}`];
    });
  });
}
