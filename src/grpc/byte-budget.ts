/** Bytes that all may have together; who finds too few left waits in line. */
export class ByteBudget {
  #used = 0;
  readonly #waiting: { readonly bytes: number; readonly grant: () => void }[] = [];

  constructor(private readonly most: number) {}

  /**
   * Takes bytes, which `release` must give back; more than there are in all, once nobody else has any. Waits for them in
   * the order of asking. Throws the signal's reason.
   */
  async acquire(bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#waiting.length === 0 && this.#fits(bytes)) {
      this.#used += bytes;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const grant = (): void => {
        signal.removeEventListener("abort", abort);
        resolve();
      };
      const asked = { bytes, grant };
      const abort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(asked), 1);
        reject(signal.reason);
        this.#grant();
      };
      this.#waiting.push(asked);
      signal.addEventListener("abort", abort, { once: true });
    });
  }

  release(bytes: number): void {
    this.#used -= bytes;
    this.#grant();
  }

  #grant(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#used += next.bytes;
      next.grant();
    }
  }

  #fits(bytes: number): boolean {
    return this.#used === 0 || this.#used + bytes <= this.most;
  }
}
