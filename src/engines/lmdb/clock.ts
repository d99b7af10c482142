/** The store's clock: the process's, except that it never goes back behind what was committed. */
export class Clock {
  private last = 0;

  constructor(private readonly source: () => number) {}

  /** Whole milliseconds since 1970. */
  now(): number {
    this.last = Math.max(this.last, Math.floor(this.source()));
    return this.last;
  }

  /** Makes sure that the clock is never before a time. */
  advanceTo(time: number): void {
    this.last = Math.max(this.last, time);
  }
}
