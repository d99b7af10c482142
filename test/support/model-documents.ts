import type { Policy } from "../../src/store/document.js";

/** One document, a store's own (`key` undefined) or a key's. Replaced as a whole by every change. */
export interface Entry {
  readonly collection: string;
  readonly datasetId: string;
  readonly storeName: string;
  readonly key: string | undefined;
  /** The value of a key, or the metadata of a store. */
  readonly bytes: Uint8Array | undefined;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly expiresAt: number | undefined;
  readonly policy: Policy;
  readonly etag: string;
}

/** What identifies a document. */
export type Place = Pick<Entry, "collection" | "datasetId" | "storeName" | "key">;
/** What a write decides. */
export type Content = Pick<Entry, "bytes" | "expiresAt" | "policy">;

function idOf({ collection, datasetId, storeName, key }: Place): string {
  return JSON.stringify([collection, datasetId, storeName, key ?? null]);
}

/** All documents that ever were, in one flat map; what is expired is told apart when it is read. */
export class ModelDocuments {
  readonly #entries = new Map<string, Entry>();
  /** The last `updatedAt` of every place that was ever written, deleted ones included. */
  readonly #updatedAt = new Map<string, number>();
  readonly #now: () => number;
  #time = 0;
  #versions = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Reads the clock for one call: the store's time, which never goes back. */
  tick(): void {
    this.#time = Math.max(this.#time, this.#now());
  }

  #isLive({ expiresAt }: Entry): boolean {
    return expiresAt === undefined || this.#time < expiresAt;
  }

  find(place: Place): Entry | undefined {
    const entry = this.#entries.get(idOf(place));
    return entry !== undefined && this.#isLive(entry) ? entry : undefined;
  }

  /** Live documents that match, in no order. */
  select(matches: (entry: Entry) => boolean): Entry[] {
    return [...this.#entries.values()].filter((entry) => matches(entry) && this.#isLive(entry));
  }

  /** Deletes live documents that match and answers them. */
  remove(matches: (entry: Entry) => boolean): Entry[] {
    const removed = this.select(matches);
    for (const entry of removed) this.#entries.delete(idOf(entry));
    return removed;
  }

  /** Writes a document whose `updatedAt` is later than every earlier one of its place, even if time stands still. */
  put(place: Place, contentAt: (time: number) => Content): { entry: Entry; created: boolean } {
    const id = idOf(place);
    const before = this.find(place);
    const updatedAt = Math.max(this.#time, (this.#updatedAt.get(id) ?? 0) + 1);
    this.#versions += 1;
    const entry: Entry = {
      ...place,
      ...contentAt(this.#time),
      createdAt: before?.createdAt ?? updatedAt,
      updatedAt,
      etag: `version-${this.#versions}`,
    };
    this.#entries.set(id, entry);
    this.#updatedAt.set(id, updatedAt);
    return { entry, created: before === undefined };
  }
}
