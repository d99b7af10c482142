/** Within an octave values are told apart to one part in so many. */
const PARTS = 128;
const PART_BITS = 7;
const LARGEST = 2 ** 31 - 1;
const BUCKETS = (32 - PART_BITS) * PARTS;

function bucketOf(value: number): number {
  const shift = Math.max(0, 31 - Math.clz32(value) - PART_BITS);
  return shift * PARTS + (value >> shift);
}

/** The largest value of a bucket. */
function largestOf(bucket: number): number {
  const shift = Math.max(0, Math.floor(bucket / PARTS) - 1);
  return (bucket - shift * PARTS + 1) * 2 ** shift - 1;
}

/** A histogram as it travels between processes: counts by bucket, for those that have any, and the largest value. */
export interface HistogramData {
  readonly counts: readonly (readonly [bucket: number, count: number])[];
  readonly max: number;
}

/** Any number of whole values, such as microseconds; exact below 256, and to 1 % up to 2^31. */
export class Histogram {
  readonly #counts = new Float64Array(BUCKETS);
  #count = 0;
  #max = 0;

  get count(): number {
    return this.#count;
  }

  /** The largest value, exactly. NaN for none. */
  get max(): number {
    return this.#count === 0 ? Number.NaN : this.#max;
  }

  /** Counts a value; one below 0 or beyond the largest as that. */
  record(value: number): void {
    const bounded = Math.min(Math.max(0, Math.floor(value)), LARGEST);
    const bucket = bucketOf(bounded);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count += 1;
    this.#max = Math.max(this.#max, bounded);
  }

  /** The smallest value, as far as they are told apart, that `share` of all are not above. NaN for none. */
  quantile(share: number): number {
    const wanted = Math.max(1, Math.ceil(share * this.#count));
    let seen = 0;
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count;
      if (seen >= wanted) return Math.min(largestOf(bucket), this.#max);
    }
    return Number.NaN;
  }

  /** Adds all values of another one. */
  add({ counts, max }: HistogramData): void {
    for (const [bucket, count] of counts) {
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count;
      this.#count += count;
    }
    this.#max = Math.max(this.#max, max);
  }

  data(): HistogramData {
    return { counts: [...this.#counts.entries()].filter(([, count]) => count > 0), max: this.#max };
  }
}
