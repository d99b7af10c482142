import { Clock } from "../../src/engines/lmdb/clock.js";
import { openCollection } from "../../src/engines/lmdb/collection.js";
import { openEnvironment } from "../../src/engines/lmdb/environment.js";
import { documentKey } from "../../src/engines/lmdb/keys.js";
import { openWriter } from "../../src/engines/lmdb/writer.js";

/** The parts of an engine, without a sweeper, to look between them. */
export async function openParts(path: string, now: () => number, maxBytes = 10_000_000) {
  const environment = await openEnvironment(path, 1);
  const writer = openWriter(environment);
  const history = { maxAgeMs: 60_000, maxBytes };
  const collection = openCollection(environment, "execution_store", new Clock(now), history);
  const put = (key: string, expiresAt?: number, value: Buffer = Buffer.alloc(9)) =>
    writer.submit({
      collection,
      apply(batch) {
        const at = documentKey("", "store", key);
        return batch.put(at, batch.readLive(at), { policy: "evict", expiresAt, value });
      },
    });
  const close = async () => {
    await writer.close();
    await environment.close();
  };
  return { environment, writer, collection, put, close };
}
