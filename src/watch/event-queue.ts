import type { Position } from "../store/changes.js";

/** What a watcher is told at a time: events that go out together or, without payloads, how far everything was told. */
export interface WatchStep {
  readonly payloads: readonly Uint8Array[];
  /** Everything up to it was told with this step. */
  readonly position: Position;
}

/** The encoded events of one change that a watcher is to get. */
interface Item {
  readonly position: Position;
  readonly payloads: readonly Uint8Array[];
  readonly bytes: number;
}

/** The events that wait for one watcher. */
export class EventQueue {
  #items: Item[] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#items.length === 0;
  }

  /** Changes that wait. */
  get length(): number {
    return this.#items.length;
  }

  /** Bytes that wait. Payloads are shared among watchers, so together these take less. */
  get bytes(): number {
    return this.#bytes;
  }

  add(position: Position, payloads: readonly Uint8Array[], bytes: number): void {
    this.#items.push({ position, payloads, bytes });
    this.#bytes += bytes;
  }

  /** The bytes of what take() would take; undefined if nothing waits. */
  next(maxBytes: number): number | undefined {
    return this.isEmpty ? undefined : this.#first(maxBytes).bytes;
  }

  /** Takes the first changes, as many as `maxBytes` hold, but at least one; the events of one change stay together. */
  take(maxBytes: number): WatchStep | undefined {
    const { count, bytes } = this.#first(maxBytes);
    const taken = this.#items.slice(0, count);
    const last = taken.at(-1);
    if (last === undefined) return undefined;
    this.#items = this.#items.slice(count);
    this.#bytes -= bytes;
    return { payloads: taken.flatMap(({ payloads }) => payloads), position: last.position };
  }

  clear(): void {
    this.#items = [];
    this.#bytes = 0;
  }

  #first(maxBytes: number): { readonly count: number; readonly bytes: number } {
    let bytes = 0;
    let count = 0;
    for (const item of this.#items) {
      if (count > 0 && bytes + item.bytes > maxBytes) break;
      bytes += item.bytes;
      count += 1;
    }
    return { count, bytes };
  }
}
