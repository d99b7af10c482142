import { expect, onTestFinished } from "vitest";
import { type LmdbEngine, type LmdbEngineOptions, openLmdbEngine } from "../../src/engines/lmdb/engine.js";
import { openMongoArchive } from "../../src/engines/mongo/open-archive.js";
import type { Archive, ArchivedDocument, TransferMode, TransferOutcome } from "../../src/store/transfer.js";
import { tempDir } from "./temp-dir.js";

/** The one collection that these tests copy. */
export const COLLECTION = "execution_store";

/** An embedded engine in a directory of its own, for the running test. */
export async function openLmdb(options: Partial<LmdbEngineOptions> = {}): Promise<LmdbEngine> {
  const engine = await openLmdbEngine({ path: tempDir(), collections: [COLLECTION], ...options });
  onTestFinished(() => engine.close());
  return engine;
}

/** The documents of a MongoDB, for the running test. */
export async function openMongo(uri: string): Promise<Archive> {
  const events: unknown[] = [];
  const opened = await openMongoArchive({
    uri,
    collections: [COLLECTION],
    write: true,
    onEvent: (event) => void ("level" in event && events.push(event)),
  });
  onTestFinished(async () => {
    await opened.close();
    expect(events).toEqual([]);
  });
  return opened.archive;
}

/** Everything in an archive. */
export async function readAll(archive: Archive): Promise<ArchivedDocument[]> {
  const all: ArchivedDocument[] = [];
  for await (const { documents } of archive.read(COLLECTION)) all.push(...documents);
  return all;
}

/** How many documents had which outcome; refusals count as "refused". */
export type Outcomes = Partial<Record<Extract<TransferOutcome, string> | "refused", number>>;

/** Takes every document of one archive to another. */
export async function transferAll(source: Archive, target: Archive, mode: TransferMode): Promise<Outcomes> {
  const counts: Outcomes = {};
  for await (const { documents } of source.read(COLLECTION)) {
    for (const outcome of await target.write(COLLECTION, documents, mode)) {
      const name = typeof outcome === "string" ? outcome : "refused";
      counts[name] = (counts[name] ?? 0) + 1;
    }
  }
  return counts;
}

/** Documents in an order of their own, with values as text, so that a difference can be read. */
export function inOrder(documents: readonly ArchivedDocument[]): readonly unknown[] {
  return documents
    .map(({ value, ...rest }) => ({
      name: JSON.stringify([rest.datasetId, rest.storeName, rest.key ?? null]),
      ...rest,
      value: value === undefined ? undefined : Buffer.from(value).toString("hex"),
    }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
