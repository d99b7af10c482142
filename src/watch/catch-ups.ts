import type { Position } from "../store/changes.js";
import { isStoreError } from "../store/errors.js";
import { Feed, type FeedOwner } from "./feed.js";
import type { WatchLimits } from "./limits.js";
import type { Watcher } from "./watcher.js";

/** The feeds that read what is behind the live one: a few, which watchers at about the same place share. */
export class CatchUps {
  /** With what ends a feed's pause. */
  readonly #feeds = new Map<Feed, (() => void) | undefined>();
  /** Those that no feed reads for yet. */
  readonly #waiting = new Set<Watcher>();
  #scheduled = false;
  /** Feeds that have not shown yet that their places are there. */
  readonly #unproven = new WeakSet<Feed>();
  /** Whether places were lost: those that wait may be, too. */
  #bisecting = false;

  constructor(
    private readonly owner: FeedOwner,
    private readonly limits: WatchLimits,
  ) {}

  /** Has a watcher brought what comes after the place that it has reached. */
  add(watcher: Watcher): void {
    this.#waiting.add(watcher);
    this.#schedule();
  }

  /** A watcher is gone, which was on that feed. */
  left(watcher: Watcher, feed: Feed | undefined): void {
    this.#waiting.delete(watcher);
    if (feed === undefined || !this.#feeds.has(feed)) return;
    // Nobody would hear what it reads, and others may need its place.
    if (feed.watchers.size === 0) this.close(feed);
    else this.#goOn(feed);
  }

  /** Whether a watcher waits for a feed. */
  has(watcher: Watcher): boolean {
    return this.#waiting.has(watcher);
  }

  /** A watcher took what waited for it. */
  taken({ feed }: Watcher): void {
    if (feed !== undefined) this.#goOn(feed);
  }

  /** Waits while a watcher has enough for now. Whoever does not get on meanwhile, and holds up others, is taken off. */
  async delivered(feed: Feed): Promise<void> {
    if (this.#unproven.delete(feed)) {
      this.#bisecting = false;
      this.#schedule();
    }
    for (;;) {
      if (feed.watchers.size === 0) this.close(feed);
      const full = [...feed.watchers].filter((watcher) => this.#isFull(watcher));
      if (!this.#feeds.has(feed) || (full.length === 0 && this.owner.hasRoom())) return;
      if (full.length < feed.watchers.size || this.#waiting.size > 0) {
        const before = performance.now() - this.limits.patienceMs;
        for (const watcher of full) {
          if (watcher.toldAt < before) feed.remove(watcher);
        }
      }
      // oxlint-disable-next-line no-await-in-loop -- until they have room
      if (feed.watchers.size > 0) await this.#pause(feed);
    }
  }

  /** A feed ended. Only those at its place have lost something when its place is lost. */
  failed(feed: Feed, error: unknown): void {
    const lost = isStoreError(error, "HISTORY_LOST");
    for (const watcher of feed.watchers) {
      const behind = lost && watcher.reached > feed.position;
      feed.remove(watcher);
      if (behind) this.add(watcher);
      else watcher.fail(error);
    }
    if (lost) this.#loseUpTo(feed.position, error);
    this.close(feed);
  }

  close(feed: Feed): void {
    feed.close();
    this.#goOn(feed);
    if (this.#feeds.delete(feed)) this.#schedule();
  }

  closeAll(): void {
    this.#waiting.clear();
    for (const feed of this.#feeds.keys()) this.close(feed);
  }

  /** Places before a lost one are lost, too. Where the history begins is then looked for in the middle of what is left. */
  #loseUpTo(position: Position, error: unknown): void {
    this.#bisecting = true;
    for (const watcher of this.#waiting) {
      if (watcher.reached > position) continue;
      this.#waiting.delete(watcher);
      watcher.fail(error);
    }
  }

  #isFull({ bytes, length }: Watcher): boolean {
    const { queueBytes, queueChanges } = this.limits;
    return bytes > queueBytes / 2 || length > queueChanges / 2;
  }

  #pause(feed: Feed): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.limits.patienceMs);
      this.#feeds.set(feed, () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #goOn(feed: Feed): void {
    const goOn = this.#feeds.get(feed);
    if (goOn === undefined) return;
    this.#feeds.set(feed, undefined);
    goOn();
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.size === 0) return;
    this.#scheduled = true;
    // Those that come together, as after a restart of the server, share a feed.
    setImmediate(() => {
      this.#scheduled = false;
      this.#assign();
    });
  }

  /** Gives as many as possible of those that wait a feed: new ones while there may be more, else one that is not past them. */
  #assign(): void {
    const waiting = [...this.#waiting].toSorted((a, b) => (a.reached < b.reached ? -1 : 1));
    const free = this.limits.catchUps - this.#feeds.size;
    if (free > 0) {
      const each = Math.ceil(waiting.length / free);
      for (let at = 0; at < waiting.length; at += each) {
        const group = waiting.slice(at, at + each);
        this.#start(this.#bisecting ? group.slice(group.length >> 1) : group);
      }
      return;
    }
    for (const watcher of waiting) {
      const feed = this.#nearest(watcher);
      if (feed !== undefined) this.#join(feed, watcher);
    }
  }

  /** Starts a feed where the first one is. */
  #start(group: readonly Watcher[]): void {
    const [first] = group;
    if (first === undefined) return;
    const feed = new Feed(this.owner, { position: first.reached, history: first.history });
    this.#feeds.set(feed, undefined);
    this.#unproven.add(feed);
    for (const watcher of group) this.#join(feed, watcher);
    feed.start();
  }

  #join(feed: Feed, watcher: Watcher): void {
    this.#waiting.delete(watcher);
    feed.add(watcher);
  }

  #nearest({ reached }: Watcher): Feed | undefined {
    let nearest: Feed | undefined;
    for (const feed of this.#feeds.keys()) {
      const before = feed.position <= reached;
      if (before && (nearest === undefined || feed.position > nearest.position)) nearest = feed;
    }
    return nearest;
  }
}
