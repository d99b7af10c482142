import type { Child } from "./children.js";
import { SMALL_KEYS, STORES, scattered, smallValueOf } from "./comparisons.js";
import type { Load } from "./load.js";
import { DATASET_ID, sampleKey } from "./sample-requests.js";
import type { Json } from "./sample-values.js";

/** What a process does that works on MongoDB without the service: a key a call. */
export type DirectCall = "get" | "set" | "set-ttl";

/** What such a process is told at its start, by a file of JSON that its first argument names. */
export interface DirectPlan {
  readonly uri: string;
  /** The name of the database. */
  readonly database: string;
  readonly datasetId: string;
  /** The store whose keys each kind of call takes. */
  readonly stores: Readonly<Record<DirectCall, string>>;
  readonly ttlSeconds: number;
  /** Taken in turn. */
  readonly entries: readonly { readonly key: string; readonly value: Json }[];
}

/** What such a process is asked for by the body of a POST, as JSON. */
export interface DirectRequest {
  readonly call: DirectCall;
  /** Calls in flight, or threads. */
  readonly atOnce: number;
  readonly ms: number;
}

/** What it answers, as JSON. */
export type DirectAnswer = Pick<Load, "calls" | "ms"> | { readonly error: string };

/** The plan for one database: the documents that the service's callers work on, in the same order. */
export function directPlan(uri: string, database: string, ttlSeconds: number): DirectPlan {
  return {
    uri,
    database,
    datasetId: DATASET_ID,
    stores: { get: STORES.small, set: STORES.writes, "set-ttl": STORES.leases },
    ttlSeconds,
    entries: scattered(SMALL_KEYS).map((index) => ({
      key: sampleKey(index),
      value: smallValueOf(index).json,
    })),
  };
}

/** Has a process make calls of MongoDB for a while. Fails with the first call that fails. */
export async function directLoad({ port }: Child, request: DirectRequest): Promise<Load> {
  const response = await fetch(`http://127.0.0.1:${port}`, { method: "POST", body: JSON.stringify(request) });
  const answer = (await response.json()) as DirectAnswer;
  if ("error" in answer) throw new Error(answer.error);
  // It generates its load itself: that is in its own processor time.
  return { ...answer, generatorCpuMs: 0 };
}
