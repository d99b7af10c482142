import { setMaxListeners } from "node:events";
import {
  type Change,
  type ChangeBatch,
  type HistoryPoint,
  later,
  type Position,
  type WatchNeeds,
} from "../../../store/changes.js";
import { historyLost } from "../../../store/errors.js";
import { MAX_TIMER_MS } from "../../../store/limits.js";
import type { CallQueue } from "../call-queue.js";
import { databaseBusy, databaseUnreachable } from "../errors.js";
import type { StreamReply, StreamSubject } from "./change-stream.js";
import type { ClusterClock } from "./cluster-clock.js";
import type { Patience } from "./patience.js";
import { isPosition, timeOfPosition } from "./position.js";
import { resumingStream } from "./resuming-stream.js";
import { Ring } from "./ring.js";
import { previousUnavailable } from "./stream-errors.js";

/** How long the server may be silent before the end of the history, in ms: it may have all of the oplog to go through, and answers only when it comes to a change or the end. */
const CATCH_UP_SILENCE_MS = 15 * 60_000;

/** The events that tell of a document; others tell that the collection is gone, and then nothing follows. */
const OF_DOCUMENTS: ReadonlySet<string> = new Set(["insert", "update", "replace", "delete"]);

/** What a shared stream is made of. */
export interface SharedStreamOptions {
  readonly subject: StreamSubject;
  readonly clock: ClusterClock;
  /** Names the history. */
  readonly history: string;
  /** Where it begins. */
  readonly start: Position;
  /** Turns of those who read older parts. */
  readonly turns: CallQueue;
  readonly patience: Patience;
  /** Called once, when it has ended. */
  readonly onEnd: () => void;
}

/** The one change stream of a collection that all readers at the end of its history share. */
export class SharedStream {
  readonly history: string;
  readonly #options: SharedStreamOptions;
  readonly #ring: Ring;
  readonly #ending = new AbortController();

  constructor(options: SharedStreamOptions) {
    this.history = options.history;
    this.#options = options;
    this.#ring = new Ring(options.start);
    setMaxListeners(0, this.#ending.signal);
    void this.#fill();
  }

  /** Whether previous documents, and older parts of the history, are to be had. */
  get hasImages(): boolean {
    return this.#options.subject.view.hasImages;
  }

  /** Ends it, and its readers with an error. */
  close(error: Error): void {
    this.#ending.abort(error);
  }

  /** See ChangeSource.read. */
  async *read(
    { history, position: after }: HistoryPoint,
    needs: WatchNeeds,
    signal: AbortSignal,
  ): AsyncGenerator<ChangeBatch, never, undefined> {
    if (needs.previous && !this.hasImages) throw previousUnavailable();
    if (history !== this.history)
      throw historyLost("it is of another collection, or of one that was dropped");
    if (!isPosition(after)) throw historyLost("there is no such place");
    await this.#checkNotAhead(after, signal);
    let position = after;
    for (;;) {
      signal.throwIfAborted();
      if (!this.#ring.covers(position)) position = yield* this.#catchUp(position, signal);
      const batch = this.#ring.after(position);
      if (batch === undefined) await this.#ring.more(signal);
      else {
        position = batch.position;
        yield batch;
      }
    }
  }

  /** A place that is later than all that a majority has is of a history that was undone, as by a restored backup. */
  async #checkNotAhead(position: Position, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const time = timeOfPosition(position);
    if (position <= this.#ring.end || time <= clock.latest) return;
    if (time > (await clock.advance({ signal }))) throw historyLost("it is ahead of the database");
  }

  /** Reads by a stream of its own until the ring has all that follows; answers where that is. */
  async *#catchUp(after: Position, signal: AbortSignal): AsyncGenerator<ChangeBatch, Position, undefined> {
    const { subject, turns, patience } = this.#options;
    this.#ring.throwIfEnded();
    if (!this.hasImages) {
      throw historyLost(
        "without pre- and post-images, only what came since the watch began is known, and not for long",
      );
    }
    if (!(await turns.enter(MAX_TIMER_MS, signal))) throw databaseBusy("read");
    try {
      let position = after;
      const ends = AbortSignal.any([signal, this.#ending.signal]);
      const { lostMs } = patience;
      const options = { after, silenceMs: CATCH_UP_SILENCE_MS, lostMs, signal: ends };
      for await (const reply of resumingStream(subject, options)) {
        const { failure, ...read } = this.#changesOf(reply);
        const batch = behind(position, read);
        if (batch.position > position) {
          position = batch.position;
          yield batch;
        }
        if (failure !== undefined) throw failure.error;
        this.#ring.throwIfEnded();
        if (this.#ring.covers(position)) return position;
      }
      throw new Error("the stream has no end");
    } finally {
      turns.release();
    }
  }

  async #fill(): Promise<void> {
    const { subject, start, clock, patience, onEnd } = this.#options;
    const { signal } = this.#ending;
    const { silenceMs, lostMs } = patience;
    const advance = new Advance(clock, patience, signal);
    // What was there before `start` has an end then, so that who catches up soon gets here.
    advance.push();
    try {
      for await (const reply of resumingStream(subject, { after: start, silenceMs, lostMs, signal })) {
        const { failure, ...read } = this.#changesOf(reply);
        this.#ring.push({ ...behind(this.#ring.end, read), bytes: reply.bytes });
        if (failure !== undefined) throw failure.error;
        advance.check(this.#ring.end);
      }
    } catch (error) {
      this.#ring.fail(error);
      onEnd();
    }
  }

  /** The changes of a reply; only those before an event that ends the history, if there is one. */
  #changesOf({ events, position }: StreamReply): Reading {
    const { view } = this.#options.subject;
    const changes: Change[] = [];
    try {
      for (const event of events) {
        if (!OF_DOCUMENTS.has(event.type)) continue;
        for (const change of view.changesOf(event)) changes.push(change);
      }
      return { changes, position };
    } catch (error) {
      return { changes, position: "", failure: { error } };
    }
  }
}

/** What was read of a reply. */
interface Reading extends ChangeBatch {
  /** What ends the history behind the changes. */
  readonly failure?: { readonly error: unknown };
}

/** What comes behind a place: a stream that is opened again may begin before it. */
function behind(after: Position, { changes, position }: ChangeBatch): ChangeBatch {
  const left = changes.filter((change) => change.position > after);
  const last = left.at(-1)?.position ?? after;
  return { changes: left, position: later(later(after, last), position) };
}

/** Makes sure that the time of the history goes on, also where nobody writes. */
class Advance {
  readonly #clock: ClusterClock;
  readonly #patience: Patience;
  readonly #signal: AbortSignal;
  #time = "";
  #since = performance.now();
  #pushed = false;

  constructor(clock: ClusterClock, patience: Patience, signal: AbortSignal) {
    this.#clock = clock;
    this.#patience = patience;
    this.#signal = signal;
  }

  push(): void {
    this.#pushed = true;
    // If it fails, the time stands still.
    this.#clock.advance({ signal: this.#signal }).catch(() => undefined);
  }

  /** To be called again and again. Throws UNAVAILABLE when the time has stood still for too long. */
  check(position: Position): void {
    const time = timeOfPosition(position);
    if (time !== this.#time) {
      this.#time = time;
      this.#since = performance.now();
      this.#pushed = false;
      return;
    }
    const still = performance.now() - this.#since;
    if (still >= this.#patience.stallMs) throw databaseUnreachable("read", "NOT_APPLIED");
    if (still >= this.#patience.pushAfterMs && !this.#pushed) this.push();
  }
}
