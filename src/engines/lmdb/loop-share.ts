/** How long the slices of all long works together may hold one turn of the event loop, in ms. */
const SHARE_MS = 2;
/** Long works that may hold a snapshot at the same time; LMDB keeps old pages for each. */
const MAX_SNAPSHOTS = 8;

/** Divides the event loop among works that take longer than one turn: they wait for each other, calls do not. */
export class LoopShare {
  private spentMs = 0;
  private readonly waiting: (() => void)[] = [];
  private scheduled = false;
  private snapshots = 0;
  private readonly snapshotWaiting: (() => void)[] = [];

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

  /** Waits for one of the few snapshots; `releaseSnapshot` must follow. */
  async acquireSnapshot(): Promise<void> {
    if (this.snapshots >= MAX_SNAPSHOTS) {
      // Whoever gives a snapshot back hands it on: the number stays.
      await new Promise<void>((resolve) => this.snapshotWaiting.push(resolve));
    } else {
      this.snapshots += 1;
    }
  }

  releaseSnapshot(): void {
    const next = this.snapshotWaiting.shift();
    if (next === undefined) this.snapshots -= 1;
    else next();
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
