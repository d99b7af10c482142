import type { Child } from "../children.js";
import type { Load } from "../load.js";
import type { Json } from "../sample-values.js";
import { ask } from "../watch/control.js";

/** What a caller is asked to do again and again. */
export type ClientCall = "get" | "set" | "batch-get" | "mirror" | "catch-up" | "round-trip";

/** What a process that loads servers is told at its start, by a file of JSON that its last argument names. */
export interface LoadPlan {
  readonly datasetId: string;
  /** What is read, what is written, whose changes are read from history, and whose are awaited. */
  readonly stores: Readonly<Record<"read" | "write" | "changed" | "awaited", string>>;
  /** Taken in turn. `bson` is a document with the field `value`, in base64. */
  readonly entries: readonly { readonly key: string; readonly value: Json; readonly bson: string }[];
  /** The keys of a batch. */
  readonly batch: readonly string[];
  /** Changes that a catch-up reads behind the token. */
  readonly changes: number;
  readonly resumeToken: string;
}

/** What such a process is asked for by the body of a POST, as JSON. */
export interface LoadRequest {
  /** `HOST:PORT`. */
  readonly server: string;
  /** The client of the language, or its bare generated stub. */
  readonly by: "client" | "stub";
  /** Whether values are made from, and into, those of the language; else they stay the bytes that they travel as. */
  readonly values: boolean;
  readonly call: ClientCall;
  /** Threads, tasks or goroutines. */
  readonly atOnce: number;
  readonly ms: number;
}

/** What it answers, as JSON. */
export interface LoadAnswer {
  /** Calls; of catch-ups, their changes. */
  readonly calls: number;
  /** From the first call to the end of the last. */
  readonly ms: number;
  /** Milliseconds that a call took: the median, and what one in a hundred is above. */
  readonly p50: number;
  readonly p99: number;
}

/** Has a process load a server for a while. Fails with the first call that fails. */
export async function clientLoad(child: Child, request: LoadRequest): Promise<Load & LoadAnswer> {
  // It generates its load itself: that is in its own processor time.
  return { ...(await ask<LoadAnswer>(child, request)), generatorCpuMs: 0 };
}
