import { join } from "node:path";
import {
  CountKeysRequest,
  CountKeysResponse,
  CountStoresRequest,
  DeleteStoreRequest,
  DeleteStoreResponse,
  ListKeysRequest,
  ListKeysResponse,
} from "../gen/ts/execution_store/v1/execution_store.js";
import { type BenchClient, createBenchClient, methodPath } from "./bench-client.js";
import { startExecutionStore } from "./execution-store-server.js";
import { load } from "./load.js";
import type { BenchOptions } from "./options.js";
import { anonymousMegabytes } from "./process-figures.js";
import type { Figure, FigureGroup } from "./report.js";
import { median, type Pace } from "./rounds.js";
import {
  batchSetKeysMessage,
  DATASET_ID,
  getKeyMessage,
  sampleKey,
  setKeyMessage,
} from "./sample-requests.js";
import { smallValue } from "./sample-values.js";
import { startToFirstAnswer } from "./start-time.js";

const STORE = "million";
const OTHER_STORE = "other";
/** Every key of sampleKey() has it, so that the engine cannot answer from a counter of its own. */
const ALL_KEYS_PREFIX = "sample-";
const BATCH_KEYS = 1000;
const BATCHES_IN_FLIGHT = 4;
const LARGEST_PAGE = 10_000;
const READ_KEYS = 10_000;
const REPEATS = 5;

const context = { datasetId: DATASET_ID, collectionName: "" };

/** A promise with the time that it took, in milliseconds. */
async function timed<T>(work: () => Promise<T>): Promise<{ readonly value: T; readonly ms: number }> {
  const start = performance.now();
  const value = await work();
  return { value, ms: performance.now() - start };
}

function expectCount(what: string, found: bigint | number, expected: number): void {
  if (Number(found) !== expected) throw new Error(`${what} found ${found} keys where ${expected} are`);
}

async function fill(client: BenchClient, keys: number): Promise<void> {
  const value = smallValue(1);
  let next = 0;
  const writer = async (): Promise<void> => {
    while (next < keys) {
      const first = next;
      next += BATCH_KEYS;
      const length = Math.min(BATCH_KEYS, keys - first);
      const names = Array.from({ length }, (_, offset) => sampleKey(first + offset));
      await client.call(
        "BatchSetKeys",
        batchSetKeysMessage(STORE, names, () => value, "bson"),
      );
    }
  };
  await Promise.all(Array.from({ length: BATCHES_IN_FLIGHT }, writer));
}

async function count(client: BenchClient, prefix: string): Promise<bigint> {
  const message = CountKeysRequest.encode({ ...context, storeName: STORE, prefix }).finish();
  return CountKeysResponse.decode(await client.call("CountKeys", message)).count;
}

async function listAll(client: BenchClient): Promise<number> {
  let [found, pageToken] = [0, ""];
  do {
    const request = { ...context, storeName: STORE, pageSize: LARGEST_PAGE, pageToken, prefix: "" };
    const page = ListKeysResponse.decode(
      await client.call("ListKeys", ListKeysRequest.encode(request).finish()),
    );
    found += page.keys.length;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return found;
}

async function countStores(client: BenchClient): Promise<void> {
  await client.call("CountStores", CountStoresRequest.encode(context).finish());
}

/** Reads one key, over and over, while `work` goes on; answers the longest time that a read took. */
async function longestReadDuring<T>(
  client: BenchClient,
  work: () => Promise<T>,
): Promise<{ readonly value: T; readonly ms: number; readonly longestReadMs: number }> {
  const message = getKeyMessage(OTHER_STORE, sampleKey(0), "bson");
  const state = { over: false, longestReadMs: 0 };
  const working = timed(work).finally(() => {
    state.over = true;
  });
  const reading = (async () => {
    while (!state.over) {
      const { ms } = await timed(() => client.call("GetKey", message));
      state.longestReadMs = Math.max(state.longestReadMs, ms);
    }
  })();
  const [done] = await Promise.all([working, reading]);
  return { ...done, longestReadMs: state.longestReadMs };
}

async function medianMs(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let turn = 0; turn < REPEATS; turn++) times.push((await timed(work)).ms);
  return median(times);
}

async function reads(port: number, keys: number, ms: number): Promise<Figure> {
  const messages = Array.from({ length: READ_KEYS }, () =>
    getKeyMessage(STORE, sampleKey(Math.floor(Math.random() * keys)), "bson"),
  );
  const workload = { path: methodPath("GetKey"), messages, connections: 4, inFlight: 64 };
  const done = await load(port, workload, ms);
  return { name: "GetKey of random keys", value: (1000 * done.calls) / done.ms, unit: "calls/s" };
}

async function use(
  client: BenchClient,
  port: number,
  pid: number,
  keys: number,
  pace: Pace,
): Promise<Figure[]> {
  const loaded = await timed(() => fill(client, keys));
  await client.call("SetKey", setKeyMessage(OTHER_STORE, sampleKey(0), smallValue(0), "bson"));
  const counted = await longestReadDuring(client, () => count(client, ALL_KEYS_PREFIX));
  expectCount("CountKeys", counted.value, keys);
  const countMs = await medianMs(() => count(client, ""));
  const listed = await timed(() => listAll(client));
  expectCount("ListKeys", listed.value, keys);
  const storesMs = await medianMs(() => countStores(client));
  const got = await reads(port, keys, pace.rounds * pace.roundMs);
  return [
    { name: `load by BatchSetKeys of ${BATCH_KEYS}`, value: loaded.ms / 1000, unit: "s" },
    { name: "the same", value: (1000 * keys) / loaded.ms, unit: "keys/s" },
    { name: "CountKeys", value: countMs, unit: "ms" },
    { name: "CountKeys with a prefix that all keys have", value: counted.ms, unit: "ms" },
    { name: "longest GetKey meanwhile", value: counted.longestReadMs, unit: "ms" },
    { name: `ListKeys, all pages of ${LARGEST_PAGE}`, value: listed.ms / 1000, unit: "s" },
    { name: "CountStores", value: storesMs, unit: "ms" },
    got,
    {
      name: "anonymous memory after it (RssAnon)",
      value: anonymousMegabytes(pid),
      unit: "MB",
      target: { atMost: 250 },
    },
  ];
}

async function restartAndDelete(options: BenchOptions, directory: string, keys: number): Promise<Figure[]> {
  const { server, ms } = await startToFirstAnswer(options, directory);
  const client = createBenchClient(server.port);
  const message = DeleteStoreRequest.encode({ ...context, storeName: STORE }).finish();
  const deleted = await longestReadDuring(client, () => client.call("DeleteStore", message));
  expectCount("DeleteStore", DeleteStoreResponse.decode(deleted.value).deletedCount, keys);
  client.close();
  await server.stop();
  return [
    { name: "start of the process to its first answer", value: ms, unit: "ms", target: { atMost: 1000 } },
    { name: "DeleteStore", value: deleted.ms / 1000, unit: "s" },
    { name: "longest GetKey meanwhile", value: deleted.longestReadMs, unit: "ms" },
  ];
}

/** A store with very many keys: filled, counted, listed, read, served again after a restart, deleted. */
export async function millionKeys(
  options: BenchOptions,
  directory: string,
  keys: number,
  pace: Pace,
): Promise<FigureGroup> {
  const path = join(directory, "million");
  const server = await startExecutionStore(options.server, `lmdb:${path}`);
  const client = createBenchClient(server.port);
  const used = await use(client, server.port, server.pid, keys, pace);
  client.close();
  await server.stop();
  return {
    name: "million",
    title: `A store of ${keys.toLocaleString("en-US")} keys with values of 250 B`,
    figures: [...used, ...(await restartAndDelete(options, path, keys))],
  };
}
