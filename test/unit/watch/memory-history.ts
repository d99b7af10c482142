import type {
  Change,
  ChangeBatch,
  ChangeSnapshot,
  ChangeSource,
  ChangeType,
  HistoryPoint,
  Position,
} from "../../../src/store/changes.js";
import { historyLost } from "../../../src/store/errors.js";

/** Changes that one batch holds at most. */
const BATCH = 16;

/** The place behind the nth change. */
export function placeOf(number: number): Position {
  return String(number).padStart(8, "0");
}

/** What a change is made of, if it is not the usual. */
export interface ChangeParts {
  readonly datasetId?: string;
  readonly storeName?: string;
  readonly key?: string;
  readonly types?: readonly ChangeType[];
}

/** A history in memory, which tests write: it shows how it is read. */
export class MemoryHistory implements ChangeSource {
  readonly changes: Change[] = [];
  /** The places from which reading began, in the order of beginning. */
  readonly reads: Position[] = [];
  /** Readings under way. */
  open = 0;
  /** Changes up to it are forgotten. */
  floor = 0;
  failure: unknown;
  /** Readings that begin here bring nothing. */
  stuckAt: Position | undefined;
  #wake: (() => void)[] = [];

  constructor(readonly history = "here") {}

  get end(): HistoryPoint {
    return { history: this.history, position: placeOf(this.changes.length) };
  }

  append({ datasetId = "", storeName = "s", key = "k", types = ["updated"] }: ChangeParts = {}): Position {
    const position = placeOf(this.changes.length + 1);
    const events = types.map((type) => ({ type, commitTime: 0, document: undefined, previous: undefined }));
    this.changes.push({ position, datasetId, storeName, key, events });
    this.#notify();
    return position;
  }

  /** Ends all readings. */
  fail(error: unknown): void {
    this.failure = error;
    this.#notify();
  }

  async now(): Promise<HistoryPoint> {
    return this.end;
  }

  async *read(after: HistoryPoint, _needs: unknown, signal: AbortSignal): AsyncGenerator<ChangeBatch> {
    let number = Number(after.position);
    this.reads.push(after.position);
    this.open += 1;
    try {
      for (;;) {
        if (this.failure !== undefined) throw this.failure;
        signal.throwIfAborted();
        if (after.position === this.stuckAt) {
          await this.#changed(signal);
          continue;
        }
        if (number < this.floor || number > this.changes.length) throw historyLost("it is forgotten");
        const changes = this.changes.slice(number, number + BATCH);
        number += changes.length;
        if (changes.length === 0) await this.#changed(signal);
        else yield { changes, position: placeOf(number) };
      }
    } finally {
      this.open -= 1;
    }
  }

  snapshot(): Promise<ChangeSnapshot> {
    throw new Error("of no use here");
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        signal.removeEventListener("abort", end);
        resolve();
      };
      this.#wake.push(end);
      signal.addEventListener("abort", end);
    });
  }
}
