import type { ChangeSource, HistoryPoint, Position } from "../store/changes.js";
import { historyLost } from "../store/errors.js";
import { CatchUps } from "./catch-ups.js";
import { type Encode, Feed, type FeedOwner } from "./feed.js";
import { DEFAULT_WATCH_LIMITS, type WatchLimits } from "./limits.js";
import { ProgressWheel } from "./progress-wheel.js";
import { Watch, type WatchHome } from "./watch.js";
import { Watcher, type WatchRequest, type WatchStep } from "./watcher.js";

/** What a hub is made of. */
export interface HubOptions {
  readonly source: ChangeSource;
  readonly encode: Encode;
  /** Bytes of events that are handed out together, unless one change has more. */
  readonly stepBytes: number;
  readonly limits?: Partial<WatchLimits>;
}

/**
 * All watches of one collection. One feed reads the end of the history for all of them, and a few others what is
 * further back, for those that are behind. Whoever is as far as the live feed goes over to it; whoever cannot take what
 * comes is taken off, loses nothing but its place in memory, and is brought up from history when it asks again. So no
 * watcher holds up another, or a writer.
 */
export class WatchHub implements WatchHome, FeedOwner {
  readonly source: ChangeSource;
  readonly encode: Encode;
  readonly #stepBytes: number;
  readonly #limits: WatchLimits;
  readonly #wheel = new ProgressWheel();
  readonly #watchers = new Set<Watcher>();
  readonly #catchUps: CatchUps;
  #live: Feed | undefined;
  #queuedBytes = 0;

  constructor(options: HubOptions) {
    this.source = options.source;
    this.encode = options.encode;
    this.#stepBytes = options.stepBytes;
    this.#limits = { ...DEFAULT_WATCH_LIMITS, ...options.limits };
    this.#catchUps = new CatchUps(this, this.#limits);
  }

  /** Watches that are open. */
  get size(): number {
    return this.#watchers.size;
  }

  /** Bytes that wait in all queues. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /**
   * Begins a watch. close() must follow.
   *
   * @param from exclusive; undefined: from now on, that is with what is acknowledged after the call
   * @throws StoreError what ChangeSource.now throws; HISTORY_LOST if `from` is of another history, or ahead of it
   */
  async open(request: WatchRequest, from: HistoryPoint | undefined, signal: AbortSignal): Promise<Watch> {
    const now = await this.source.now({ previous: request.form.previous }, { signal });
    signal.throwIfAborted();
    if (from !== undefined && from.history !== now.history) {
      throw historyLost("it is of another deployment, or of a collection that was made anew since");
    }
    if (from !== undefined && from.position > now.position) {
      throw historyLost("it is ahead of the history, as after a restore of older data");
    }
    const begin = from ?? now;
    const watcher = new Watcher(request);
    watcher.told = begin.position;
    watcher.reached = begin.position;
    this.#live ??= this.#startLive(now);
    this.#watchers.add(watcher);
    this.#wheel.add(watcher);
    this.attach(watcher);
    return new Watch(this, watcher, begin, signal);
  }

  attach(watcher: Watcher): void {
    const live = this.#live;
    if (watcher.feed !== undefined || live === undefined) return;
    if (live.position <= watcher.reached) live.add(watcher);
    else this.#catchUps.add(watcher, live.history);
  }

  take(watcher: Watcher): WatchStep | undefined {
    const before = watcher.bytes;
    const step = watcher.take(this.#stepBytes);
    this.#queuedBytes -= before - watcher.bytes;
    if (step !== undefined) this.#catchUps.taken(watcher);
    return step;
  }

  release(watcher: Watcher): void {
    if (!this.#watchers.delete(watcher)) return;
    this.#wheel.remove(watcher);
    this.#queuedBytes -= watcher.forget();
    const { feed } = watcher;
    feed?.remove(watcher);
    this.#catchUps.left(watcher, feed);
    if (this.#watchers.size > 0) return;
    this.#live?.close();
    this.#live = undefined;
  }

  deliver(watcher: Watcher, position: Position, payloads: readonly Uint8Array[]): void {
    const bytes = payloads.reduce((sum, { length }) => sum + length, 0);
    if (this.#fits(watcher, bytes)) {
      this.#queuedBytes += bytes;
      watcher.add(position, payloads, bytes);
      return;
    }
    watcher.feed?.remove(watcher);
  }

  delivered(feed: Feed): Promise<void> | undefined {
    const live = this.#live;
    if (live === undefined || feed === live) return undefined;
    if (feed.position < live.position) return this.#catchUps.delivered(feed);
    for (const watcher of feed.watchers) {
      feed.remove(watcher);
      live.add(watcher);
    }
    this.#catchUps.close(feed);
    return undefined;
  }

  failed(feed: Feed, error: unknown): void {
    if (feed !== this.#live) {
      this.#catchUps.failed(feed, error);
      return;
    }
    this.#live = undefined;
    this.#catchUps.closeAll();
    for (const watcher of this.#watchers) {
      watcher.feed?.remove(watcher);
      watcher.fail(error);
    }
  }

  #startLive(point: HistoryPoint): Feed {
    const feed = new Feed(this, point);
    // It begins at the end of the history: there is nothing to be found missing.
    feed.started = true;
    feed.start();
    return feed;
  }

  #fits(watcher: Watcher, bytes: number): boolean {
    if (watcher.length === 0) return true;
    const { queueBytes, queueChanges, totalBytes } = this.#limits;
    // What reads history waits between batches, so that only what is in one goes beyond.
    const room = watcher.feed === this.#live ? 1 : 2;
    return (
      watcher.length < room * queueChanges &&
      watcher.bytes + bytes <= room * queueBytes &&
      this.#queuedBytes + bytes <= totalBytes
    );
  }
}
