import type { RecordedHistory, Stream } from "../checkers/history.js";
import { liveEvents } from "../checkers/reference.js";

/** What the values have in them that FiftyOne writes. */
export const FIFTYONE = "FiftyOne";

/** What is looked at. */
export type Happened = Pick<RecordedHistory, "puts" | "removals" | "reads" | "reference" | "streams">;

/** Names what happened in a run, to see that it was about something. */
export class Coverage {
  readonly #names = new Set<string>();

  add({ puts, removals, reads, reference, streams }: Happened): void {
    for (const { type, document, previousValueOmitted } of reference.flatMap(liveEvents)) {
      this.#note(type);
      if (previousValueOmitted) this.#note("previous omitted");
      if (document.value?.includes(FIFTYONE) === true) this.#note("written by FiftyOne");
    }
    for (const { outcome } of puts) this.#note(`put ${outcome}`);
    for (const { count, keys } of removals) {
      if (count !== undefined && count > 0) this.#note(keys === undefined ? "many removed" : "keys removed");
    }
    if (reads.length > 0) this.#note("reads");
    for (const stream of streams) this.#addStream(stream);
  }

  /** Those of the names that never happened. */
  missing(...names: readonly string[]): string[] {
    return names.filter((name) => !this.#names.has(name));
  }

  #addStream(stream: Stream): void {
    const { origin, messages, request, end, paused } = stream;
    const events = liveEvents(stream);
    for (const { kind } of messages) this.#note(kind);
    this.#note(`ended ${end?.status ?? "open"}`);
    if (paused) this.#note("paused");
    if (request.snapshot && events.length > 0) this.#note("snapshot, then events");
    if (origin === undefined || events.length === 0) return;
    const from = origin.from === "end" ? "an end" : origin.stream.messages[origin.messages - 1]?.kind;
    this.#note(`resumed from ${from}`);
  }

  #note(name: string): void {
    this.#names.add(name);
  }
}

/** What every run of some seconds has. */
export const USUAL = [
  "created",
  "updated",
  "deleted",
  "expired",
  "put written",
  "put refused",
  "many removed",
  "keys removed",
  "reads",
  "snapshot",
  "snapshot-complete",
  "progress",
  "paused",
  "snapshot, then events",
  "resumed from events",
  "resumed from progress",
  "ended cancelled",
] as const;
