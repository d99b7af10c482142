import { serialize } from "bson";
import { describe, expect, onTestFinished, test } from "vitest";
import { decodeChange, encodeChange } from "../../src/engines/lmdb/change-log.js";
import { createChangeSource } from "../../src/engines/lmdb/change-source.js";
import { readState } from "../../src/engines/lmdb/collection.js";
import { type LmdbEngineOptions, openLmdbEngine } from "../../src/engines/lmdb/engine.js";
import { documentKey } from "../../src/engines/lmdb/keys.js";
import type { WriteBatch } from "../../src/engines/lmdb/write-batch.js";
import type { Change, ChangeBatch, ChangeSource, HistoryPoint } from "../../src/store/changes.js";
import type { Write } from "../../src/store/engine.js";
import { checkLmdb } from "../support/check-lmdb.js";
import { tempDir } from "../support/temp-dir.js";
import { until } from "../support/until.js";
import { openParts } from "./lmdb-parts.js";

const SCOPE = { collection: "execution_store", datasetId: "" };
const NEEDS = { previous: true };

function write(value: unknown, ttlMs?: number): Write {
  return { value: serialize({ value }), ttlMs, policy: "persist" };
}

async function openEngine(path: string, options: Partial<LmdbEngineOptions> = {}) {
  const engine = await openLmdbEngine({ path, collections: [SCOPE.collection], ...options });
  onTestFinished(() => engine.close());
  return { engine, source: engine.changes(SCOPE.collection) };
}

/** A signal for readings, which end with the test. */
function whileTesting(): AbortSignal {
  const controller = new AbortController();
  onTestFinished(() => controller.abort());
  return controller.signal;
}

/** All that the log has after a place. */
async function readAll(source: ChangeSource, after: HistoryPoint): Promise<Change[]> {
  const { position: last } = await source.now(NEEDS);
  const changes: Change[] = [];
  if (after.position >= last) return changes;
  for await (const batch of source.read(after, NEEDS, whileTesting())) {
    changes.push(...batch.changes);
    if (batch.position >= last) break;
  }
  return changes;
}

/** What each change tells, as `key: type, type`. */
function told(changes: readonly Change[]): string[] {
  return changes.map(({ key, events }) => `${key}: ${events.map(({ type }) => type).join(", ")}`);
}

const START = "0".repeat(16);

/** Without a sweeper, with the means to write around one. */
async function openAtPlaces() {
  let time = 1000;
  const parts = await openParts(tempDir(), () => time);
  onTestFinished(parts.close);
  const source = createChangeSource(parts.collection);
  const { history } = await source.now(NEEDS);
  const at = documentKey("", "store", "key");
  return {
    ...parts,
    source,
    at,
    start: { history, position: START },
    expire: () => {
      time = 2000;
    },
    submit: (apply: (batch: WriteBatch) => unknown) =>
      parts.writer.submit({ collection: parts.collection, apply }),
  };
}
const NEW = { policy: "persist", expiresAt: undefined, value: Buffer.alloc(9) } as const;

describe("an expiry and a creation", () => {
  test("of one write are one change", async () => {
    const { put, source, start, expire } = await openAtPlaces();
    const { revision } = await put("key", 1500);
    expire();
    await put("key");
    const changes = await readAll(source, start);
    expect(told(changes)).toEqual(["key: created", "key: expired, created"]);
    const [expired, created] = changes[1]?.events ?? [];
    expect(expired?.previous?.read(false).etag).toBe(changes[0]?.events[0]?.document?.read(false).etag);
    expect(expired?.document).toBeUndefined();
    expect(created?.previous).toBeUndefined();
    expect(Number(changes[1]?.position)).toBe(revision + 2);
  });

  test("of two writes are two, also next to each other in one transaction", async () => {
    const { put, submit, at, source, start, expire } = await openAtPlaces();
    await put("key", 1500);
    expire();
    await Promise.all([
      // As the sweeper does.
      submit((batch) => {
        const existing = batch.read(at);
        if (existing !== undefined) batch.remove(at, existing);
      }),
      put("key"),
    ]);
    const changes = await readAll(source, start);
    expect(told(changes)).toEqual(["key: created", "key: expired", "key: created"]);
    expect(changes.map(({ position }) => Number(position))).toEqual([1, 2, 3]);
  });

  test("are two where a write that found the expiry made nothing of it", async () => {
    const { put, submit, at, source, start, expire } = await openAtPlaces();
    await put("key", 1500);
    expire();
    await Promise.all([submit((batch) => batch.readLive(at)), put("key")]);
    expect(told(await readAll(source, start))).toEqual(["key: created", "key: expired", "key: created"]);
  });

  test("are never told apart, wherever the reader's part of the log ends", async () => {
    const { put, submit, at, source, start, expire } = await openAtPlaces();
    await put("key", 1500);
    expire();
    await submit((batch) => {
      const other = documentKey("", "store", "other");
      for (let count = 0; count < 700; count += 1) {
        batch.put(other, batch.readLive(other), NEW);
      }
      batch.put(at, batch.readLive(at), NEW);
    });
    const whole = await readAll(source, start);
    expect(told(whole).at(-1)).toBe("key: expired, created");
    expect(whole).toHaveLength(702);
    for (let place = 0; place <= 701; place += 1) {
      const position = String(place).padStart(16, "0");
      const rest = await readAll(source, { ...start, position });
      expect(rest.map((change) => change.position)).toEqual(
        whole.slice(place).map((change) => change.position),
      );
      expect(rest.at(-1)?.events).toHaveLength(2);
    }
  });

  test("leave the log's bytes as they always were where they are not of one write", () => {
    for (const [index, type] of (["created", "updated", "deleted", "expired"] as const).entries()) {
      const bytes = encodeChange({
        type,
        replacesExpired: false,
        commitTime: 1000,
        key: Buffer.from("key"),
        record: undefined,
        previous: undefined,
      });
      expect(bytes[0]).toBe(index);
      expect(decodeChange(bytes)).toMatchObject({ type, replacesExpired: false, commitTime: 1000 });
    }
  });
});

describe("the bounds of history", () => {
  test("by size: each place resumes exactly, or is said to be lost", async () => {
    const path = tempDir();
    const { engine, source } = await openEngine(path, { historyBytes: 40_000 });
    const { history } = await source.now(NEEDS);
    const followed: string[] = [];
    const following = (async () => {
      for await (const { changes } of source.read({ history, position: START }, NEEDS, whileTesting())) {
        followed.push(...changes.map(({ position }) => position));
      }
    })();
    following.catch(() => undefined);
    for (let round = 0; round < 40; round += 1) {
      await Promise.all(
        Array.from({ length: 10 }, (_, index) =>
          engine.setKey(SCOPE, "store", `key-${index}`, write("x".repeat(100))),
        ),
      );
    }
    await until(() => followed.length === 400, "who follows has been told of everything");
    let lost = 0;
    for (let place = 0; place <= 400; place += 1) {
      const position = String(place).padStart(16, "0");
      const rest = await readAll(source, { history, position }).catch((error: unknown) => error);
      if (Array.isArray(rest)) {
        expect(rest.map((change: Change) => change.position)).toEqual(followed.slice(place));
      } else {
        expect(rest).toMatchObject({ reason: "HISTORY_LOST" });
        expect(lost).toBe(place);
        lost += 1;
      }
    }
    expect(lost).toBeGreaterThan(100);
    expect(lost).toBeLessThan(350);
  });

  test("by age: what is older than the time is lost, what comes after it is not", async () => {
    let time = 1_000_000;
    const { engine, source } = await openEngine(tempDir(), { now: () => time, historyTimeMs: 60_000 });
    const start = await source.now(NEEDS);
    await engine.setKey(SCOPE, "store", "old", write(1));
    const between = await source.now(NEEDS);
    time += 50_000;
    await engine.setKey(SCOPE, "store", "new", write(1));
    await engine.sweep();
    expect(told(await readAll(source, start))).toEqual(["old: created", "new: created"]);
    time += 20_000;
    await engine.sweep();
    await expect(readAll(source, start)).rejects.toMatchObject({ reason: "HISTORY_LOST" });
    expect(told(await readAll(source, between))).toEqual(["new: created"]);
    time += 1_000_000;
    await engine.sweep();
    await expect(readAll(source, between)).rejects.toMatchObject({ reason: "HISTORY_LOST" });
    // Whoever has seen everything has lost nothing, however long nothing happens.
    const now = await source.now(NEEDS);
    await engine.setKey(SCOPE, "store", "late", write(1));
    expect(told(await readAll(source, now))).toEqual(["late: created"]);
  });

  test("are met in the middle of a reading, and said", async () => {
    const { engine, source } = await openEngine(tempDir(), { historyBytes: 300_000 });
    const start = await source.now(NEEDS);
    const setMany = (): Promise<unknown> =>
      engine.batchSetKeys(
        SCOPE,
        "store",
        Array.from({ length: 1000 }, (_, index) => ({ key: `key-${index}`, ...write("x".repeat(50)) })),
      );
    await setMany();
    const reading = source.read(start, NEEDS, whileTesting());
    const first = (await reading.next()).value as ChangeBatch;
    expect(first.changes.length).toBeLessThan(1000);
    for (let round = 0; round < 5; round += 1) await setMany();
    await expect(reading.next()).rejects.toMatchObject({ reason: "HISTORY_LOST" });
    expect(await reading.next()).toEqual({ done: true, value: undefined });
  });

  test("leave a reader at the end its changes, however large they are", async () => {
    const path = tempDir();
    const { engine, source } = await openEngine(path, { historyBytes: 100_000 });
    const values: (number | undefined)[] = [];
    const reading = (async () => {
      for await (const { changes } of source.read(await source.now(NEEDS), NEEDS, whileTesting())) {
        for (const { events } of changes) {
          for (const { document, previous } of events) {
            values.push(document?.read(true).value?.length, previous?.read(true).value?.length);
          }
        }
        if (values.length === 8) return;
      }
    })();
    const large = write("x".repeat(5_000_000));
    for (let round = 0; round < 3; round += 1) await engine.setKey(SCOPE, "store", "key", large);
    await engine.deleteKey(SCOPE, "store", "key", undefined);
    await reading;
    const size = large.value.length;
    expect(values).toEqual([size, undefined, size, size, size, size, undefined, size]);
    await engine.setKey(SCOPE, "store", "small", write(1));
    await engine.sweep();
    await engine.close();
    expect((await checkLmdb(path)).historyBytes).toBeLessThan(100_000);
  });

  test("let go of thousands of changes without holding up calls", async () => {
    let time = 1_000_000;
    const { engine, source } = await openEngine(tempDir(), { now: () => time, historyTimeMs: 60_000 });
    const start = await source.now(NEEDS);
    for (let round = 0; round < 20; round += 1) {
      await engine.batchSetKeys(
        SCOPE,
        "store",
        Array.from({ length: 1000 }, (_, index) => ({ key: `key-${index}`, ...write("x".repeat(2000)) })),
      );
    }
    time += 120_000;
    let pruned = false;
    const pruning = engine.sweep().finally(() => {
      pruned = true;
    });
    let answered = 0;
    while (!pruned) {
      await engine.setKey(SCOPE, "other", "key", write(1));
      answered += 1;
    }
    await pruning;
    await expect(readAll(source, start)).rejects.toMatchObject({ reason: "HISTORY_LOST" });
    // In 20,000 / 128 steps, with others in between.
    expect(answered).toBeGreaterThan(50);
  });
});

describe("a value outside its document", () => {
  test("is read while its change is in the log, and said to be lost when it went with it", async () => {
    let time = 1_000_000;
    const { engine, source } = await openEngine(tempDir(), { now: () => time, historyTimeMs: 60_000 });
    const start = await source.now(NEEDS);
    await engine.setKey(SCOPE, "store", "key", write("a".repeat(50_000)));
    await engine.updatePolicy(SCOPE, "store", "key", "evict");
    await engine.setKey(SCOPE, "store", "key", write("b".repeat(50_000)));
    await engine.deleteKey(SCOPE, "store", "key", undefined);
    const changes = await readAll(source, start);
    const values = (): (string | undefined)[] =>
      changes.flatMap(({ events }) =>
        events.flatMap(({ document, previous }) =>
          [document, previous].map((shown) => {
            const value = shown?.read(true).value;
            return value && String.fromCharCode(value[20] ?? 0);
          }),
        ),
      );
    expect(values()).toEqual(["a", undefined, "a", "a", "b", "a", undefined, "b"]);
    time += 120_000;
    await engine.sweep();
    expect(values).toThrow(expect.objectContaining({ reason: "HISTORY_LOST" }));
    // What is not outside needs nothing.
    expect(changes[0]?.events[0]?.document?.read(false)).toMatchObject({ key: "key", policy: "persist" });
    await engine.close();
    expect(values).toThrow(expect.objectContaining({ reason: "SHUTTING_DOWN" }));
  });

  test("of a store's own document is no change's", async () => {
    const { engine, source } = await openEngine(tempDir());
    const start = await source.now(NEEDS);
    await engine.createStore(SCOPE, "store", serialize({ text: "x".repeat(50_000) }), "persist");
    await engine.deleteStore(SCOPE, "store");
    expect(await readAll(source, start)).toEqual([]);
    expect((await source.now(NEEDS)).position > start.position).toBe(true);
  });
});

test("readings that wait are woken by the commit", async () => {
  const { engine, source } = await openEngine(tempDir());
  const signal = whileTesting();
  const start = await source.now(NEEDS);
  let woken = 0;
  const batches = Array.from({ length: 3 }, async () => {
    const batch = await source.read(start, NEEDS, signal).next();
    woken += 1;
    return batch;
  });
  await new Promise(setImmediate);
  expect(woken).toBe(0);
  await engine.setKey(SCOPE, "store", "key", write(1));
  // No later than the next turn of the event loop.
  await new Promise(setImmediate);
  expect(woken).toBe(3);
  for (const batch of await Promise.all(batches)) {
    expect(told((batch.value as ChangeBatch).changes)).toEqual(["key: created"]);
  }
});

test("the floor of the history is that of what the log has lost", async () => {
  const { environment, collection, put, close } = await openParts(tempDir(), Date.now, 5000);
  onTestFinished(close);
  const source = createChangeSource(collection);
  for (let count = 0; count < 100; count += 1) await put("key");
  const { historyFloor, revision } = readState(environment.meta, "execution_store");
  const { history } = await source.now(NEEDS);
  const from = (place: number) => readAll(source, { history, position: String(place).padStart(16, "0") });
  expect(historyFloor).toBeGreaterThan(0);
  expect(await from(historyFloor)).toHaveLength(revision - historyFloor);
  await expect(from(historyFloor - 1)).rejects.toMatchObject({ reason: "HISTORY_LOST" });
});
