import {
  type Change,
  type ChangeType,
  type HistoryPoint,
  later,
  type Position,
  type Selector,
} from "../store/changes.js";
import { EventQueue, type WatchStep } from "./event-queue.js";
import type { Feed } from "./feed.js";

/** The form in which a watcher wants events: watchers that want the same share the payloads. */
export interface EventForm {
  readonly values: "json" | "bson" | "none";
  readonly previous: boolean;
}

/** What a watch is to tell. */
export interface WatchRequest {
  readonly selector: Selector;
  /** The types of events to tell; undefined: all. */
  readonly types: { has(type: ChangeType): boolean } | undefined;
  /** One object for all watchers that want the same form. */
  readonly form: EventForm;
  /** How often to tell the place when there is nothing else to tell, in milliseconds. */
  readonly progressMs: number;
}

/**
 * One watcher: what waits for it, and where it stands. It is *live* or *catching up* while a feed brings it changes,
 * and *lagging* when more came than it may hold: it gets what waits, and then the rest from history.
 */
export class Watcher {
  readonly selector: Selector;
  readonly #queue = new EventQueue();
  /** Brings it changes; undefined while it waits for one, or is lagging. */
  feed: Feed | undefined;
  /** Changes up to it are not for this watcher any more: they wait, were handed out, or were before its beginning. */
  reached: Position;
  /** Everything up to it has been handed out. */
  told: Position;
  /** Names the history that it is told. */
  readonly history: string;
  #hasBegun = false;
  /** Whether its place is to be told now. */
  progressDue = false;
  /** When something was last handed out, by performance.now(). */
  toldAt = performance.now();
  #failure: unknown;
  #wake: (() => void) | undefined;

  constructor(
    readonly request: WatchRequest,
    from: HistoryPoint,
  ) {
    this.selector = request.selector;
    this.history = from.history;
    this.reached = from.position;
    this.told = from.position;
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#queue.bytes;
  }

  /** Changes that wait. */
  get length(): number {
    return this.#queue.length;
  }

  /** What ended it; it is thrown when all that waits has been handed out. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Whether it wants events of a change. */
  wants({ position, events }: Change): boolean {
    if (position <= this.reached) return false;
    const { types } = this.request;
    return types === undefined || events.some(({ type }) => types.has(type));
  }

  add(position: Position, payloads: readonly Uint8Array[], bytes: number): void {
    this.#queue.add(position, payloads, bytes);
    this.reached = position;
    this.wake();
  }

  /** Forgets what waits: it is to be read again. Answers the bytes that it took. */
  forget(): number {
    const { bytes } = this.#queue;
    this.#queue.clear();
    this.reached = this.told;
    return bytes;
  }

  /** Bytes of what take() would hand out; 0 if that is only the place, undefined if there is nothing. */
  next(maxBytes: number): number | undefined {
    return this.#queue.next(maxBytes) ?? (this.progressDue ? 0 : undefined);
  }

  /** What can be handed out now. */
  take(maxBytes: number): WatchStep | undefined {
    const taken = this.#queue.take(maxBytes);
    if (taken === undefined) return this.#progress();
    // With nothing left, the feed's own place is as good, and further on.
    return this.#hand(taken.payloads, this.#queue.isEmpty ? this.#place(taken.position) : taken.position);
  }

  /** Whether the history has been found to hold its beginning. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.wake();
  }

  fail(error: unknown): void {
    this.#failure ??= error;
    this.wake();
  }

  wake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Resolves when there may be something to hand out. */
  woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #progress(): WatchStep | undefined {
    if (!this.progressDue) return undefined;
    return this.#hand([], this.#place(this.told));
  }

  #place(least: Position): Position {
    return this.feed === undefined ? least : later(this.feed.position, least);
  }

  #hand(payloads: readonly Uint8Array[], position: Position): WatchStep {
    this.told = position;
    this.toldAt = performance.now();
    this.progressDue = false;
    return { payloads, position };
  }
}
