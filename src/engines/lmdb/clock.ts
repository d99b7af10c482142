/** The store's clock: the process's, except that it never goes back behind what was committed. */
export class Clock {
  private last = 0;
  private held = false;

  constructor(private readonly source: () => number) {}

  /** Whole milliseconds since 1970. */
  now(): number {
    if (!this.held) this.last = Math.max(this.last, Math.floor(this.source()));
    return this.last;
  }

  /**
   * Stops the clock until `release`. A write that prolongs or deletes a document decides that it is live; until that
   * write is there to be read, no reader may find the old document expired, or it would come back from the dead.
   */
  hold(): void {
    this.held = true;
  }

  /** Lets the clock go on. */
  release(): void {
    this.held = false;
  }

  /** Makes sure that the clock is never before a time. */
  advanceTo(time: number): void {
    this.last = Math.max(this.last, time);
  }
}
