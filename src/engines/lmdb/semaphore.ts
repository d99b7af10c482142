/** Places of which there are only so many; who finds none waits in line. */
export class Semaphore {
  private readonly waiting = new Set<() => void>();

  constructor(private free: number) {}

  /**
   * Takes a place, which `release` must give back. Waits for one in the order of asking.
   *
   * @throws the reason of the first of the signals that aborts before there is a place
   */
  async acquire(...ends: readonly (AbortSignal | undefined)[]): Promise<void> {
    for (const end of ends) end?.throwIfAborted();
    if (this.free > 0) {
      this.free -= 1;
      return;
    }
    // Whoever gives a place back hands it on: the number of free ones stays.
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        this.waiting.delete(taken);
        for (const end of ends) end?.removeEventListener("abort", aborted);
      };
      const taken = (): void => {
        leave();
        resolve();
      };
      const aborted = (event: Event): void => {
        leave();
        reject((event.target as AbortSignal).reason);
      };
      this.waiting.add(taken);
      for (const end of ends) end?.addEventListener("abort", aborted);
    });
  }

  release(): void {
    const [next] = this.waiting;
    if (next === undefined) this.free += 1;
    else next();
  }
}
