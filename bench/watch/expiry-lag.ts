import {
  BatchSetKeysRequest,
  KeyEvent_Type,
  KeyPolicy,
  ValueEncoding,
  WatchKeysResponse,
} from "../../gen/ts/execution_store/v1/execution_store.js";
import { until } from "../../test/support/until.js";
import { type BenchClient, createBenchClient } from "../bench-client.js";
import type { FigureGroup } from "../report.js";
import { DATASET_ID, sampleKey } from "../sample-requests.js";
import { smallValue } from "../sample-values.js";
import type { Deployment } from "./deployment.js";
import type { Effort } from "./effort.js";
import { Histogram } from "./histogram.js";
import { watchKeysMessage } from "./store-watches.js";
import { openWatchChannel } from "./watch-channel.js";

const STORE = "expiring";
const EXPIRIES_PER_SECOND = 2000;
/** Longer than anything takes here. */
const DAY_MS = 86_400_000;
const LEAST_AHEAD_MS = 2000;
const BATCH_KEYS = 500;
const DRAIN_LIMIT_MS = 60_000;

/** An encoded BatchSetKeysRequest; the n-th key expires at `expiries[n]`, by Date.now(). */
function batchMessage(first: number, expiries: readonly number[]): Uint8Array {
  const now = Date.now();
  const { bson } = smallValue(0);
  const entries = expiries.map((at, index) => {
    const ms = at - now;
    if (ms <= 0) throw new Error("the keys could not be written before the first of them expired");
    const seconds = Math.floor(ms / 1000);
    return {
      key: sampleKey(first + index),
      value: undefined,
      valueBson: bson,
      ttl: { seconds: BigInt(seconds), nanos: Math.round((ms - 1000 * seconds) * 1e6) },
      policy: KeyPolicy.KEY_POLICY_EVICT,
    };
  });
  const request = { datasetId: DATASET_ID, collectionName: "", storeName: STORE, entries };
  return BatchSetKeysRequest.encode(request).finish();
}

/** Writes keys that expire evenly, one after the other. Answers how long it took, in milliseconds. */
async function writeExpiring(client: BenchClient, keys: number, begin: number): Promise<number> {
  const start = performance.now();
  for (let first = 0; first < keys; first += BATCH_KEYS) {
    const length = Math.min(BATCH_KEYS, keys - first);
    const expiries = Array.from({ length }, (_, at) => begin + (1000 * (first + at)) / EXPIRIES_PER_SECOND);
    await client.call("BatchSetKeys", batchMessage(first, expiries));
  }
  return performance.now() - start;
}

/** How long after their expiry a watcher is told of keys. Both times are of this machine's clock. */
export async function expiryLag(deployment: Deployment, { expirySeconds }: Effort): Promise<FigureGroup> {
  const server = await deployment.start();
  const keys = expirySeconds * EXPIRIES_PER_SECOND;
  const lags = new Histogram();
  const request = watchKeysMessage({
    storeName: STORE,
    eventTypes: [KeyEvent_Type.TYPE_EXPIRED],
    encoding: ValueEncoding.VALUE_ENCODING_NONE,
    includePrevious: true,
  });
  const channel = await openWatchChannel(server.port, request, (message) => {
    const now = Date.now();
    for (const { previous } of WatchKeysResponse.decode(message).events) {
      const expiresAt = previous?.expiresAt;
      if (expiresAt === undefined) continue;
      lags.record(1000 * (now - Number(expiresAt.seconds) * 1000) - expiresAt.nanos / 1000);
    }
  });
  const client = createBenchClient(server.port);
  // Only what is written already can expire at this rate: the first time says how long the second one may take.
  const writingMs = await writeExpiring(client, keys, Date.now() + DAY_MS);
  const begin = Date.now() + 2 * writingMs + LEAST_AHEAD_MS;
  await writeExpiring(client, keys, begin);
  client.close();
  const limitMs = begin - Date.now() + 1000 * expirySeconds + DRAIN_LIMIT_MS;
  const all = until(() => lags.count >= keys, `all of ${keys} expiries were told`, limitMs);
  await Promise.race([all, channel.ended]);
  if (lags.count > keys) throw new Error(`${lags.count} expiries were told of ${keys} keys`);
  channel.close();
  await server.stop();
  const lag = (share: number): number => lags.quantile(share) / 1e6;
  return {
    name: "expiry",
    title: `Expiries, ${EXPIRIES_PER_SECOND.toLocaleString("en-US")} a second: from expires_at to the arrival of EXPIRED`,
    figures: [
      { name: "half of them within", value: lag(0.5), unit: "s" },
      { name: "99 % of them within", value: lag(0.99), unit: "s", target: { atMost: 1 } },
      { name: "all of them within", value: lags.max / 1e6, unit: "s" },
    ],
  };
}
