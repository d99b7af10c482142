import {
  BATCH_KEYS,
  batches,
  type Comparison,
  gets,
  IN_FLIGHT,
  STORES,
  sets,
  smallValueOf,
} from "./comparisons.js";
import type { DirectCall } from "./direct-load.js";
import type { Target } from "./report.js";
import { batchGetKeysMessage, batchSetKeysMessage } from "./sample-requests.js";

/** A kind of call that is measured beside programs that work on the same documents without the service. */
export interface MongodbComparison
  extends Pick<Comparison, "part" | "title" | "method" | "messages" | "inFlight" | "keys"> {
  /** What those programs do, a key a call. */
  readonly direct: DirectCall;
  /** Calls of the bare driver at once. */
  readonly driverInFlight: number;
  /** The numbers of threads of FiftyOne. */
  readonly threads: readonly number[];
  /** Of the keys a second, by those of the bare driver. */
  readonly ratio?: Target;
}

/** The time to live of what has one. It ends long after the measurement. */
export const TTL_SECONDS = 3600;

const together = { inFlight: IN_FLIGHT, driverInFlight: IN_FLIGHT, threads: [1, 8] };
const alone = { inFlight: 1, driverInFlight: 1, threads: [1] };
const batch = { inFlight: IN_FLIGHT, driverInFlight: IN_FLIGHT, threads: [8], keys: BATCH_KEYS };

/** Everything that is measured beside the bare driver and FiftyOne. */
export const MONGODB_COMPARISONS: readonly MongodbComparison[] = [
  {
    part: "get",
    title: "GetKey, 250 B as value_bson",
    method: "GetKey",
    messages: () => gets("bson"),
    direct: "get",
    ...together,
    ratio: { atLeast: 1.5 },
  },
  {
    part: "get-alone",
    title: "GetKey, one at a time",
    method: "GetKey",
    messages: () => gets("bson"),
    direct: "get",
    ...alone,
  },
  {
    part: "set",
    title: "SetKey, 250 B as value_bson",
    method: "SetKey",
    messages: () => sets("bson"),
    direct: "set",
    ...together,
    ratio: { atLeast: 1 },
  },
  {
    part: "set-ttl",
    title: "SetKey with a time to live",
    method: "SetKey",
    messages: () => sets("bson", TTL_SECONDS),
    direct: "set-ttl",
    ...together,
  },
  {
    part: "set-alone",
    title: "SetKey, one at a time",
    method: "SetKey",
    messages: () => sets("bson"),
    direct: "set",
    ...alone,
  },
  {
    part: "batch-get",
    title: "BatchGetKeys of 100 keys; the others a key a call, ratios in keys",
    method: "BatchGetKeys",
    messages: () => batches((keys) => batchGetKeysMessage(STORES.small, keys, "bson")),
    direct: "get",
    ...batch,
  },
  {
    part: "batch-set",
    title: "BatchSetKeys of 100 keys; the others a key a call, ratios in keys",
    method: "BatchSetKeys",
    messages: () =>
      batches((keys) => batchSetKeysMessage(STORES.writes, keys, () => smallValueOf(0), "bson")),
    direct: "set",
    ...batch,
    ratio: { atLeast: 4 },
  },
];
