/** How long the slices of all long works together may hold one turn of the event loop, in ms. */
const SHARE_MS = 2;

/** Divides the event loop among works that take longer than one turn: they wait for each other, calls do not. */
export class LoopShare {
  private spentMs = 0;
  private readonly waiting: (() => void)[] = [];
  private scheduled = false;

  /** Notes time that a slice took, and answers whether the turn's share is used up. */
  spend(ms: number): boolean {
    this.spentMs += ms;
    this.schedule();
    return this.spentMs >= SHARE_MS;
  }

  /** Resolves in a turn of the event loop in which there is time, in the order of asking. */
  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      this.schedule();
    });
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.spentMs = 0;
      this.waiting.shift()?.();
      if (this.waiting.length > 0) this.schedule();
    });
  }
}
