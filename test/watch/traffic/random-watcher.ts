import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "@grpc/grpc-js";
import type { Choices } from "../../race/random.js";
import type { TokenOrigin, WatchRequest } from "../checkers/history.js";
import type { RecordedStream } from "./recorded-stream.js";
import type { Recorder } from "./recorder.js";
import { anyRequest, anySelector } from "./world.js";

/** The longest that a stream is left open, in ms. */
const LONGEST_LIFE_MS = 2500;
/** The same for those that take one snapshot after the other. */
const SHORT_LIFE_MS = 150;
/** How long a watcher waits after a stream that failed, in ms. */
const PAUSE_MS = 50;

/** How a watcher goes about. */
export interface WatcherOptions {
  readonly name: string;
  /** Of its own, one per server. */
  readonly channels: readonly Client[];
  readonly recorder: Recorder;
  readonly choices: Choices;
  /** The longest that it does not read, in ms. */
  readonly pauseMs: number;
  readonly running: () => boolean;
}

/** One watcher that opens one stream after the other, with one selector, and leaves the last one open. */
export class RandomWatcher {
  readonly #options: WatcherOptions;
  readonly #selector: ReturnType<typeof anySelector>;
  /** Whether it only looks what is there, again and again. */
  readonly #restless: boolean;
  readonly #streams: RecordedStream[] = [];

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.#selector = anySelector(options.choices);
    this.#restless = options.choices.below(5) === 0;
  }

  /** The one that is open, or was last. */
  get last(): RecordedStream | undefined {
    return this.#streams.at(-1);
  }

  async run(): Promise<void> {
    const { choices, running } = this.#options;
    while (running()) {
      const stream = this.open();
      await this.#live(stream);
      // In the midst of anything: of a snapshot, or before STARTED.
      if (running()) stream.cancel();
      if (stream.messages.length === 0) await delay(PAUSE_MS);
      if (!this.#restless && choices.below(4) === 0) await delay(choices.below(LONGEST_LIFE_MS));
    }
    if (this.last?.end !== undefined) this.open();
  }

  /** Opens a stream on any server: resumed at any token, or fresh. */
  open(): RecordedStream {
    const { name, channels, recorder, choices } = this.#options;
    const origin = this.#restless ? undefined : this.#anyOrigin();
    const fresh = anyRequest(this.#selector, this.#restless || choices.below(3) === 0, choices);
    const request: WatchRequest =
      origin === undefined
        ? fresh
        : { ...fresh, snapshot: false, types: changeTypes(fresh), resumeToken: tokenOf(origin) };
    const stream = recorder.watch(choices.of(channels), name, request, origin);
    this.#streams.push(stream);
    return stream;
  }

  async #live(stream: RecordedStream): Promise<void> {
    const { choices, pauseMs } = this.#options;
    if (this.#restless) {
      await stream.until(({ messages }) => messages.some(({ kind }) => kind === "snapshot-complete"));
      return this.#wait(stream, choices.below(SHORT_LIFE_MS));
    }
    const lags = choices.below(3) === 0;
    const longest = lags ? 300 : choices.below(5) === 0 ? 30 : LONGEST_LIFE_MS;
    await this.#wait(stream, choices.below(longest));
    if (!lags) return undefined;
    stream.pause();
    await delay(choices.below(pauseMs));
    stream.unpause();
    return this.#wait(stream, choices.below(LONGEST_LIFE_MS));
  }

  /** Waits for a time, or until the stream or the traffic ends. */
  async #wait(stream: RecordedStream, ms: number): Promise<void> {
    const over = new AbortController();
    const time = delay(ms, undefined, { signal: over.signal }).catch(() => undefined);
    await Promise.race([time, stream.until(() => !this.#options.running())]);
    over.abort();
  }

  /** Mostly where the last stream was left, sometimes further back; now and then nowhere. */
  #anyOrigin(): TokenOrigin | undefined {
    const { choices } = this.#options;
    if (choices.below(5) === 0) return undefined;
    const stream = this.#streams.findLast(({ messages }) => messages.some(({ token }) => token !== ""));
    if (stream === undefined) return undefined;
    const origins: TokenOrigin[] = stream.messages.flatMap(({ token }, index) =>
      token === "" ? [] : [{ stream, messages: index + 1, from: "message" as const }],
    );
    const end: TokenOrigin = { stream, messages: stream.messages.length, from: "end" };
    if (stream.end !== undefined && stream.end.token !== "" && choices.below(4) > 0) return end;
    return choices.below(4) === 0 ? choices.of(origins) : origins.at(-1);
  }
}

function tokenOf({ stream, messages, from }: TokenOrigin): string {
  return (from === "end" ? stream.end?.token : stream.messages[messages - 1]?.token) ?? "";
}

function changeTypes({ types }: WatchRequest): WatchRequest["types"] {
  return types.filter((type) => type !== "existing");
}
