import type { KeyDocument } from "./documents.js";
import { warn } from "./warn.js";
import type { Watch } from "./watch.js";
import type { KeyRemovedEvent, KeySetEvent, WatchEvent } from "./watch-events.js";
import type { WatchTuning } from "./watch-options.js";

/** What a mirror holds, and how it is kept. */
export interface MirrorOptions
  extends Pick<
    WatchTuning,
    "progressIntervalMs" | "bufferEvents" | "bufferBytes" | "retry" | "onInterruption"
  > {
  /** Only keys that start with it. @default "" */
  readonly keyPrefix?: string | undefined;
}

/** A change of a mirror, told when the mirror has it. */
export type MirrorChange<T = unknown> =
  | {
      readonly type: "created" | "updated";
      readonly key: string;
      readonly document: KeyDocument<T>;
      /** What the mirror held before. */
      readonly previous: KeyDocument<T> | undefined;
    }
  | {
      readonly type: "deleted" | "expired";
      readonly key: string;
      readonly document: undefined;
      /** What the mirror held before. */
      readonly previous: KeyDocument<T>;
    };

/** Hears of changes. */
export type MirrorListener<T> = (change: MirrorChange<T>) => void;

/**
 * A read-only map of a store, or of its keys with one prefix, that a watch keeps current: reads cost no call. All of
 * it is in memory. Empty until `ready`; from then on it is at every moment what the store was at one moment, a
 * little ago: what it held at the last event while the connection is lost, and the present again soon after.
 *
 * Where the store's history does not reach back to the last event, a new snapshot takes the place of all that was
 * there, at once, and what it changes is told; what happened to one key in between is then one change, and one that
 * is gone is "deleted".
 *
 * A key that expires leaves the map with its "expired" change, within a second. Reads do not compare `expiresAt` with
 * this machine's clock, which may not be the store's; who needs the very millisecond can, by document().
 *
 * Once the watch has failed for good (see Watch), reads throw its StoreError, for the map would be old without a word.
 *
 * @example
 * await using settings = store.mirror<Setting>({ keyPrefix: "settings/" });
 * await settings.ready;
 * settings.onChange(({ type, key }) => console.log(type, key));
 * console.log(settings.size, settings.get("settings/colour"));
 */
export class Mirror<T = unknown> implements ReadonlyMap<string, T> {
  /** Resolves when the map is filled; rejects with the StoreError that prevents it. Also resolves if it is closed. */
  readonly ready: Promise<void>;
  /** Resolves when the mirror was closed; rejects with the StoreError that ended it. */
  readonly ended: Promise<void>;
  readonly #watch: Watch<T>;
  readonly #listeners = new Set<MirrorListener<T>>();
  #documents = new Map<string, KeyDocument<T>>();
  /** The snapshot that is coming in. */
  #incoming = new Map<string, KeyDocument<T>>();
  #filled = false;
  #whenFilled: (() => void) | undefined;
  #failure: { readonly error: unknown } | undefined;

  /** @param watch with a snapshot, of one store, that takes a new one where history is lost */
  constructor(watch: Watch<T>) {
    this.#watch = watch;
    const filled = new Promise<void>((resolve) => {
      this.#whenFilled = resolve;
    });
    this.ended = this.#follow();
    this.ready = Promise.race([filled, this.ended]);
    // Reads tell of a failure, too: who does not ask these two need not handle them.
    this.ready.catch(() => {});
    this.ended.catch(() => {});
  }

  /** The value of a key; undefined if it is not there. */
  get(key: string): T | undefined {
    return this.document(key)?.value;
  }

  /** A key with its value, policy, times and etag; undefined if it is not there. */
  document(key: string): KeyDocument<T> | undefined {
    return this.#current().get(key);
  }

  /** Whether a key is there. */
  has(key: string): boolean {
    return this.#current().has(key);
  }

  /** How many keys are there. */
  get size(): number {
    return this.#current().size;
  }

  /** The keys, in no particular order. */
  keys(): MapIterator<string> {
    return this.#current().keys();
  }

  /** The values, in the order of the keys. */
  *values(): MapIterator<T> {
    for (const { value } of this.#current().values()) yield value;
  }

  /** Pairs of key and value, in the order of the keys. */
  *entries(): MapIterator<[string, T]> {
    for (const [key, { value }] of this.#current()) yield [key, value];
  }

  /** As entries. */
  [Symbol.iterator](): MapIterator<[string, T]> {
    return this.entries();
  }

  /** Calls back for each key, in the order of the keys. */
  forEach(callback: (value: T, key: string, map: ReadonlyMap<string, T>) => void): void {
    for (const [key, value] of this.entries()) callback(value, key, this);
  }

  /**
   * Calls back after each change from now on, in order; the first filling is none. What a listener throws is a
   * warning of the process, and neither the mirror nor other listeners mind.
   *
   * @returns a function that takes the listener away
   */
  onChange(listener: MirrorListener<T>): () => void {
    // A wrapper of its own: a listener that is given twice is called twice.
    const own: MirrorListener<T> = (change) => listener(change);
    this.#listeners.add(own);
    return () => {
      this.#listeners.delete(own);
    };
  }

  /** Ends the watch: the map stays as it is. Idempotent. */
  close(): void {
    this.#watch.close();
  }

  /** As close; for `await using` in TypeScript, and in JavaScript where the runtime has it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.ended.catch(() => {});
  }

  #current(): ReadonlyMap<string, KeyDocument<T>> {
    if (this.#failure !== undefined) throw this.#failure.error;
    return this.#documents;
  }

  async #follow(): Promise<void> {
    try {
      for await (const event of this.#watch) this.#apply(event);
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }

  #apply(event: WatchEvent<T>): void {
    switch (event.type) {
      case "started":
      case "progress":
        break;
      case "reset":
        this.#incoming = new Map();
        break;
      case "existing":
        this.#incoming.set(event.key, event.document);
        break;
      case "snapshotComplete":
        this.#replace(this.#incoming);
        break;
      case "created":
      case "updated":
        this.#set(event);
        break;
      case "deleted":
      case "expired":
        this.#remove(event);
    }
  }

  #set({ type, key, document }: KeySetEvent<T, "plain">): void {
    const previous = this.#documents.get(key);
    this.#documents.set(key, document);
    this.#tell({ type, key, document, previous });
  }

  #remove({ type, key }: KeyRemovedEvent<T, "plain">): void {
    const previous = this.#documents.get(key);
    // A key that had expired when the snapshot was read was never here.
    if (previous === undefined) return;
    this.#documents.delete(key);
    this.#tell({ type, key, document: undefined, previous });
  }

  #replace(after: Map<string, KeyDocument<T>>): void {
    const before = this.#documents;
    this.#documents = after;
    this.#incoming = new Map();
    if (!this.#filled) {
      this.#filled = true;
      this.#whenFilled?.();
      return;
    }
    for (const [key, previous] of before) {
      if (!after.has(key)) this.#tell({ type: "deleted", key, document: undefined, previous });
    }
    for (const [key, document] of after) {
      const previous = before.get(key);
      if (previous === undefined) this.#tell({ type: "created", key, document, previous });
      else if (!isSameVersion(previous, document)) this.#tell({ type: "updated", key, document, previous });
    }
  }

  #tell(change: MirrorChange<T>): void {
    for (const listener of this.#listeners) {
      try {
        listener(change);
      } catch (error) {
        warn("a listener of a mirror failed", error);
      }
    }
  }
}

/** Whether nothing changed; of writers other than the service the etag alone does not say it. */
function isSameVersion(a: KeyDocument, b: KeyDocument): boolean {
  return a.etag === b.etag && a.updatedAt.getTime() === b.updatedAt.getTime();
}
