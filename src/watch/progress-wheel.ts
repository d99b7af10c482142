import type { Watcher } from "./watcher.js";

/** How often it turns, in milliseconds: progress comes at most so much too late. */
const TICK_MS = 100;

/** Reminds watchers to tell their place when they have told nothing for their interval: one timer for all. */
export class ProgressWheel {
  readonly #slots = new Map<number, Set<Watcher>>();
  readonly #slotOf = new Map<Watcher, number>();
  #timer: NodeJS.Timeout | undefined;
  #turned = 0;

  add(watcher: Watcher): void {
    this.#put(watcher, watcher.toldAt + watcher.request.progressMs);
    if (this.#timer !== undefined) return;
    this.#turned = slotAt(performance.now());
    this.#timer = setInterval(() => this.#turn(), TICK_MS);
    this.#timer.unref();
  }

  remove(watcher: Watcher): void {
    const slot = this.#slotOf.get(watcher);
    if (slot === undefined) return;
    this.#slotOf.delete(watcher);
    this.#slots.get(slot)?.delete(watcher);
    if (this.#slotOf.size > 0) return;
    this.#slots.clear();
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #put(watcher: Watcher, dueAt: number): void {
    // Never into a slot that has been turned past.
    const slot = Math.max(slotAt(dueAt) + 1, this.#turned + 1);
    this.#slotOf.set(watcher, slot);
    const watchers = this.#slots.get(slot);
    if (watchers === undefined) this.#slots.set(slot, new Set([watcher]));
    else watchers.add(watcher);
  }

  #turn(): void {
    const now = performance.now();
    for (const end = slotAt(now); this.#turned < end; ) {
      this.#turned += 1;
      const watchers = this.#slots.get(this.#turned);
      if (watchers === undefined) continue;
      this.#slots.delete(this.#turned);
      for (const watcher of watchers) this.#remind(watcher, now);
    }
  }

  /** Who told something meanwhile is not reminded, but looked at again when its interval has passed from then. */
  #remind(watcher: Watcher, now: number): void {
    const { toldAt, request } = watcher;
    const dueAt = toldAt + request.progressMs;
    if (dueAt > now) {
      this.#put(watcher, dueAt);
      return;
    }
    watcher.progressDue = true;
    watcher.wake();
    this.#put(watcher, now + request.progressMs);
  }
}

function slotAt(ms: number): number {
  return Math.floor(ms / TICK_MS);
}
