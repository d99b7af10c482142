import { ALL_CHANGES, decodeChange } from "./change-log.js";
import { type Collection, readState } from "./collection.js";
import { readEntries, readKeys } from "./environment.js";
import { documentOfExpiryKey, timeKey } from "./keys.js";
import { isLive } from "./record.js";
import type { Writer } from "./writer.js";

/** The longest time between two looks, in ms. */
const INTERVAL_MS = 200;
/** Documents, or changes, removed in one transaction. */
const CHUNK = 128;
const FIRST = timeKey(0);

/** Removes what has expired, soon after its time, and history beyond its bounds. */
export interface Sweeper {
  /** Removes all that is due now. */
  sweep(): Promise<void>;
  /** Stops, and waits for the step that is under way. */
  close(): Promise<void>;
}

/** Does one step of a work, and answers whether more is to be done at once. */
type Step = (writer: Writer, collection: Collection) => Promise<boolean>;

async function removeExpired(writer: Writer, collection: Collection): Promise<boolean> {
  const due = { start: FIRST, end: timeKey(collection.clock.now() + 1), limit: CHUNK };
  const keys = readKeys(collection.databases.expiries, due).map(documentOfExpiryKey);
  if (keys.length === 0) return false;
  await writer.submit({
    collection,
    // Writers wait for it, so that however much they write nothing stays behind its time.
    urgent: true,
    apply(batch) {
      for (const key of keys) {
        const existing = batch.read(key);
        // A new ttl, or a new value, may have come in between.
        if (existing !== undefined && !isLive(existing.record, batch.now)) batch.remove(key, existing);
      }
    },
  });
  return keys.length === CHUNK;
}

async function pruneHistory(writer: Writer, collection: Collection): Promise<boolean> {
  const { environment, name, history, databases, clock } = collection;
  const [first] = readEntries(databases.changes, { ...ALL_CHANGES, limit: 1 });
  if (first === undefined) return false;
  const oldest = clock.now() - history.maxAgeMs;
  const { historyBytes } = readState(environment.meta, name);
  if (historyBytes <= history.maxBytes && decodeChange(first.value).commitTime >= oldest) return false;
  await writer.submit({ collection, apply: (batch) => batch.forget(CHUNK, oldest) });
  return true;
}

/** Starts sweeping; `onError` hears of faults, and sweeping goes on. */
export function startSweeper(
  writer: Writer,
  collections: readonly Collection[],
  onError: (error: unknown) => void,
): Sweeper {
  const works = [removeExpired, pruneHistory].map((step) => startWork(step, writer, collections, onError));
  return {
    async sweep() {
      for (const work of works) await work.sweep();
    },
    async close() {
      await Promise.all(works.map((work) => work.close()));
    },
  };
}

/** Repeats the steps of one work, one after another, in every interval. */
function startWork(
  step: Step,
  writer: Writer,
  collections: readonly Collection[],
  onError: (error: unknown) => void,
): Sweeper {
  let timer: NodeJS.Timeout | undefined;
  let last: Promise<void> = Promise.resolve();
  let closed = false;

  async function all(): Promise<void> {
    for (const collection of collections) {
      while (!closed && (await step(writer, collection)));
    }
  }

  /** One after another: two at once would do the same twice. */
  function sweep(): Promise<void> {
    const next = last.then(all);
    last = next.catch(() => undefined);
    return next;
  }

  async function sweepAndReport(): Promise<void> {
    try {
      await sweep();
    } catch (error) {
      if (!closed) onError(error);
    } finally {
      schedule();
    }
  }

  function schedule(): void {
    if (closed) return;
    timer = setTimeout(() => void sweepAndReport(), INTERVAL_MS);
    timer.unref();
  }

  schedule();
  return {
    sweep,
    async close() {
      closed = true;
      clearTimeout(timer);
      await last;
    },
  };
}
