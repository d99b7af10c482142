import { setTimeout as delay } from "node:timers/promises";
import type { CallOptions } from "../../store/engine.js";
import type { MongoCollection } from "./collection.js";

/** The longest wait for the database's clock, in ms: a writer with another clock may have left a time far ahead. */
const MAX_WAIT_MS = 1_000;

/** The database's clock, which is what `$$NOW` has: whole milliseconds since 1970. Part of a call that runs already. */
export async function askTime({ connection }: MongoCollection, maxTimeMS: number): Promise<number> {
  const hello = await connection.db.command({ hello: 1, maxTimeMS }, { signal: connection.lost });
  const time: unknown = hello["localTime"];
  if (!(time instanceof Date)) throw new TypeError("the reply to hello has no localTime");
  return time.getTime();
}

/** The same, as a call of its own. */
export function databaseTime(collection: MongoCollection, options?: CallOptions): Promise<number> {
  return collection.connection.run(options, "read", ({ maxTimeMS }) => askTime(collection, maxTimeMS));
}

/** Between two attempts to ask for the time, in ms. */
const ASK_PAUSE_MS = 50;

/**
 * Resolves once the database's clock is past a time, so that what is created afterwards is later; after a second in
 * any case, also while the database is away: what was done before stays done.
 *
 * @param ms milliseconds since 1970, such as the `updated_at` of what was just deleted
 * @throws the signal's reason
 */
export async function waitUntilAfter(
  collection: MongoCollection,
  ms: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const giveUp = performance.now() + MAX_WAIT_MS;
  const timeUp = AbortSignal.timeout(MAX_WAIT_MS);
  const options = { signal: signal === undefined ? timeUp : AbortSignal.any([signal, timeUp]) };
  for (;;) {
    const now = await databaseTime(collection, options).catch(() => undefined);
    signal?.throwIfAborted();
    const behind = now === undefined ? ASK_PAUSE_MS : ms + 1 - now;
    const left = giveUp - performance.now();
    if (behind <= 0 || left <= 0) return;
    await pause(Math.min(behind, left), signal);
  }
}

/** Waits; the timer's own error would hide the signal's reason. */
async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await delay(ms, undefined, signal && { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}
