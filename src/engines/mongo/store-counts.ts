/** Contexts with fewer stores are not worth remembering. */
const FEW = 100;
/** Contexts that are remembered; beyond them, the one that was learnt longest ago is forgotten. */
const MOST_CONTEXTS = 1_000;

/** About how many stores the contexts of a collection have, by what the last listings found. */
export class StoreCounts {
  readonly #counts = new Map<string, number>();

  /** The number of a context's stores when it was last seen; 0 if it was small, or not seen yet. */
  of(datasetId: string): number {
    return this.#counts.get(datasetId) ?? 0;
  }

  learn(datasetId: string, count: number): void {
    this.#counts.delete(datasetId);
    if (count < FEW) return;
    this.#counts.set(datasetId, count);
    const [oldest] = this.#counts.keys();
    if (oldest !== undefined && this.#counts.size > MOST_CONTEXTS) this.#counts.delete(oldest);
  }
}
