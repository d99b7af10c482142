import type { Checker, RecordedHistory, Stream } from "./history.js";
import { eventText, liveEvents, placeName, referenceOf, streamText } from "./reference.js";

/** Unique: within one stream no event twice; after a resume, none at or before the token; none that never was. */
export const unique: Checker = (history) => [
  ...repeatedVersions(history),
  ...history.streams.flatMap((stream) => streamProblems(history, stream)),
];

/** The order itself has every version once. */
function repeatedVersions(history: RecordedHistory): string[] {
  const seen = new Set<string>();
  return referenceOf(history).events.flatMap(({ event }) => {
    const { version } = event.document;
    if (version === undefined) return [];
    const name = `${placeName(event.document)} ${version.etag}`;
    if (seen.has(name)) return [`the reference has a version twice: ${eventText(event)}`];
    seen.add(name);
    return [];
  });
}

function streamProblems(history: RecordedHistory, stream: Stream): string[] {
  const reference = referenceOf(history);
  const events = liveEvents(stream);
  // Where a snapshot's events begin is decided by what it shows.
  const least = stream.request.snapshot ? 0 : reference.bounds(stream).least;
  const seen = new Set<number>();
  return reference.received(stream).flatMap((index, at) => {
    const event = events[at];
    if (event === undefined) return [];
    const text = `${streamText(stream)} got ${eventText(event)}`;
    // With another type it is a matter of types.
    if (index === undefined && reference.ofVersion(event.document) !== undefined) return [];
    if (index === undefined) return [`${text}, which the reference does not have`];
    if (seen.has(index)) return [`${text} twice`];
    seen.add(index);
    if (index < least) return [`${text}, which was before its beginning`];
    return [];
  });
}
