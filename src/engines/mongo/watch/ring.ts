import { type Change, type ChangeBatch, later, type Position } from "../../../store/changes.js";
import { untilAborted } from "../until-aborted.js";

/** How much of the latest history is kept in memory: bytes, and changes. */
const MAX_BYTES = 32 * 1024 * 1024;
const MAX_CHANGES = 100_000;
/** Changes, and bytes of them, that are handed out together, unless a single reply of the server has more. */
const BATCH_CHANGES = 500;
const BATCH_BYTES = 3 * 1024 * 1024;
/** How many places at the front may be empty before the rest moves up. */
const MAX_GAP = 1_024;

/** Changes that came together. */
export interface Portion {
  readonly changes: readonly Change[];
  /** Everything up to it is in this portion or in those before. */
  readonly position: Position;
  /** How much memory they hold. */
  readonly bytes: number;
}

/** How much a ring keeps. */
export interface RingLimits {
  readonly maxBytes: number;
  readonly maxChanges: number;
}

/** The latest part of a history, in memory, for any number of readers, each at its own place. */
export class Ring {
  readonly #limits: RingLimits;
  /** In order; those before `#first` are gone. */
  readonly #portions: Portion[] = [];
  #first = 0;
  #start: Position;
  #end: Position;
  #bytes = 0;
  #changes = 0;
  #failure: { readonly error: unknown } | undefined;
  /** Settles at the next change of the ring, for those who wait. */
  #next: Promise<void> | undefined;
  #wake = (): void => undefined;

  constructor(start: Position, limits: RingLimits = { maxBytes: MAX_BYTES, maxChanges: MAX_CHANGES }) {
    this.#start = start;
    this.#end = start;
    this.#limits = limits;
  }

  /** Everything up to it has come. */
  get end(): Position {
    return this.#end;
  }

  /** Whether all that comes after a place is here. */
  covers(position: Position): boolean {
    return position >= this.#start;
  }

  /** Adds what came next. */
  push(portion: Portion): void {
    this.#end = later(this.#end, portion.position);
    if (portion.changes.length > 0) {
      this.#portions.push(portion);
      this.#bytes += portion.bytes;
      this.#changes += portion.changes.length;
      this.#forget();
    }
    this.#wake();
  }

  /** Ends the ring: readers who have read all that is here get the error. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }

  /** Throws what the ring ended with, if it has. */
  throwIfEnded(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** What comes after a place that the ring covers; undefined if nothing does yet. */
  after(position: Position): ChangeBatch | undefined {
    if (position >= this.#end) return undefined;
    const index = this.#findAfter(position);
    const first = this.#portions[index];
    if (first === undefined) return { changes: [], position: this.#end };
    const changes = first.changes.filter((change) => change.position > position);
    let last = first;
    let bytes = first.bytes;
    for (let next = index + 1; next < this.#portions.length; next += 1) {
      const portion = this.#portions[next];
      if (portion === undefined || changes.length + portion.changes.length > BATCH_CHANGES) break;
      bytes += portion.bytes;
      if (bytes > BATCH_BYTES) break;
      for (const change of portion.changes) changes.push(change);
      last = portion;
    }
    return { changes, position: last === this.#portions.at(-1) ? this.#end : last.position };
  }

  /** Resolves when more has come. Throws the signal's reason, or what the ring ended with. */
  async more(signal: AbortSignal): Promise<void> {
    this.throwIfEnded();
    this.#next ??= new Promise((resolve) => {
      this.#wake = () => {
        this.#next = undefined;
        resolve();
      };
    });
    await untilAborted(this.#next, signal);
  }

  /** The first portion with changes behind a place. */
  #findAfter(position: Position): number {
    let low = this.#first;
    let high = this.#portions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#portions[middle]?.position ?? "") > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #forget(): void {
    const { maxBytes, maxChanges } = this.#limits;
    while (this.#bytes > maxBytes || this.#changes > maxChanges) {
      const oldest = this.#portions[this.#first];
      if (oldest === undefined || this.#first === this.#portions.length - 1) break;
      this.#start = oldest.position;
      this.#bytes -= oldest.bytes;
      this.#changes -= oldest.changes.length;
      this.#portions[this.#first] = FORGOTTEN;
      this.#first += 1;
    }
    if (this.#first < MAX_GAP) return;
    this.#portions.splice(0, this.#first);
    this.#first = 0;
  }
}

const FORGOTTEN: Portion = { changes: [], position: "", bytes: 0 };
