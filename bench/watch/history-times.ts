import {
  WatchKeysResponse,
  WatchKeysResponse_Kind,
} from "../../gen/ts/execution_store/v1/execution_store.js";
import { type BenchClient, createBenchClient } from "../bench-client.js";
import type { Figure, FigureGroup } from "../report.js";
import { median } from "../rounds.js";
import { batchSetKeysMessage, sampleKey } from "../sample-requests.js";
import type { Deployment } from "./deployment.js";
import type { Effort } from "./effort.js";
import { forEachStamp, STAMPED_VALUE } from "./stamp.js";
import { watchKeysMessage } from "./store-watches.js";
import { openWatchChannel } from "./watch-channel.js";

const STORE = "history";
const BATCH_KEYS = 1000;
const REPEATS = 3;
const LIMIT_MS = 120_000;
const SNAPSHOT_COMPLETE: number = WatchKeysResponse_Kind.KIND_SNAPSHOT_COMPLETE;

async function fill(client: BenchClient, keys: number): Promise<void> {
  for (let first = 0; first < keys; first += BATCH_KEYS) {
    const names = Array.from({ length: Math.min(BATCH_KEYS, keys - first) }, (_, at) =>
      sampleKey(first + at),
    );
    await client.call(
      "BatchSetKeys",
      batchSetKeysMessage(STORE, names, () => STAMPED_VALUE, "bson"),
    );
  }
}

function limit(ms: number, what: string): { readonly expired: Promise<never>; clear(): void } {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${ms} ms`)), ms);
  });
  return { expired, clear: () => clearTimeout(timer) };
}

/** The time from asking for a watch to its `keys`-th value, in a snapshot to the message that says it is complete. */
async function timeToRead(port: number, message: Buffer, keys: number, snapshot: boolean): Promise<number> {
  const start = performance.now();
  let values = 0;
  let complete: (() => void) | undefined;
  const completed = new Promise<void>((resolve) => {
    complete = resolve;
  });
  const channel = await openWatchChannel(port, message, (received) => {
    forEachStamp(received, () => {
      values += 1;
    });
    // The kind is the first field.
    if (snapshot ? received[1] === SNAPSHOT_COMPLETE : values >= keys) complete?.();
  });
  const patience = limit(LIMIT_MS, "reading");
  try {
    await Promise.race([completed, channel.ended, patience.expired]);
  } finally {
    patience.clear();
    channel.close();
  }
  if (values !== keys) throw new Error(`${values} values came where ${keys} were expected`);
  return performance.now() - start;
}

async function repeated(
  name: string,
  port: number,
  message: Buffer,
  keys: number,
  snapshot: boolean,
): Promise<Figure[]> {
  const times: number[] = [];
  for (let turn = 0; turn < REPEATS; turn++) times.push(await timeToRead(port, message, keys, snapshot));
  const ms = median(times);
  return [
    { name: `${name}, median of ${REPEATS}`, value: ms, unit: "ms" },
    { name: "the same", value: (1000 * keys) / ms, unit: "keys/s" },
  ];
}

/** How long a watch takes that begins with a snapshot, or far back in the history. */
export async function historyTimes(deployment: Deployment, { keys }: Effort): Promise<FigureGroup> {
  const server = await deployment.start();
  const { port } = server;
  const client = createBenchClient(port);
  const all = { storeName: STORE };
  const before = await openWatchChannel(port, watchKeysMessage(all), () => {});
  before.close();
  const { resumeToken } = WatchKeysResponse.decode(before.first);
  const start = performance.now();
  await fill(client, keys);
  const filledMs = performance.now() - start;
  const snapshot = watchKeysMessage({ ...all, snapshot: true });
  const resume = watchKeysMessage({ ...all, resumeToken });
  const figures = [
    { name: `to write them by BatchSetKeys of ${BATCH_KEYS}`, value: filledMs, unit: "ms" },
    ...(await repeated("snapshot of all keys", port, snapshot, keys, true)),
    ...(await repeated("resume before all of their events", port, resume, keys, false)),
  ];
  client.close();
  await server.stop();
  return {
    name: "history",
    title: `Snapshot and history of ${keys.toLocaleString("en-US")} keys with values of 250 B, by one watcher`,
    figures,
  };
}
