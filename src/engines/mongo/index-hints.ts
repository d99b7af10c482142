/**
 * Indexes that calls name, so that the server need not choose. The server refuses a call that names one which
 * somebody has dropped.
 */
export class IndexHints {
  readonly #lists = new Set<Map<string, string>>();
  readonly #listeners = new Set<() => void>();
  #losses = 0;

  /** How many times the names were given up: a call that began before the last time may have used one. */
  get losses(): number {
    return this.#losses;
  }

  /** Adds a list from which names are taken; whoever fills it does so again once it knows what is there. */
  add(names: Map<string, string>): void {
    this.#lists.add(names);
  }

  /** Hears when the names are given up, until the answer is called. */
  listen(onLoss: () => void): () => void {
    this.#listeners.add(onLoss);
    return () => void this.#listeners.delete(onLoss);
  }

  /** Gives up all names: a refusal does not tell which index is gone. */
  lose(): void {
    const used = [...this.#lists].filter(({ size }) => size > 0);
    if (used.length === 0) return;
    for (const names of used) names.clear();
    this.#losses += 1;
    for (const onLoss of this.#listeners) onLoss();
  }
}
