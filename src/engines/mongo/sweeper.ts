import type { Document } from "mongodb";
import type { CallOptions } from "../../store/engine.js";
import type { MongoCollection } from "./collection.js";
import { closing } from "./errors.js";
import { EXPIRED } from "./filters.js";
import { untilAborted } from "./until-aborted.js";

/** The longest time between two looks, in ms. */
const INTERVAL_MS = 200;
/** The time until the next look after a fault, in ms. */
const PAUSE_MS = 1_000;
/** The least time between two looks without an index by expiry, since each goes over all documents, in ms. */
const SCAN_INTERVAL_MS = 60_000;
/** About how many documents one command removes. */
const BATCH = 1_000;

/** Removes what has expired, soon after its time. */
export interface Sweeper {
  /** Removes all that is due now. */
  sweep(): Promise<void>;
  /** Stops; what is under way is not waited for longer than it takes to let go of it. */
  close(): Promise<void>;
}

/** How to sweep. */
export interface SweeperOptions {
  /** The longest time between two looks, in ms. @default 200 */
  readonly intervalMs?: number;
  /** Hears of the first fault of several in a row; sweeping goes on. */
  readonly onError: (error: unknown) => void;
}

/** Starts sweeping. Several servers may sweep the same collection. */
export function startSweeper(collections: readonly MongoCollection[], options: SweeperOptions): Sweeper {
  const works = collections.map((collection) => new Work(collection, options));
  return {
    async sweep() {
      await Promise.all(works.map((work) => work.sweep()));
    },
    async close() {
      await Promise.all(works.map((work) => work.close()));
    },
  };
}

/** How long until the next document expires, in ms by the database's clock; undefined if none will. */
function untilNextExpiry(collection: MongoCollection, options: CallOptions): Promise<number | undefined> {
  const { connection, documents } = collection;
  return connection.run(options, "read", async ({ maxTimeMS }) => {
    const next = await documents.findOne(
      { expires_at: { $type: "date" } },
      {
        sort: { expires_at: 1 },
        projection: { _id: 0, expires_at: 1, now: "$$NOW" },
        maxTimeMS,
        // By its name, so that whoever drops the collection, and all indexes with it, is found out at the next look.
        ...collection.expiryIndex,
      },
    );
    const expiresAt: unknown = next?.["expires_at"];
    const now: unknown = next?.["now"];
    return expiresAt instanceof Date && now instanceof Date ? expiresAt.getTime() - now.getTime() : undefined;
  });
}

/** Removes about a batch of what has expired, and answers whether there may be more. */
async function removeBatch(collection: MongoCollection, options: CallOptions): Promise<boolean> {
  const { connection, documents } = collection;
  const last = await connection.run(options, "read", ({ maxTimeMS }) =>
    documents.findOne(EXPIRED, {
      sort: { expires_at: 1 },
      skip: BATCH - 1,
      projection: { _id: 0, expires_at: 1 },
      maxTimeMS,
      ...collection.expiryIndex,
    }),
  );
  const upTo: Document = last === null ? {} : { $lte: last["expires_at"] };
  // By expiry, not by `_id`: other writers' may be anything. What has a new expiry by now is not matched.
  const filter = { ...EXPIRED, expires_at: { ...upTo, $type: "date" } };
  await connection.run(options, "write", ({ maxTimeMS }) =>
    untilAborted(documents.deleteMany(filter, { maxTimeMS, ...collection.expiryIndex }), connection.lost),
  );
  return last !== null;
}

/** Sweeps one collection, one step after another: two at once would do the same twice. */
class Work implements Sweeper {
  readonly #collection: MongoCollection;
  readonly #intervalMs: number;
  readonly #onError: (error: unknown) => void;
  readonly #closing = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #last: Promise<void> = Promise.resolve();
  #failed = false;
  /** When to look although there is no index, by performance.now(). */
  #scanAt = 0;

  constructor(collection: MongoCollection, { intervalMs = INTERVAL_MS, onError }: SweeperOptions) {
    this.#collection = collection;
    this.#intervalMs = intervalMs;
    this.#onError = onError;
    this.#schedule(0);
  }

  sweep(): Promise<void> {
    return this.#inTurn(() => this.#removeDue());
  }

  async close(): Promise<void> {
    this.#closing.abort(closing("write", "UNKNOWN"));
    clearTimeout(this.#timer);
    await this.#last;
  }

  async #removeDue(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted && (await removeBatch(this.#collection, { signal })));
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const next = this.#last.then(step);
    this.#last = next.then(
      () => undefined,
      () => undefined,
    );
    return next;
  }

  /** Removes what is due, and answers when to look again. */
  async #look(): Promise<number> {
    const { signal } = this.#closing;
    if (this.#collection.expiryIndex.hint === undefined) {
      if (performance.now() < this.#scanAt) return this.#intervalMs;
      this.#scanAt = performance.now() + SCAN_INTERVAL_MS;
    }
    let due = await untilNextExpiry(this.#collection, { signal });
    if (due !== undefined && due <= 0) {
      await this.#removeDue();
      due = await untilNextExpiry(this.#collection, { signal });
    }
    return Math.min(this.#intervalMs, Math.max(1, due ?? this.#intervalMs));
  }

  async #lookAndSchedule(): Promise<void> {
    let wait = Math.max(this.#intervalMs, PAUSE_MS);
    try {
      wait = await this.#inTurn(() => this.#look());
      this.#failed = false;
    } catch (error) {
      if (!this.#closing.signal.aborted && !this.#failed) this.#onError(error);
      this.#failed = true;
    }
    this.#schedule(wait);
  }

  #schedule(ms: number): void {
    if (this.#closing.signal.aborted) return;
    this.#timer = setTimeout(() => void this.#lookAndSchedule(), ms);
    this.#timer.unref();
  }
}
