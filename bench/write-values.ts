import type { BenchClient } from "./bench-client.js";
import { SMALL_KEYS, smallValueOf } from "./comparisons.js";
import { batchSetKeysMessage, sampleKey } from "./sample-requests.js";

const BATCH_KEYS = 1000;

/** Sets every small key of a store to its value. */
export async function writeSmallValues(client: BenchClient, storeName: string): Promise<void> {
  for (let at = 0; at < SMALL_KEYS; at += BATCH_KEYS) {
    const indices = Array.from({ length: BATCH_KEYS }, (_, offset) => at + offset);
    const values = new Map(indices.map((index) => [sampleKey(index), smallValueOf(index)]));
    const valueOf = (key: string) => values.get(key) ?? smallValueOf(0);
    await client.call("BatchSetKeys", batchSetKeysMessage(storeName, [...values.keys()], valueOf, "bson"));
  }
}
