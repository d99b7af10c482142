import type { Checker, RecordedHistory } from "./history.js";
import { eventText, liveEvents, placeName, referenceOf, State, streamText } from "./reference.js";

/** Created or updated: CREATED exactly when no live document existed before. */
export const createdOrUpdated: Checker = (history) => [
  ...replayProblems(history),
  ...answerProblems(history),
  ...streamProblems(history),
];

function replayProblems(history: RecordedHistory): string[] {
  const state = new State();
  return referenceOf(history).events.flatMap(({ event, put }) => {
    const text = eventText(event);
    const before = state.apply(event);
    const { version } = event.document;
    switch (event.type) {
      case "existing":
        return [`${text} outside of a snapshot`];
      case "created":
        if (before !== undefined) return [`${text}, though it was there`];
        if (put !== undefined && version?.createdAt !== version?.updatedAt) {
          return [`${text} has created_at ${version?.createdAt}, updated_at ${version?.updatedAt}`];
        }
        return [];
      case "updated":
        if (before === undefined) return [`${text}, though it was not there`];
        if (put !== undefined && version?.createdAt !== before.version.createdAt) {
          return [`${text} has created_at ${version?.createdAt}, before ${before.version.createdAt}`];
        }
        return [];
      case "deleted":
      case "expired":
        return before === undefined ? [`${text}, though it was not there`] : [];
      default:
        return event.type satisfies never;
    }
  });
}

/** What the writer was told agrees with the event. */
function answerProblems(history: RecordedHistory): string[] {
  return referenceOf(history).events.flatMap(({ event, put }) => {
    if (put?.created === undefined || put.created === (event.type === "created")) return [];
    return [`${eventText(event)}, but its writer was told created: ${put.created}`];
  });
}

/** Every stream has the reference's types. */
function streamProblems(history: RecordedHistory): string[] {
  const reference = referenceOf(history);
  return history.streams.flatMap((stream) =>
    liveEvents(stream).flatMap((event) => {
      const real = reference.ofVersion(event.document);
      if (real === undefined || real.event.type === event.type) return [];
      const place = placeName(event.document);
      return [`${streamText(stream)} got ${event.type} of ${place}, which was ${eventText(real.event)}`];
    }),
  );
}
