import type { Part } from "./options.js";
import type { Target } from "./report.js";
import {
  batchGetKeysMessage,
  batchSetKeysMessage,
  type Form,
  getKeyMessage,
  sampleKey,
  setKeyMessage,
} from "./sample-requests.js";
import { largeValue, type SampleValue, smallValue } from "./sample-values.js";

/** A kind of call that is measured beside echoes of the same sizes. */
export interface Comparison {
  readonly part: Part;
  readonly title: string;
  /** Of StoreService. */
  readonly method: string;
  /** Encoded requests, taken in turn. */
  readonly messages: () => readonly Buffer[];
  readonly inFlight: number;
  /** Whether there is a baseline with the same messages, too. */
  readonly typed?: "getKey" | "setKey";
  /** Keys in a call, where the keys a second are of interest. */
  readonly keys?: number;
  /** Whether the megabytes a second are of interest. */
  readonly bulk?: boolean;
  /** Of the rate, by that of each nice-grpc baseline. */
  readonly ratio?: Target;
  readonly keysPerSecond?: Target;
}

/** Keys of the small values. More than a processor's caches like, and the same for every run. */
export const SMALL_KEYS = 10_000;
/** Keys of the large values. */
export const LARGE_KEYS = 8;
/** Stores: what is read is written once, before the rounds. */
export const STORES = { small: "results", large: "datasets", writes: "progress", leases: "leases" } as const;

/** Keys of a batch. */
export const BATCH_KEYS = 100;
/** Calls at once, unless it is one. */
export const IN_FLIGHT = 64;
// 64 of them would be 58 MB on the way at once, which no worker asks for.
const LARGE_IN_FLIGHT = 8;
// A prime, so that the calls of a round neither follow the order of the keys nor repeat early.
const STRIDE = 7919;

const smallValues = Array.from({ length: 100 }, (_, index) => smallValue(index));

/** The value of the n-th small key. */
export function smallValueOf(index: number): SampleValue {
  return smallValues[index % smallValues.length] ?? smallValue(index);
}

/** The indices below `count`, each once, in an order that follows nothing. */
export function scattered(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => (index * STRIDE) % count);
}

/** Encoded requests that have every small key once between them. */
export function batches(make: (keys: string[]) => Buffer): readonly Buffer[] {
  const indices = scattered(SMALL_KEYS);
  return Array.from({ length: SMALL_KEYS / BATCH_KEYS }, (_, batch) =>
    make(indices.slice(batch * BATCH_KEYS, (batch + 1) * BATCH_KEYS).map(sampleKey)),
  );
}

/** Encoded requests, one for every small key. */
export function gets(form: Form): readonly Buffer[] {
  return scattered(SMALL_KEYS).map((index) => getKeyMessage(STORES.small, sampleKey(index), form));
}

/** Encoded requests, one for every small key; with a time to live, in seconds, in a store of their own. */
export function sets(form: Form, ttlSeconds?: number): readonly Buffer[] {
  const store = ttlSeconds === undefined ? STORES.writes : STORES.leases;
  return scattered(SMALL_KEYS).map((index) =>
    setKeyMessage(store, sampleKey(index), smallValueOf(index), form, ttlSeconds),
  );
}

function largeGets(form: Form): readonly Buffer[] {
  return scattered(LARGE_KEYS).map((index) => getKeyMessage(STORES.large, sampleKey(index), form));
}

function largeSets(form: Form): readonly Buffer[] {
  return scattered(LARGE_KEYS).map((index) =>
    setKeyMessage(STORES.writes, `large-${index}`, largeValue(index), form),
  );
}

const batchGet = { method: "BatchGetKeys", inFlight: IN_FLIGHT, keys: BATCH_KEYS };
const largeRead = { method: "GetKey", inFlight: LARGE_IN_FLIGHT, bulk: true };
const largeWrite = { method: "SetKey", inFlight: LARGE_IN_FLIGHT, bulk: true };

/** Everything that is measured beside echoes. */
export const COMPARISONS: readonly Comparison[] = [
  {
    part: "get",
    title: "GetKey, 250 B as value_bson",
    method: "GetKey",
    messages: () => gets("bson"),
    inFlight: IN_FLIGHT,
    typed: "getKey",
    ratio: { atLeast: 0.9 },
  },
  {
    part: "get-json",
    title: "GetKey, 250 B as JSON value",
    method: "GetKey",
    messages: () => gets("json"),
    inFlight: IN_FLIGHT,
    typed: "getKey",
  },
  {
    part: "set",
    title: "SetKey, 250 B as value_bson",
    method: "SetKey",
    messages: () => sets("bson"),
    inFlight: IN_FLIGHT,
    typed: "setKey",
    ratio: { atLeast: 0.75 },
  },
  {
    part: "set-json",
    title: "SetKey, 250 B as JSON value",
    method: "SetKey",
    messages: () => sets("json"),
    inFlight: IN_FLIGHT,
    typed: "setKey",
  },
  {
    part: "batch-get",
    title: "BatchGetKeys of 100 keys, value_bson",
    ...batchGet,
    messages: () => batches((keys) => batchGetKeysMessage(STORES.small, keys, "bson")),
    ratio: { atLeast: 0.6 },
    keysPerSecond: { atLeast: 150_000 },
  },
  {
    part: "batch-get-json",
    title: "BatchGetKeys of 100 keys, JSON value",
    ...batchGet,
    messages: () => batches((keys) => batchGetKeysMessage(STORES.small, keys, "json")),
  },
  {
    part: "batch-set",
    title: "BatchSetKeys of 100 keys, value_bson",
    method: "BatchSetKeys",
    messages: () =>
      batches((keys) => batchSetKeysMessage(STORES.writes, keys, () => smallValueOf(0), "bson")),
    inFlight: IN_FLIGHT,
    keys: BATCH_KEYS,
  },
  {
    part: "large-get",
    title: "GetKey, 0.9 MB as value_bson",
    ...largeRead,
    messages: () => largeGets("bson"),
    ratio: { atLeast: 0.6 },
  },
  {
    part: "large-get-json",
    title: "GetKey, 0.9 MB as JSON value",
    ...largeRead,
    messages: () => largeGets("json"),
  },
  {
    part: "large-set",
    title: "SetKey, 0.9 MB as value_bson",
    ...largeWrite,
    messages: () => largeSets("bson"),
  },
  {
    part: "large-set-json",
    title: "SetKey, 0.9 MB as JSON value",
    ...largeWrite,
    messages: () => largeSets("json"),
  },
];
