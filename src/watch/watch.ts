import type { HistoryPoint } from "../store/changes.js";
import type { WatchStep } from "./event-queue.js";
import type { Watcher } from "./watcher.js";

/** What a watch asks of its hub. */
export interface WatchHome {
  /** Has a watcher brought what comes after the place that it has reached, if it is not and nothing waits for it. */
  attach(watcher: Watcher): void;
  /** Bytes of what can be handed out to it now; 0 if that is its place, undefined if there is nothing. */
  next(watcher: Watcher): number | undefined;
  /** Takes what can be handed out to it now, at most so many bytes or one change. */
  take(watcher: Watcher, maxBytes: number): WatchStep | undefined;
  release(watcher: Watcher): void;
}

/** A watch that has begun: changes after its beginning wait in it, or in the history, until they are asked for. */
export class Watch {
  readonly #release: () => void;

  constructor(
    private readonly home: WatchHome,
    private readonly watcher: Watcher,
    /** Where it begins. */
    readonly from: HistoryPoint,
    private readonly signal: AbortSignal,
  ) {
    const abort = (): void => watcher.wake();
    signal.addEventListener("abort", abort);
    this.#release = () => {
      signal.removeEventListener("abort", abort);
      home.release(watcher);
    };
  }

  /** Resolves when the history is known to hold its beginning. Throws as ready() does. */
  async begun(): Promise<void> {
    const { watcher, signal } = this;
    for (;;) {
      signal.throwIfAborted();
      if (watcher.failure !== undefined) throw watcher.failure;
      if (watcher.hasBegun) return;
      await watcher.woken();
    }
  }

  /**
   * Waits until there is something to tell, and answers its bytes: 0 if that is only the place.
   *
   * @throws what ended the source's reading, after all that came before it; the signal's reason at once
   */
  async ready(): Promise<number> {
    const { watcher, home, signal } = this;
    for (;;) {
      signal.throwIfAborted();
      home.attach(watcher);
      const bytes = home.next(watcher);
      if (bytes !== undefined) return bytes;
      if (watcher.failure !== undefined) throw watcher.failure;
      await watcher.woken();
    }
  }

  /** Takes what there is to tell, at most so many bytes or one change; undefined if it was taken back meanwhile. */
  take(maxBytes: number): WatchStep | undefined {
    return this.home.take(this.watcher, maxBytes);
  }

  /** Gives everything back. Idempotent. */
  close(): void {
    this.#release();
  }
}
