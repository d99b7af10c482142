import type { Limits } from "./connection.js";

/** The options by which a driver's read keeps to its limits. */
export function readOptions({ maxTimeMS, signal }: Limits): {
  readonly maxTimeMS: number;
  readonly signal?: AbortSignal;
} {
  return { maxTimeMS, ...(signal !== undefined && { signal }) };
}
