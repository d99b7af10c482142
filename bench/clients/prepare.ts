import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { WatchKeysResponse } from "../../gen/ts/execution_store/v1/execution_store.js";
import { type BenchClient, createBenchClient, methodPath } from "../bench-client.js";
import type { Child } from "../children.js";
import { BATCH_KEYS, SMALL_KEYS, STORES, scattered, smallValueOf } from "../comparisons.js";
import {
  batchGetKeysMessage,
  DATASET_ID,
  getKeyMessage,
  sampleKey,
  setKeyMessage,
} from "../sample-requests.js";
import { WATCH_PATH, watchKeysMessage } from "../watch/store-watches.js";
import { openWatchChannel } from "../watch/watch-channel.js";
import { writeSmallValues } from "../write-values.js";
import type { LoadPlan } from "./load-plan.js";

/** What clients find on a server, and what an empty one answers in its place. */
export interface Prepared {
  /** A file with the plan. */
  readonly plan: string;
  /** Encoded answers, by the path of their method. */
  readonly answers: Readonly<Record<string, readonly Buffer[]>>;
  /** Encoded messages of streams, likewise. */
  readonly streams: Readonly<Record<string, readonly Buffer[]>>;
}

const PLAN_STORES = {
  read: STORES.small,
  write: STORES.writes,
  changed: "changed",
  awaited: "awaited",
} as const;
/** How often every small key is changed for those who catch up. */
const CHANGES_OF_A_KEY = 2;
const CHANGES = CHANGES_OF_A_KEY * SMALL_KEYS;
const HISTORY_LIMIT_MS = 60_000;

/** All messages of a watch up to the last of so many changes. */
async function recordWatch(port: number, request: Buffer, changes: number): Promise<readonly Buffer[]> {
  const messages: Buffer[] = [];
  let left = changes;
  let complete: (() => void) | undefined;
  const recorded = new Promise<void>((resolve) => {
    complete = resolve;
  });
  const watch = await openWatchChannel(port, request, (message) => {
    messages.push(Buffer.from(message));
    left -= WatchKeysResponse.decode(message).events.length;
    if (left <= 0) complete?.();
  });
  if (left <= 0) complete?.();
  const patience = AbortSignal.timeout(HISTORY_LIMIT_MS);
  const impatience = new Promise<never>((_, reject) => {
    patience.addEventListener("abort", () => reject(new Error(`${left} changes were not told in time`)));
  });
  await Promise.race([recorded, watch.ended, impatience]);
  watch.close();
  return [watch.first, ...messages];
}

/** Makes changes of a store, and records the watch that tells them. */
async function makeChanges(
  client: BenchClient,
  port: number,
): Promise<{ readonly resumeToken: string; readonly messages: readonly Buffer[] }> {
  const changed = { storeName: PLAN_STORES.changed };
  const [started = Buffer.alloc(0)] = await recordWatch(port, watchKeysMessage(changed), 0);
  const { resumeToken } = WatchKeysResponse.decode(started);
  for (let time = 0; time < CHANGES_OF_A_KEY; time++) await writeSmallValues(client, PLAN_STORES.changed);
  const messages = await recordWatch(port, watchKeysMessage({ ...changed, resumeToken }), CHANGES);
  return { resumeToken, messages };
}

/**
 * Fills a server with what its clients are to read, and writes their plan.
 *
 * @param changes whether there are to be changes to catch up on: a collection of MongoDB that was ever watched keeps what
 *   documents were, which every write to it pays for
 */
export async function prepare({ port }: Child, directory: string, changes: boolean): Promise<Prepared> {
  const client = createBenchClient(port);
  for (const store of [PLAN_STORES.read, PLAN_STORES.write]) await writeSmallValues(client, store);
  const made = changes ? await makeChanges(client, port) : { resumeToken: "", messages: [] };
  const batch = scattered(SMALL_KEYS).slice(0, BATCH_KEYS).map(sampleKey);
  const plan: LoadPlan = {
    datasetId: DATASET_ID,
    stores: PLAN_STORES,
    entries: scattered(SMALL_KEYS).map((index) => {
      const { json, bson } = smallValueOf(index);
      return { key: sampleKey(index), value: json, bson: bson.toString("base64") };
    }),
    batch,
    changes: changes ? CHANGES : 0,
    resumeToken: made.resumeToken,
  };
  const file = join(directory, "load-plan.json");
  writeFileSync(file, JSON.stringify(plan));
  const key = sampleKey(0);
  const requests = {
    GetKey: getKeyMessage(PLAN_STORES.read, key, "bson"),
    SetKey: setKeyMessage(PLAN_STORES.write, key, smallValueOf(0), "bson"),
    BatchGetKeys: batchGetKeysMessage(PLAN_STORES.read, batch, "bson"),
  };
  const answers: Record<string, readonly Buffer[]> = {};
  for (const [method, request] of Object.entries(requests)) {
    answers[methodPath(method)] = [await client.call(method, request)];
  }
  client.close();
  return { plan: file, answers, streams: { [WATCH_PATH]: made.messages } };
}
