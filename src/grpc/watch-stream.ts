import { setTimeout as delay } from "node:timers/promises";
import { StoreError } from "../store/errors.js";
import { MAX_TIMER_MS } from "../store/limits.js";
import type { ByteBudget } from "./byte-budget.js";
import type { EncodedMessage } from "./definition.js";
import { StreamMessage } from "./stream-message.js";

function tooSlow(stallMs: number): StoreError {
  return new StoreError(
    "WATCH_TOO_SLOW",
    `a message waited for ${stallMs} ms without being read; read faster, ask for fewer keys, for encoding NONE or without previous values, and resume with the token`,
  );
}

/** Messages from this size on share a budget: each is copied for its connection, and many together would be too much. */
const LARGE_BYTES = 256 * 1024;

/** Whether a promise settles in time. It is passed on if it is rejected by then. */
export async function settles(promise: Promise<unknown>, withinMs: number): Promise<boolean> {
  const timer = new AbortController();
  try {
    const late = delay(Math.min(withinMs, MAX_TIMER_MS), false, { signal: timer.signal });
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    timer.abort();
  }
}

/** The messages of one watch on their way: at most two are in memory, and of large ones no more than the budget has. */
export class WatchStream {
  /** That of the last message that was sent; undefined if none had one. */
  resumeToken: string | undefined;
  /** What the last message that was taken has of the budget, the one after it, and one that is yet to be made. */
  #held = 0;
  #next = 0;
  #granted = 0;
  #asked: Promise<void> | undefined;
  #closed = false;

  constructor(
    readonly signal: AbortSignal,
    private readonly stallMs: number,
    private readonly budget: ByteBudget,
  ) {}

  /**
   * Whether the last message was so large that it is to be known when it has left. That is when the next one is taken,
   * so one that says nothing is to follow it at once.
   */
  get isHeavy(): boolean {
    return this.#held > 0;
  }

  /** Makes the next message, to be yielded and then waited for. */
  message(bytes: EncodedMessage, resumeToken?: string): StreamMessage {
    if (resumeToken !== undefined) this.resumeToken = resumeToken;
    this.#next = this.#granted;
    this.#granted = 0;
    return new StreamMessage(bytes);
  }

  /** The same for one that says nothing new, to show while something is waited for that this side lives. */
  sign(bytes: EncodedMessage): StreamMessage {
    return new StreamMessage(bytes);
  }

  /** Whether there is room for a message of so many bytes: always for a small one. */
  hasRoom(bytes: number): boolean {
    return bytes < LARGE_BYTES || this.#granted > 0;
  }

  /**
   * Waits until there is room for a message of so many bytes, at most for a while: to be asked again until there is. Not
   * while the last message is heavy: all could wait for each other.
   */
  async room(bytes: number, withinMs: number): Promise<boolean> {
    if (this.hasRoom(bytes)) return true;
    this.#asked ??= this.#acquire(bytes);
    return settles(this.#asked, withinMs);
  }

  /** Gives back what it took of the budget. */
  close(): void {
    this.#closed = true;
    this.budget.release(this.#held + this.#next + this.#granted);
    this.#held = 0;
    this.#next = 0;
    this.#granted = 0;
  }

  #acquire(bytes: number): Promise<void> {
    const acquired = this.budget.acquire(bytes, this.signal).then(() => {
      this.#asked = undefined;
      this.#granted = bytes;
      // Nobody waits for it any more.
      return this.#closed ? this.close() : undefined;
    });
    // It may fail while this side shows that it lives.
    acquired.catch(() => undefined);
    return acquired;
  }

  /** A message is taken: the one before it has left. */
  #passed(): void {
    if (this.#held > 0) this.budget.release(this.#held);
    this.#held = this.#next;
    this.#next = 0;
  }

  /**
   * Waits until a message is on its way: until those before it have left.
   *
   * @throws StoreError WATCH_TOO_SLOW if it is not in time; the signal's reason
   */
  async taken(message: StreamMessage): Promise<void> {
    if (!message.isTaken) await this.#waitFor(message);
    this.#passed();
  }

  async #waitFor(message: StreamMessage): Promise<void> {
    const { signal, stallMs } = this;
    await new Promise<void>((resolve, reject) => {
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
        settle();
      };
      const abort = (): void => end(() => reject(signal.reason));
      const giveUp = (): void => end(() => reject(tooSlow(stallMs)));
      // The event loop may have been held up instead: what is there to be taken is taken first.
      const timer = setTimeout(() => setImmediate(() => message.isTaken || giveUp()), stallMs);
      message.onTaken(() => end(resolve));
      signal.addEventListener("abort", abort);
      if (signal.aborted) abort();
    });
  }
}
