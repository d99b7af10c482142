import type { Client } from "@grpc/grpc-js";
import type { Choices } from "../../race/random.js";
import type { TokenOrigin } from "../checkers/history.js";
import type { RecordedStream } from "./recorded-stream.js";
import type { Recorder } from "./recorder.js";

/** How many tokens of each kind are resumed. */
const AUDITED = 15;

/**
 * Resumes at tokens of any age, progress messages' above all: whoever left a stream just there must get all that the
 * stream got after it. Few watchers leave at such a moment by chance.
 */
export function openAudits(
  recorder: Recorder,
  channels: readonly Client[],
  choices: Choices,
): RecordedStream[] {
  const origins: TokenOrigin[] = recorder.streams.flatMap((stream) =>
    stream.messages.flatMap(({ token }, index) =>
      token === "" ? [] : [{ stream, messages: index + 1, from: "message" as const }],
    ),
  );
  // The most telling are those that events follow.
  const bookmarks = origins.filter(
    ({ stream: { messages }, messages: count }) =>
      messages[count - 1]?.kind === "progress" && messages[count]?.kind === "events",
  );
  const chosen = [origins, bookmarks].flatMap((list) =>
    Array.from({ length: Math.min(AUDITED, list.length) }, () => choices.of(list)),
  );
  return chosen.map((origin) => {
    const { request, messages } = origin.stream;
    const resumeToken = messages[origin.messages - 1]?.token ?? "";
    return recorder.watch(
      choices.of(channels),
      "audit",
      {
        ...request,
        snapshot: false,
        types: request.types.filter((type) => type !== "existing"),
        resumeToken,
      },
      origin,
    );
  });
}
