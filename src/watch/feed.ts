import { setImmediate as turn } from "node:timers/promises";
import {
  type Change,
  type ChangeBatch,
  type ChangeSource,
  type HistoryPoint,
  later,
  type Position,
} from "../store/changes.js";
import { WatchIndex } from "./watch-index.js";
import type { EventForm, Watcher } from "./watcher.js";

/** Encodes the events of a change, one payload each. */
export type Encode = (change: Change, form: EventForm) => readonly Uint8Array[];

/** How long the changes of a batch may hold the event loop at a time, in milliseconds. */
const SLICE_MS = 10;

/** Who a feed works for. */
export interface FeedOwner {
  readonly source: ChangeSource;
  readonly encode: Encode;
  /** Puts events into a watcher's queue, or takes the watcher off its feed if they do not fit. */
  deliver(watcher: Watcher, position: Position, payloads: readonly Uint8Array[]): void;
  /** Whether there is room for more to wait; makes some if it can. */
  hasRoom(): boolean;
  /** Hears of every batch when it is delivered; the next one is read once it resolves. */
  delivered(feed: Feed): Promise<void> | undefined;
  /** Hears of the end, which close() did not bring about. */
  failed(feed: Feed, error: unknown): void;
}

/** Reads the history from one place on, and brings its watchers the changes that concern them. */
export class Feed {
  readonly watchers = new WatchIndex<Watcher>();
  /** Everything up to it was delivered. */
  position: Position;
  /** Whether the history has been found to hold its place. */
  started = false;
  readonly #ending = new AbortController();

  constructor(
    private readonly owner: FeedOwner,
    private readonly from: HistoryPoint,
  ) {
    this.position = from.position;
  }

  /** Begins to read. */
  start(): void {
    void this.#run();
  }

  close(): void {
    this.#ending.abort();
  }

  /** Lets a watcher have what comes after the place that it has reached, which must not be before this feed's. */
  add(watcher: Watcher): void {
    watcher.feed = this;
    this.watchers.add(watcher);
    if (this.started) watcher.begin();
    // It may have something to tell, if only its place.
    watcher.wake();
  }

  /** Takes a watcher off: all that was delivered so far is what it has reached. */
  remove(watcher: Watcher): void {
    this.watchers.remove(watcher);
    watcher.reached = later(watcher.reached, this.position);
    watcher.feed = undefined;
  }

  async #run(): Promise<void> {
    const { source } = this.owner;
    const { signal } = this.#ending;
    try {
      // Whether previous documents are to be had was made sure of where they were asked for.
      for await (const batch of source.read(this.from, { previous: false }, signal)) {
        if (signal.aborted) return;
        if (!this.started) this.#begin();
        await this.#deliver(batch);
        if (signal.aborted) return;
        this.position = batch.position;
        const pause = this.owner.delivered(this);
        if (pause !== undefined) await pause;
      }
      if (!signal.aborted) throw new Error("the history ended");
    } catch (error) {
      if (!signal.aborted) this.owner.failed(this, error);
    }
  }

  #begin(): void {
    this.started = true;
    for (const watcher of this.watchers) watcher.begin();
  }

  /** In slices, so that many changes for many watchers hold up nobody else. */
  async #deliver({ changes }: ChangeBatch): Promise<void> {
    let since = performance.now();
    for (const change of changes) {
      this.#dispatch(change);
      // At once: whoever is woken by it, or comes meanwhile, is told from here on.
      this.position = change.position;
      if (performance.now() - since < SLICE_MS) continue;
      // oxlint-disable-next-line no-await-in-loop -- the changes are in order
      await turn();
      if (this.#ending.signal.aborted) return;
      since = performance.now();
    }
  }

  #dispatch(change: Change): void {
    const watchers = this.watchers.matching(change);
    if (watchers.length === 0) return;
    const forms = new Map<EventForm, readonly Uint8Array[]>();
    for (const watcher of watchers) {
      // Making room for one may take others off.
      if (watcher.feed !== this || !watcher.wants(change)) continue;
      const { form, types } = watcher.request;
      let payloads = forms.get(form);
      if (payloads === undefined) {
        payloads = this.owner.encode(change, form);
        forms.set(form, payloads);
      }
      const wanted =
        types === undefined
          ? payloads
          : payloads.filter((_, index) => types.has(change.events[index]?.type ?? "updated"));
      this.owner.deliver(watcher, change.position, wanted);
    }
  }
}
