/** One who waits: the caller's turn has come, or the queue is cleared. */
type Waiter = (turn: boolean) => void;

/** Lets so many tasks run at once; the rest wait their turn, first come, first served. */
export class CallQueue {
  readonly #waiting = new Set<Waiter>();
  readonly #maxWaiting: number;
  #free: number;

  /**
   * @param size how many run at once
   * @param maxWaiting how many may wait; more are turned away
   */
  constructor(size: number, maxWaiting: number) {
    this.#free = size;
    this.#maxWaiting = maxWaiting;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Takes a turn if one is free. Who has one calls release() exactly once. */
  tryEnter(): boolean {
    if (this.#free === 0) return false;
    this.#free -= 1;
    return true;
  }

  /**
   * Resolves to true when the caller has a turn; to false if too many wait already, if none comes within the time, or
   * if the queue is cleared. Rejects with the signal's reason.
   *
   * @param ms how long to wait at most, in milliseconds
   */
  enter(ms: number, signal: AbortSignal | undefined): Promise<boolean> {
    if (this.tryEnter()) return Promise.resolve(true);
    if (this.#waiting.size >= this.#maxWaiting) return Promise.resolve(false);
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(waiter);
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
      };
      const waiter: Waiter = (turn) => {
        leave();
        resolve(turn);
      };
      const abort = (): void => {
        leave();
        reject(signal?.reason);
      };
      const timer = setTimeout(waiter, ms, false);
      this.#waiting.add(waiter);
      signal?.addEventListener("abort", abort);
      if (signal?.aborted === true) abort();
    });
  }

  /** Ends a turn. */
  release(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#free += 1;
    else next(true);
  }

  /** Sends all away who wait. */
  clear(): void {
    for (const waiter of this.#waiting) waiter(false);
  }
}
