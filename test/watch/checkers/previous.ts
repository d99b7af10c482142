import type { Checker, RecordedHistory, SeenDocument, SeenEvent, Stream } from "./history.js";
import { asShown, eventText, liveEvents, referenceOf, State, sameDocument, streamText } from "./reference.js";

/** Previous: when asked for, `previous` is the document as it was just before; otherwise, and of nothing, there is none. */
export const previous: Checker = (history) => [
  ...replayProblems(history),
  ...history.streams.flatMap((stream) => streamProblems(history, stream)),
];

function replayProblems(history: RecordedHistory): string[] {
  const state = new State();
  return referenceOf(history).events.flatMap(({ event }) => {
    const before = state.apply(event);
    // Others may change what has expired and is still there, which sends no event.
    if (event.type === "expired" && history.allowed.foreignWriters === true) return [];
    return sameUnlessOmitted(history, event, before)
      ? []
      : [`the reference's ${differenceText(event, before)}`];
  });
}

function streamProblems(history: RecordedHistory, stream: Stream): string[] {
  const reference = referenceOf(history);
  const places = reference.received(stream);
  return liveEvents(stream).flatMap((event, at) => {
    const real = reference.events[places[at] ?? -1];
    if (real === undefined) return [];
    const before = stream.request.includePrevious ? asShown(real.event.previous, stream.request) : undefined;
    if (sameUnlessOmitted(history, event, before)) return [];
    return [`${streamText(stream)}: ${differenceText(event, before)}`];
  });
}

/** Whether an event shows the document before it; its value may be left out where that is said. */
function sameUnlessOmitted(
  { allowed }: RecordedHistory,
  event: SeenEvent,
  before: SeenDocument | undefined,
): boolean {
  if (!event.previousValueOmitted) return sameDocument(event.previous, before);
  if (allowed.previousOmitted !== true || before === undefined) return false;
  return event.previous?.value === undefined && sameDocument(event.previous, { ...before, value: undefined });
}

function differenceText(event: SeenEvent, before: SeenDocument | undefined): string {
  return `${eventText(event)} has previous ${documentText(event.previous)}, not ${documentText(before)}`;
}

function documentText(document: SeenDocument | undefined): string {
  if (document === undefined) return "none";
  const { version, value } = document;
  return `${JSON.stringify(version)} ${value?.slice(0, 40) ?? "without value"}`;
}
