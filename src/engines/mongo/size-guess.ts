/** A guess at the size of the documents to come, from those that came. */
export class SizeGuess {
  #bytes = 256;

  /** Learns from a group; large ones count at once, small ones in time. */
  learn(bytes: number, documents: number): void {
    if (documents === 0) return;
    const mean = bytes / documents;
    this.#bytes = mean > this.#bytes ? mean : this.#bytes * 0.7 + mean * 0.3;
  }

  /** How many documents are about so many bytes; at least 1. */
  documentsIn(bytes: number): number {
    return Math.max(1, Math.floor(bytes / this.#bytes));
  }
}
