import { createHash, randomUUID } from "node:crypto";
import { expect } from "vitest";
import type {
  Change,
  ChangeBatch,
  ChangeEvent,
  ChangeSource,
  ChangeType,
  EventDocument,
  HistoryPoint,
  Selector,
} from "../../../src/store/changes.js";
import type { KeyDocument } from "../../../src/store/document.js";
import type { WatchableEngine } from "../../../src/store/engine.js";
import { DEFAULT_COLLECTION } from "../../../src/store/limits.js";
import type { CheckIn } from "../describe-topics.js";
import { type EngineUnderTest, NONE, persist } from "../world.js";

/** What every test asks of a source. */
export const NEEDS = { previous: true };
/** All keys of all contexts. */
export const EVERYTHING: Selector = {
  datasetId: undefined,
  storeName: undefined,
  key: undefined,
  keyPrefix: "",
};
/** Where tests write what ends a reading. */
const END_STORE = "the end of a reading";
/** "Some hundred". */
const MAX_BATCH_CHANGES = 1000;

/** An engine over data of its own, as a factory makes it. */
export interface WatchableUnderTest extends EngineUnderTest {
  readonly engine: WatchableEngine;
  readonly reopen?: () => Promise<WatchableUnderTest>;
  /** A place that comes long after this one, where no history is yet. */
  readonly ahead: (point: HistoryPoint) => HistoryPoint;
}

/** What some engines lack by design; a factory that skips one gives the reason. */
export type ChangeCapability = "durability";

/** What a test works with: an engine over empty collections, in the time of the clock on the wall. */
export interface ChangeWorld {
  readonly engine: WatchableEngine;
  /** Of the default collection. */
  readonly source: ChangeSource;
  readonly ahead: (point: HistoryPoint) => HistoryPoint;
  /** Closes the engine and opens it over the same data; `engine` and `source` are the new ones afterwards. */
  reopen(): Promise<void>;
}

/** Registers a test, which is skipped where the engine lacks what it needs. */
export type ChangeCheck = CheckIn<ChangeWorld, ChangeCapability>;

/** A document that was read, in a form that compares fast however large its value is. */
export interface SeenDocument extends Omit<KeyDocument, "value"> {
  /** A digest of the value's bytes; undefined if it came without. */
  readonly value: string | undefined;
  /** The value's size. */
  readonly bytes: number | undefined;
}

/** An event with its documents read. */
export interface SeenEvent {
  readonly type: ChangeType;
  readonly commitTime: number;
  readonly document: SeenDocument | undefined;
  readonly previous: SeenDocument | undefined;
}

/** A change with its documents read. */
export interface SeenChange extends Omit<Change, "events"> {
  readonly events: readonly SeenEvent[];
}

/** See SeenDocument. */
export function seen(document: KeyDocument): SeenDocument {
  const { value } = document;
  const digest = value && createHash("sha256").update(value).digest("base64");
  return { ...document, value: digest, bytes: value?.length };
}

function see(document: EventDocument | undefined): SeenDocument | undefined {
  return document && seen(document.read(true));
}

function seeEvent({ type, commitTime, document, previous }: ChangeEvent): SeenEvent {
  return { type, commitTime, document: see(document), previous: see(previous) };
}

/** Reads batches and checks what holds for every one. The signal's end ends it. */
export async function* readBatches(
  source: ChangeSource,
  after: HistoryPoint,
  signal: AbortSignal,
): AsyncGenerator<Omit<ChangeBatch, "changes"> & { readonly changes: readonly SeenChange[] }> {
  let place = after.position;
  for await (const { changes, position } of source.read(after, NEEDS, signal)) {
    expect(changes.length).toBeLessThanOrEqual(MAX_BATCH_CHANGES);
    expect(position).toMatch(/^[\x20-\x7e]+$/);
    const read: SeenChange[] = [];
    for (const change of changes) {
      expect(change.position > place, `${change.position} comes after ${place}`).toBe(true);
      place = change.position;
      read.push({ ...change, events: change.events.map(seeEvent) });
    }
    expect(position >= place, `${position} is at or after ${place}`).toBe(true);
    place = position;
    yield { changes: read, position };
  }
}

/** Whether something is a test's own, and not what ends a reading. */
export function isTraffic({ storeName }: { readonly storeName: string }): boolean {
  return storeName !== END_STORE;
}

/** All changes after a place, up to now. */
export async function changesAfter(
  { engine, source }: ChangeWorld,
  after: HistoryPoint,
): Promise<SeenChange[]> {
  const key = randomUUID();
  await engine.setKey(NONE, END_STORE, key, persist());
  const end = new AbortController();
  const all: SeenChange[] = [];
  for await (const { changes } of readBatches(source, after, end.signal)) {
    const last = changes.findIndex((change) => change.key === key);
    all.push(...(last === -1 ? changes : changes.slice(0, last)));
    if (last !== -1) break;
  }
  end.abort();
  return all.filter(isTraffic);
}

/** What a work changes. */
export async function changesOf<Result>(
  world: ChangeWorld,
  work: () => Promise<Result>,
): Promise<{ readonly changes: SeenChange[]; readonly result: Result }> {
  const start = await world.source.now(NEEDS);
  const result = await work();
  return { changes: await changesAfter(world, start), result };
}

/** One event after the other, as `key: type`. */
export function typesOf(changes: readonly SeenChange[]): string[] {
  return changes.flatMap(({ key, events }) => events.map(({ type }) => `${key}: ${type}`));
}

/** The documents of a snapshot, page by page. */
export async function snapshotPages(
  source: ChangeSource,
  selector: Selector,
  withValues = true,
  between?: () => Promise<void>,
): Promise<{ readonly point: HistoryPoint; readonly pages: SeenDocument[][] }> {
  const snapshot = await source.snapshot(selector, withValues);
  const pages: SeenDocument[][] = [];
  try {
    for await (const page of snapshot.pages()) {
      expect(page.length).toBeGreaterThan(0);
      pages.push(page.filter(isTraffic).map(seen));
      await between?.();
    }
  } finally {
    snapshot.close();
  }
  return { point: { history: snapshot.history, position: snapshot.position }, pages };
}

/** The source of the default collection. */
export function sourceOf(engine: WatchableEngine): ChangeSource {
  return engine.changes(DEFAULT_COLLECTION);
}
