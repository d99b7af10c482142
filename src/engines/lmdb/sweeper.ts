import { changeKey, decodeChange, lastBlobOf } from "./change-log.js";
import type { Collection } from "./collection.js";
import { readEntries, readKeys } from "./environment.js";
import { documentOfExpiryKey, timeAt, timeKey } from "./keys.js";
import { isLive } from "./record.js";
import type { Writer } from "./writer.js";

/** The longest time between two looks, in ms. */
const INTERVAL_MS = 200;
/** Documents, or changes, removed in one transaction. */
const CHUNK = 128;
const FIRST = timeKey(0);
const LAST = timeKey(Number.MAX_SAFE_INTEGER);

/** How much of the change log is kept: what is older, or beyond the size, goes. */
export interface History {
  readonly maxAgeMs: number;
  readonly maxBytes: number;
}

/** Removes what has expired, soon after its time, and history beyond its bounds. */
export interface Sweeper {
  /** Removes all that is due now. */
  sweep(): Promise<void>;
  /** Stops, and waits for a sweep that is under way. */
  close(): Promise<void>;
}

function dueKeys(collection: Collection): Buffer[] {
  const end = timeKey(collection.clock.now() + 1);
  return readKeys(collection.databases.expiries, { start: FIRST, end, limit: CHUNK }).map(
    documentOfExpiryKey,
  );
}

async function removeExpired(writer: Writer, collection: Collection): Promise<void> {
  for (let keys = dueKeys(collection); keys.length > 0; keys = dueKeys(collection)) {
    await writer.submit({
      collection,
      weight: keys.length,
      apply(batch) {
        for (const key of keys) {
          const existing = batch.read(key);
          // A new ttl, or a new value, may have come in between.
          if (existing !== undefined && !isLive(existing.record, batch.now)) batch.remove(key, existing);
        }
      },
    });
  }
}

interface OldChange {
  readonly key: Buffer;
  readonly bytes: Buffer;
}

/** The oldest changes that are beyond the bounds, at most a chunk of them. */
function oldChanges(collection: Collection, history: History): OldChange[] {
  let excess = collection.state.historyBytes - history.maxBytes;
  const oldest = collection.clock.now() - history.maxAgeMs;
  const old: OldChange[] = [];
  // One entry tells whether there is anything to do.
  const [first] = readEntries(collection.databases.changes, { start: FIRST, end: LAST, limit: 1 });
  if (first === undefined || (excess <= 0 && decodeChange(first.value).commitTime >= oldest)) return old;
  for (const { key, value } of readEntries(collection.databases.changes, {
    start: FIRST,
    end: LAST,
    limit: CHUNK,
  })) {
    const change = decodeChange(value);
    if (excess <= 0 && change.commitTime >= oldest) break;
    excess -= value.length + (lastBlobOf(change.record, change.previous)?.length ?? 0);
    old.push({ key, bytes: value });
  }
  return old;
}

async function pruneHistory(writer: Writer, collection: Collection, history: History): Promise<void> {
  for (let old = oldChanges(collection, history); old.length > 0; old = oldChanges(collection, history)) {
    const changes = old;
    await writer.submit({
      collection,
      weight: changes.length,
      apply(batch) {
        for (const { key, bytes } of changes) {
          const { record, previous } = decodeChange(bytes);
          batch.forget(bytes, changeKey(timeAt(key, 0)), lastBlobOf(record, previous));
        }
      },
    });
  }
}

/** Starts sweeping; `onError` hears of faults, and sweeping goes on. */
export function startSweeper(
  writer: Writer,
  collections: readonly Collection[],
  history: History,
  onError: (error: unknown) => void,
): Sweeper {
  let timer: NodeJS.Timeout | undefined;
  let last: Promise<void> = Promise.resolve();
  let closed = false;

  async function sweepOnce(): Promise<void> {
    for (const collection of collections) {
      await removeExpired(writer, collection);
      await pruneHistory(writer, collection, history);
    }
  }

  /** One after another: two at once would count the same history out twice. */
  function sweep(): Promise<void> {
    const next = last.then(sweepOnce);
    last = next.catch(() => undefined);
    return next;
  }

  function schedule(): void {
    if (closed) return;
    timer = setTimeout(() => {
      void sweep()
        .catch((error: unknown) => {
          if (!closed) onError(error);
        })
        .then(schedule);
    }, INTERVAL_MS);
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
