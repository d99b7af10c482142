import type { Position } from "../store/changes.js";

/** Encoded events that go out together, and the place behind them. */
export interface TakenEvents {
  readonly payloads: readonly Uint8Array[];
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

  /** Takes the first changes, as many as `maxBytes` hold, but at least one; the events of one change stay together. */
  take(maxBytes: number): TakenEvents | undefined {
    const [first] = this.#items;
    if (first === undefined) return undefined;
    const payloads: Uint8Array[] = [];
    let { position } = first;
    let bytes = 0;
    let count = 0;
    for (const item of this.#items) {
      if (count > 0 && bytes + item.bytes > maxBytes) break;
      payloads.push(...item.payloads);
      bytes += item.bytes;
      position = item.position;
      count += 1;
    }
    this.#items = this.#items.slice(count);
    this.#bytes -= bytes;
    return { payloads, position };
  }

  clear(): void {
    this.#items = [];
    this.#bytes = 0;
  }
}
