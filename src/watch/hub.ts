import type { ChangeSource, HistoryPoint, Position } from "../store/changes.js";
import { historyLost } from "../store/errors.js";
import { CatchUps } from "./catch-ups.js";
import type { WatchStep } from "./event-queue.js";
import { type Encode, Feed, type FeedOwner } from "./feed.js";
import { DEFAULT_WATCH_LIMITS, type WatchLimits } from "./limits.js";
import { ProgressWheel } from "./progress-wheel.js";
import { Watch, type WatchHome } from "./watch.js";
import { Watcher, type WatchRequest } from "./watcher.js";

/** Who has taken nothing of what waits for so long is asleep, in milliseconds. */
const ASLEEP_MS = 200;
/** How often those who are asleep are looked for at the most, in milliseconds. */
const RELIEF_MS = 100;

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
  #relievedAt = 0;

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

  hasRoom(): boolean {
    const { totalBytes } = this.#limits;
    if (this.#queuedBytes >= totalBytes) this.#relieve();
    return this.#queuedBytes < totalBytes;
  }

  /**
   * Begins a watch. close() must follow.
   *
   * @param from exclusive; undefined: from now on, that is with what is acknowledged after the call
   * @throws StoreError what ChangeSource.now throws; HISTORY_LOST if `from` is of another history
   */
  async open(request: WatchRequest, from: HistoryPoint | undefined, signal: AbortSignal): Promise<Watch> {
    const now = await this.source.now({ previous: request.form.previous }, { signal });
    signal.throwIfAborted();
    if (from !== undefined && from.history !== now.history) {
      throw historyLost("it is of another deployment, or of a collection that was made anew since");
    }
    const begin = from ?? now;
    const watcher = new Watcher(request, begin);
    this.#live ??= this.#startLive(now);
    this.#watchers.add(watcher);
    this.#wheel.add(watcher);
    // What seems to be ahead of the history, the source is to judge.
    if (begin.position > now.position) this.#catchUps.add(watcher);
    else this.attach(watcher);
    return new Watch(this, watcher, begin, signal);
  }

  attach(watcher: Watcher): void {
    const live = this.#live;
    if (watcher.feed !== undefined || watcher.length > 0 || live === undefined) return;
    if (this.#catchUps.has(watcher)) return;
    if (live.position <= watcher.reached) live.add(watcher);
    else this.#catchUps.add(watcher);
  }

  next(watcher: Watcher): number | undefined {
    return watcher.next(this.#stepBytes);
  }

  take(watcher: Watcher, maxBytes: number): WatchStep | undefined {
    const before = watcher.bytes;
    const step = watcher.take(maxBytes);
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
    if (this.#queuedBytes + bytes > this.#limits.totalBytes) this.#relieve();
    if (watcher.feed === undefined) return;
    if (this.#fits(watcher, bytes)) {
      this.#queuedBytes += bytes;
      watcher.add(position, payloads, bytes);
      return;
    }
    watcher.feed.remove(watcher);
    // It may wait for just that.
    watcher.wake();
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

  /** Whether so much more may wait. What reads history waits between batches, so that only one of them goes beyond. */
  #fits(watcher: Watcher, bytes: number): boolean {
    const { queueBytes, queueChanges, totalBytes } = this.#limits;
    const isLive = watcher.feed === this.#live;
    if (this.#queuedBytes + bytes > totalBytes && this.#queuedBytes > 0 && (isLive || watcher.length > 0)) {
      return false;
    }
    const room = isLive ? 1 : 2;
    return (
      watcher.length === 0 ||
      (watcher.length < room * queueChanges && watcher.bytes + bytes <= room * queueBytes)
    );
  }

  /** Makes room: what waits for those who have not asked for a while is read again when they do. */
  #relieve(): void {
    const now = performance.now();
    if (now - this.#relievedAt < RELIEF_MS) return;
    this.#relievedAt = now;
    for (const watcher of this.#watchers) {
      if (watcher.length === 0 || watcher.toldAt > now - ASLEEP_MS) continue;
      watcher.feed?.remove(watcher);
      this.#queuedBytes -= watcher.forget();
    }
  }
}
