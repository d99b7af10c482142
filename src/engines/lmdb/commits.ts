/** Tells those who wait for changes of a collection that some may have come. */
export class Commits {
  private readonly waiting = new Set<() => void>();

  /** Call after every commit, once it can be read. Costs nothing while nobody waits. */
  notify(): void {
    for (const wake of this.waiting) wake();
  }

  /** Resolves with the next commit, or when one of the signals aborts; what is over already, the caller checks. */
  next(...ends: readonly AbortSignal[]): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.waiting.delete(wake);
        for (const end of ends) end.removeEventListener("abort", wake);
        resolve();
      };
      this.waiting.add(wake);
      for (const end of ends) end.addEventListener("abort", wake);
    });
  }
}
