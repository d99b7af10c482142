import type { RecordedHistory, Stream } from "./history.js";
import { eventText, type Reference, referenceOf, streamText } from "./reference.js";

/** How many events of a gap are named. */
const NAMED = 3;

/** What a stream should have received in a part of the order, and did not. */
function missing(reference: Reference, stream: Stream, from: number, to: number): number[] {
  const received = new Set(reference.received(stream));
  return reference
    .matching(stream.request)
    .filter((index) => index >= from && index < to && !received.has(index));
}

function gapText(reference: Reference, stream: Stream, where: string, gap: readonly number[]): string[] {
  if (gap.length === 0) return [];
  const named = gap.slice(0, NAMED).flatMap((index) => {
    const found = reference.events[index];
    return found === undefined ? [] : [`\n    ${index}: ${eventText(found.event)}`];
  });
  return [`${streamText(stream)} lacks ${gap.length} events ${where}:${named.join("")}`];
}

/** Where the first and the last event of a stream are. */
function extent(reference: Reference, stream: Stream): readonly [first: number, last: number] | undefined {
  const places = reference.received(stream).filter((index) => index !== undefined);
  return places.length === 0 ? undefined : [Math.min(...places), Math.max(...places)];
}

/** What a stream lacks between its beginning and the first event that it received. */
export function gapAtStart(history: RecordedHistory, stream: Stream): string[] {
  const reference = referenceOf(history);
  const { most } = reference.bounds(stream);
  const [first] = extent(reference, stream) ?? [];
  const to = first ?? (stream.end === undefined ? reference.events.length : most);
  return gapText(reference, stream, "at its beginning", missing(reference, stream, most, to));
}

/** What a stream lacks between events that it received and, if it was open to the end of the run, behind them. */
export function gapsBehindStart(history: RecordedHistory, stream: Stream): string[] {
  const reference = referenceOf(history);
  const places = extent(reference, stream);
  if (places === undefined) return [];
  const [first, last] = places;
  const between = gapText(reference, stream, "between others", missing(reference, stream, first, last));
  if (stream.end !== undefined) return between;
  const behind = missing(reference, stream, last + 1, reference.events.length);
  return [...between, ...gapText(reference, stream, "at the end of the run", behind)];
}
