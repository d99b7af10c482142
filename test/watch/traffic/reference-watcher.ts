import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "@grpc/grpc-js";
import { EVERYTHING } from "../checkers/everything.js";
import type { LiveDocument, SeenEvent } from "../checkers/history.js";
import { liveEvents, State } from "../checkers/reference.js";
import type { RecordedStream } from "./recorded-stream.js";
import type { Recorder } from "./recorder.js";

/** Ends after which a watch can go on. */
const PASSING: ReadonlySet<string> = new Set(["UNAVAILABLE", "RESOURCE_EXHAUSTED"]);
/** How long to wait before a stream is opened anew, in ms. */
const PAUSE_MS = 50;

/** Sees everything: resumes whenever its stream ends. */
export class ReferenceWatcher {
  readonly streams: RecordedStream[] = [];
  readonly #recorder: Recorder;
  readonly #channels: readonly Client[];
  readonly #state = new State();
  /** How many events the state has. */
  #applied = 0;
  #stopped = false;

  constructor(recorder: Recorder, channels: readonly Client[]) {
    this.#recorder = recorder;
    this.#channels = channels;
    this.streams.push(this.#open());
  }

  /** All that came so far. */
  get events(): readonly SeenEvent[] {
    return this.streams.flatMap(liveEvents);
  }

  /** What is there, by all that came so far. */
  get documents(): readonly LiveDocument[] {
    const { events } = this;
    for (const event of events.slice(this.#applied)) this.#state.apply(event);
    this.#applied = events.length;
    return [...this.#state.documents.values()];
  }

  async started(): Promise<void> {
    await this.streams[0]?.until(({ messages }) => messages.length > 0);
    if (this.streams[0]?.messages.length === 0) throw new Error("the reference did not start");
  }

  /** Watches until it is stopped; throws if it cannot go on. */
  async run(): Promise<void> {
    for (;;) {
      const stream = this.streams.at(-1);
      await stream?.until(() => this.#stopped);
      if (this.#stopped) return;
      const { status = "" } = stream?.end ?? {};
      if (!PASSING.has(status)) throw new Error(`the reference ended with ${status}`);
      await delay(PAUSE_MS);
      this.streams.push(this.#open());
    }
  }

  /** Ends it; what is open stays so until the channels close. */
  stop(): void {
    this.#stopped = true;
  }

  #open(): RecordedStream {
    const channel = this.#channels[this.streams.length % this.#channels.length];
    if (channel === undefined) throw new Error("there is no server");
    const last = this.streams.findLast(({ messages }) => messages.some(({ token }) => token !== ""));
    if (last === undefined) return this.#recorder.watch(channel, "reference", EVERYTHING);
    const messages = last.messages.findLastIndex(({ token }) => token !== "") + 1;
    const resumeToken = last.messages[messages - 1]?.token ?? "";
    const origin = { stream: last, messages, from: "message" } as const;
    return this.#recorder.watch(channel, "reference", { ...EVERYTHING, resumeToken }, origin);
  }
}
