import { isDeepStrictEqual } from "node:util";
import { expect } from "vitest";
import type { HistoryPoint } from "../../../src/store/changes.js";
import { Choices, readSeed, seedText } from "../../race/random.js";
import { until } from "../../support/until.js";
import {
  type ChangeCheck,
  type ChangeWorld,
  changesAfter,
  EVERYTHING,
  isTraffic,
  NEEDS,
  readBatches,
  type SeenChange,
  type SeenDocument,
  type SeenEvent,
  seen,
  snapshotPages,
} from "./change-world.js";
import { liveDocuments, writeSideBySide } from "./random-traffic.js";

const WRITERS = 6;
const WRITES = 60;
/** Places to read again from, and snapshots to go on from, at most: about. */
const PLACES = 60;
const SNAPSHOTS = 15;
const LATER = Number.POSITIVE_INFINITY;

function idOf({ datasetId, storeName, key }: Pick<SeenDocument, "datasetId" | "storeName" | "key">): string {
  return JSON.stringify([datasetId, storeName, key]);
}

/**
 * Applies changes to documents, and answers what does not fit: each event tells what was there before it.
 *
 * @param late whether a key's first event may tell the expiry of a document that is not among the given ones
 */
function applyChanges(
  documents: Map<string, SeenDocument>,
  changes: readonly SeenChange[],
  late: boolean,
): string[] {
  const problems: string[] = [];
  const told = new Set<string>();
  for (const change of changes) {
    const id = idOf(change);
    for (const event of change.events) {
      const before = documents.get(id);
      if (late && event.type === "expired" && before === undefined && !told.has(id)) continue;
      told.add(id);
      for (const problem of problemsOf(event, before)) {
        problems.push(`${event.type} of ${id} at ${change.position}: ${problem}`);
      }
      if (event.document === undefined) documents.delete(id);
      else documents.set(id, event.document);
    }
  }
  return problems;
}

function problemsOf(
  { type, commitTime, document, previous }: SeenEvent,
  before: SeenDocument | undefined,
): string[] {
  const gone = type === "expired" || type === "deleted";
  const expired = previous?.expiresAt !== undefined && previous.expiresAt <= commitTime;
  return [
    ...((type === "created") === (before === undefined) ? [] : [`there was ${before?.etag} before`]),
    ...(isDeepStrictEqual(previous, before) ? [] : [`previous is ${previous?.etag}, before ${before?.etag}`]),
    ...(expired === (type === "expired") ? [] : [`expiry ${previous?.expiresAt}, commit ${commitTime}`]),
    ...(gone === (document === undefined) ? [] : [`its document is ${document?.etag}`]),
    ...(document !== undefined && before !== undefined && document.updatedAt <= before.updatedAt
      ? ["it is not later than before"]
      : []),
  ];
}

function inOrder(documents: Iterable<SeenDocument>): SeenDocument[] {
  return [...documents].toSorted(
    (one, other) =>
      Buffer.compare(Buffer.from(one.datasetId), Buffer.from(other.datasetId)) ||
      Buffer.compare(Buffer.from(one.storeName), Buffer.from(other.storeName)) ||
      Buffer.compare(Buffer.from(one.key), Buffer.from(other.key)),
  );
}

/** Waits until nothing brief is left of the random traffic and all of its history is told; answers both. */
async function settled(world: ChangeWorld, start: HistoryPoint) {
  let whole: SeenChange[] = [];
  await until(async () => {
    whole = await changesAfter(world, start);
    const documents = new Map<string, SeenDocument>();
    applyChanges(documents, whole, false);
    return [...documents.values()].every(({ expiresAt = LATER }) => expiresAt > Date.now() + 100_000);
  }, "all brief keys have expired");
  return { whole, live: inOrder((await liveDocuments(world.engine)).map(seen)) };
}

/** What random traffic leaves in a history. */
export function histories(check: ChangeCheck): void {
  check("tells of random traffic exactly what happened, from every place again", async (world) => {
    const seed = readSeed();
    const { source } = world;
    const start = await source.now(NEEDS);
    await writeSideBySide(world.engine, new Choices(seed), WRITERS, WRITES);
    const { whole, live } = await settled(world, start);
    const documents = new Map<string, SeenDocument>();
    expect(applyChanges(documents, whole, false), seedText(seed)).toEqual([]);
    expect(inOrder(documents.values()), seedText(seed)).toEqual(live);
    const step = Math.max(1, Math.floor(whole.length / PLACES));
    for (let index = 0; index < whole.length; index += step) {
      const point = { ...start, position: whole[index]?.position ?? "" };
      const rest = await changesAfter(world, point);
      expect(rest, `after ${point.position}; ${seedText(seed)}`).toEqual(whole.slice(index + 1));
    }
  });

  check("tells a reader who follows the same as one who comes later", async (world) => {
    const seed = readSeed();
    const { engine, source } = world;
    const start = await source.now(NEEDS);
    const end = new AbortController();
    const followed: SeenChange[] = [];
    const following = (async () => {
      for await (const { changes } of readBatches(source, start, end.signal)) followed.push(...changes);
    })();
    await writeSideBySide(engine, new Choices(seed), WRITERS, WRITES);
    const { whole } = await settled(world, start);
    await until(
      () => followed.filter(isTraffic).length >= whole.length,
      "the reader who follows has seen the end",
    );
    end.abort(new Error("enough"));
    await expect(following).rejects.toThrow("enough");
    expect(followed.filter(isTraffic).slice(0, whole.length), seedText(seed)).toEqual(whole);
  });

  check("gives snapshots that, with what comes after them, make the state", async (world) => {
    const seed = readSeed();
    const { engine, source } = world;
    const start = await source.now(NEEDS);
    let writing = true;
    const traffic = writeSideBySide(engine, new Choices(seed), WRITERS, WRITES).finally(() => {
      writing = false;
    });
    const taken: Awaited<ReturnType<typeof snapshotPages>>[] = [];
    while (writing) {
      taken.push(await snapshotPages(source, EVERYTHING));
      await new Promise(setImmediate);
    }
    await traffic;
    const { live } = await settled(world, start);
    expect(taken.length).toBeGreaterThan(3);
    const step = Math.ceil(taken.length / SNAPSHOTS);
    for (const { point, pages } of taken.filter((_, index) => index % step === 0)) {
      const documents = new Map(pages.flat().map((document) => [idOf(document), document]));
      expect([...documents.values()]).toEqual(inOrder(documents.values()));
      const after = await changesAfter(world, point);
      // What had expired at the snapshot, and was still to be removed, is told all the same.
      expect(applyChanges(documents, after, true), seedText(seed)).toEqual([]);
      expect(inOrder(documents.values()), seedText(seed)).toEqual(live);
    }
  });
}
