import type { HistoryPoint } from "../store/changes.js";
import type { Watcher, WatchRequest, WatchStep } from "./watcher.js";

/** What a watch asks of its hub. */
export interface WatchHome {
  /** Has a watcher brought what comes after the place that it has reached, unless it is. */
  attach(watcher: Watcher): void;
  /** Takes what can be handed out to it now. */
  take(watcher: Watcher): WatchStep | undefined;
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

  get request(): WatchRequest {
    return this.watcher.request;
  }

  /** Resolves when the history is known to hold its beginning. Throws as next() does. */
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
   * Waits for what is to be told next. One call at a time.
   *
   * @throws what ended the source's reading, after all that came before it; the signal's reason at once
   */
  async next(): Promise<WatchStep> {
    const { watcher, home, signal } = this;
    for (;;) {
      signal.throwIfAborted();
      const step = home.take(watcher);
      if (step !== undefined) return step;
      if (watcher.failure !== undefined) throw watcher.failure;
      home.attach(watcher);
      await watcher.woken();
    }
  }

  /** Gives everything back. Idempotent. */
  close(): void {
    this.#release();
  }
}
