import type { WatchKeysRequest } from "../../gen/ts/execution_store/v1/execution_store.js";
import type { ChangeSource, HistoryPoint } from "../store/changes.js";
import type { WatchableEngine } from "../store/engine.js";
import { isStoreError, type StoreError, withResumeToken } from "../store/errors.js";
import type { WatchStep } from "../watch/event-queue.js";
import { WatchHub } from "../watch/hub.js";
import { DEFAULT_WATCH_LIMITS, type WatchLimits } from "../watch/limits.js";
import type { Watch } from "../watch/watch.js";
import { ByteBudget } from "./byte-budget.js";
import type { HandlerOptions } from "./call.js";
import { encodeChange } from "./event-payload.js";
import { RequestCheck } from "./request-check.js";
import type { ResumeTokens } from "./resume-token.js";
import { ResumeTokenPool } from "./resume-token-pool.js";
import type { StreamMessage } from "./stream-message.js";
import {
  MAX_EVENTS_BYTES,
  StepMessages,
  snapshotCompleteMessage,
  snapshotMessage,
  snapshotMessages,
  startedMessage,
} from "./watch-messages.js";
import { type AskedWatch, watchOf } from "./watch-request.js";
import { settles, WatchStream } from "./watch-stream.js";

/** How watches are served. */
export interface WatchOptions {
  /** The least interval of progress messages, in milliseconds. @default 1000 */
  readonly minProgressMs?: number;
  /** How long a message may wait for a client that does not read, in milliseconds. @default 30_000 */
  readonly stallMs?: number;
  /** What the watches of one collection may hold. */
  readonly limits?: Partial<WatchLimits>;
}

/** WatchKeys over an engine's changes. */
export class WatchKeys {
  readonly #hubs = new Map<string, WatchHub>();
  readonly #tokens = new ResumeTokenPool();
  readonly #messages = new StepMessages();
  readonly #budget: ByteBudget;
  readonly #minProgressMs: number;
  readonly #stallMs: number;

  constructor(
    private readonly engine: WatchableEngine,
    private readonly collections: ReadonlySet<string>,
    private readonly options: WatchOptions = {},
  ) {
    this.#minProgressMs = options.minProgressMs ?? 1000;
    this.#stallMs = options.stallMs ?? 30_000;
    this.#budget = new ByteBudget(options.limits?.totalBytes ?? DEFAULT_WATCH_LIMITS.totalBytes);
  }

  /** The stream of one watch. It ends by throwing; the error has the last token that was sent, if it can be used. */
  watch(request: WatchKeysRequest, { signal }: HandlerOptions): AsyncGenerator<StreamMessage> {
    const check = new RequestCheck(this.collections);
    const asked = watchOf(request, check, this.#minProgressMs);
    check.done();
    return this.#stream(asked, new WatchStream(signal, this.#stallMs, this.#budget));
  }

  /**
   * STARTED, and SNAPSHOT and SNAPSHOT_COMPLETE where they were asked for; then all that comes, without end. One
   * generator for all of it: thousands of them are suspended at a time.
   */
  async *#stream(asked: AskedWatch, stream: WatchStream): AsyncGenerator<StreamMessage> {
    const hub = this.#hub(asked.collection);
    let watch: Watch | undefined;
    let tokens: ResumeTokens | undefined;
    try {
      const from = asked.snapshot ? yield* snapshotOf(hub.source, asked, stream) : asked.from;
      watch = await hub.open(asked, from, stream.signal);
      tokens = this.#tokens.acquire(asked.collection, asked.selector, watch.from.history);
      await watch.begun();
      let token = tokens.at(watch.from.position);
      let bytes = asked.snapshot ? snapshotCompleteMessage(token) : startedMessage(asked.progressMs, token);
      for (;;) {
        const message = stream.message(bytes, token);
        yield message;
        await stream.taken(message);
        if (stream.isHeavy) {
          const progress = stream.sign(this.#messages.make([], token));
          yield progress;
          await stream.taken(progress);
        }
        let step: WatchStep | undefined;
        do {
          // Room before the message is made: it is a copy of what others share.
          const bytesReady = await watch.ready();
          while (!stream.hasRoom(bytesReady) && !(await stream.room(bytesReady, asked.progressMs))) {
            const waiting = stream.sign(this.#messages.make([], token));
            yield waiting;
            await stream.taken(waiting);
          }
          step = watch.take(bytesReady);
        } while (step === undefined);
        token = tokens.at(step.position);
        bytes = this.#messages.make(step.payloads, token);
      }
    } catch (error) {
      throw isStoreError(error) && mayResume(error) ? withResumeToken(error, stream.resumeToken) : error;
    } finally {
      if (tokens !== undefined) this.#tokens.release(tokens);
      watch?.close();
      stream.close();
    }
  }

  #hub(collection: string): WatchHub {
    let hub = this.#hubs.get(collection);
    if (hub === undefined) {
      hub = new WatchHub({
        source: this.engine.changes(collection),
        encode: encodeChange,
        stepBytes: MAX_EVENTS_BYTES,
        ...(this.options.limits !== undefined && { limits: this.options.limits }),
      });
      this.#hubs.set(collection, hub);
    }
    return hub;
  }
}

/** Whether a watch that ended so can go on at its last token. */
function mayResume({ kind }: StoreError): boolean {
  return kind === "UNAVAILABLE" || kind === "RESOURCE_EXHAUSTED";
}

/** STARTED and what is there; the place to go on from. */
async function* snapshotOf(
  source: ChangeSource,
  { selector, form, existing, progressMs }: AskedWatch,
  stream: WatchStream,
): AsyncGenerator<StreamMessage, HistoryPoint> {
  const { signal } = stream;
  // Whether previous documents are to be had is said before anything is sent.
  await source.now({ previous: form.previous }, { signal });
  const snapshot = await source.snapshot(selector, form.values !== "none", { signal });
  try {
    const started = stream.message(startedMessage(progressMs, ""));
    yield started;
    await stream.taken(started);
    if (!existing) return snapshot;
    const pages = snapshot.pages();
    for (;;) {
      const next = pages.next();
      while (!(await settles(next, progressMs))) yield* signOfLife(stream);
      const { done, value: documents } = await next;
      if (done === true) break;
      for (const bytes of snapshotMessages(documents, form.values)) {
        while (!(await stream.room(bytes.length, progressMs))) yield* signOfLife(stream);
        const message = stream.message(bytes);
        yield message;
        await stream.taken(message);
        if (stream.isHeavy) yield* signOfLife(stream);
      }
    }
    return snapshot;
  } finally {
    snapshot.close();
  }
}

/** A SNAPSHOT without documents: no message before the snapshot is complete has a token, so none is a PROGRESS. */
async function* signOfLife(stream: WatchStream): AsyncGenerator<StreamMessage> {
  const sign = stream.sign(snapshotMessage([]));
  yield sign;
  await stream.taken(sign);
}
