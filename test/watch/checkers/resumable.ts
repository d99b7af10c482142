import { gapAtStart } from "./gaps.js";
import type { Checker, RecordedHistory, Stream } from "./history.js";
import { streamText } from "./reference.js";

/** Resumable: a token resumes on any server, exclusively after its position, while history lasts. */
export const resumable: Checker = (history) =>
  history.streams.flatMap((stream) => {
    const { origin } = stream;
    if (origin === undefined) return [];
    const last = origin.stream.messages[origin.messages - 1];
    const byMessage = origin.from === "message" && last?.kind !== "progress";
    return [...refused(history, stream), ...(byMessage ? gapAtStart(history, stream) : [])];
  });

function refused({ allowed }: RecordedHistory, stream: Stream): string[] {
  const { end, messages } = stream;
  if (end?.status === "INVALID_ARGUMENT") return [`${streamText(stream)}: its token was refused`];
  if (end?.status === "OUT_OF_RANGE" && allowed.historyEnds !== true) {
    return [`${streamText(stream)}: its history was lost`];
  }
  return end === undefined && messages.length === 0 ? [`${streamText(stream)} never started`] : [];
}
