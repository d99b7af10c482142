import { createHash } from "node:crypto";
import type { Change } from "../../src/store/changes.js";

/** A change on one line, to compare it over processes; values as digests. */
export function changeLine({ position, datasetId, storeName, key, events }: Change): string {
  const shown = events.map(({ type, commitTime, document, previous }) => [
    type,
    commitTime,
    document?.read(true),
    previous?.read(true),
  ]);
  return JSON.stringify([position, datasetId, storeName, key, shown], (_, value: unknown) =>
    value instanceof Uint8Array ? createHash("sha1").update(value).digest("base64") : value,
  );
}
