import { describe, expect, onTestFinished, test } from "vitest";
import { takeSnapshot } from "../../src/engines/lmdb/change-snapshot.js";
import { openLmdbEngine } from "../../src/engines/lmdb/engine.js";
import { toValueBson } from "../../src/value/plain.js";
import { tempDir } from "../support/temp-dir.js";
import { until } from "../support/until.js";
import { openParts } from "./lmdb-parts.js";

const EVERYTHING = { datasetId: undefined, storeName: undefined, key: undefined, keyPrefix: "" };
const COLLECTION = "execution_store";
const LIMITS = { wholeMs: 60_000, idleMs: 60_000 };
/** As many as there may be at a time. */
const MOST = 16;
const TOO_SLOW = { kind: "RESOURCE_EXHAUSTED", reason: "WATCH_TOO_SLOW" };

async function open() {
  const parts = await openParts(tempDir(), Date.now);
  onTestFinished(parts.close);
  const { collection, environment } = parts;
  for (let index = 0; index < 9; index += 1)
    await parts.put(`key-${index}`, undefined, Buffer.alloc(1_000_000));
  return {
    ...parts,
    take: (limits = LIMITS, signal?: AbortSignal) =>
      takeSnapshot(collection, EVERYTHING, true, signal, limits),
    /** Read transactions that are open, each of which keeps old pages. */
    held: () =>
      environment.root
        .readerList()
        .split("\n")
        .filter((line) => /\d+ \w+ \d+$/.test(line.trim())).length,
  };
}

/** In the documents, beside them, and a few that fill a page. */
function sizeOf(index: number): number {
  return index % 100 === 0 ? 1_000_000 : 500 + index;
}

async function readOn(pages: AsyncGenerator<readonly unknown[], void>): Promise<number> {
  let count = 0;
  for await (const page of pages) count += page.length;
  return count;
}

describe("a snapshot", () => {
  test("is given up when nobody asks for its next page, in words that help", async () => {
    const { take } = await open();
    const pages = (await take({ ...LIMITS, idleMs: 50 })).pages();
    expect((await pages.next()).done).toBe(false);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await expect(pages.next()).rejects.toMatchObject({
      ...TOO_SLOW,
      message: expect.stringMatching(/0\.05 s.*new one/) as string,
    });
    const untouched = await take({ ...LIMITS, idleMs: 50 });
    await new Promise((resolve) => setTimeout(resolve, 200));
    await expect(untouched.pages().next()).rejects.toMatchObject(TOO_SLOW);
  });

  test("is given up when it takes too long in all", async () => {
    const { take } = await open();
    const pages = (await take({ ...LIMITS, wholeMs: 100 })).pages();
    await expect(
      (async () => {
        for await (const _ of pages) await new Promise((resolve) => setTimeout(resolve, 60));
      })(),
    ).rejects.toMatchObject(TOO_SLOW);
  });

  test("waits in line for a place, which one that ends in any way gives back", async () => {
    const { take } = await open();
    const controller = new AbortController();
    const ways: ((snapshot: Awaited<ReturnType<typeof take>>) => Promise<unknown>)[] = [
      async (snapshot) => snapshot.close(),
      async (snapshot) => readOn(snapshot.pages()),
      async (snapshot) => {
        const pages = snapshot.pages();
        await pages.next();
        await pages.return();
        snapshot.close();
        snapshot.close();
      },
      async () => controller.abort(),
    ];
    const held = [await take(LIMITS, controller.signal)];
    while (held.length < MOST) held.push(await take());
    const order: number[] = [];
    const waiting = ways.map(async (_, index) => {
      const snapshot = await take();
      order.push(index);
      return snapshot;
    });
    await new Promise(setImmediate);
    expect(order).toEqual([]);
    for (const [index, way] of ways.entries()) {
      const snapshot = index === ways.length - 1 ? held[0] : held[index + 1];
      if (snapshot !== undefined) await way(snapshot);
      await until(() => order.length === index + 1, "the next in line has its place");
    }
    expect(order).toEqual([0, 1, 2, 3]);
    for (const snapshot of [...held, ...(await Promise.all(waiting))]) snapshot.close();
  });

  test("that waits in line can be aborted, and leaves its place to others", async () => {
    const { take } = await open();
    const held = [];
    while (held.length < MOST) held.push(await take());
    const controller = new AbortController();
    const gone = take(LIMITS, controller.signal);
    const next = take();
    const reason = new Error("gone");
    const rejected = expect(gone).rejects.toBe(reason);
    controller.abort(reason);
    await rejected;
    held[0]?.close();
    const snapshot = await next;
    expect(await readOn(snapshot.pages())).toBe(9);
    for (const one of held) one.close();
  });

  test("is as it was taken, though nothing of it is left in the documents or in the history", async () => {
    const { collection, put, close } = await openParts(tempDir(), Date.now, 50_000);
    onTestFinished(close);
    const keys = Array.from({ length: 900 }, (_, index) => `key-${String(index).padStart(3, "0")}`);
    await Promise.all(keys.map((key, index) => put(key, undefined, Buffer.alloc(sizeOf(index), index))));
    const pages = (await takeSnapshot(collection, EVERYTHING, true, undefined)).pages();
    const seen = [...((await pages.next()).value ?? [])];
    expect(seen.length).toBeLessThan(300);
    for (let round = 0; round < 3; round += 1) {
      await Promise.all(keys.map((key) => put(key, undefined, Buffer.alloc(9))));
    }
    for await (const page of pages) seen.push(...page);
    expect(seen.map(({ key }) => key)).toEqual(keys);
    const wrong = seen.filter(({ value }, index) => {
      const expected = Buffer.alloc(sizeOf(index), index);
      return value === undefined || !expected.equals(value);
    });
    expect(wrong).toEqual([]);
  });

  test("of many stores of few keys lets others have their turn", async () => {
    const engine = await openLmdbEngine({ path: tempDir(), collections: [COLLECTION] });
    onTestFinished(() => engine.close());
    const scope = { collection: COLLECTION, datasetId: "" };
    const value = toValueBson("value");
    for (let store = 0; store < 100; store += 1) {
      const entries = Array.from({ length: 100 }, (_, key) => ({
        key: `key-${key}`,
        value,
        ttlMs: undefined,
        policy: "persist" as const,
      }));
      await engine.batchSetKeys(scope, `store-${store}`, entries);
    }
    let turns = 0;
    let timer = setImmediate(function next() {
      turns += 1;
      timer = setImmediate(next);
    });
    onTestFinished(() => clearImmediate(timer));
    const snapshot = await engine.changes(COLLECTION).snapshot({ ...EVERYTHING, keyPrefix: "key" }, true);
    const before = turns;
    expect(await readOn(snapshot.pages())).toBe(10_000);
    expect(turns - before).toBeGreaterThan(8);
  });

  test("is given up as soon as the database begins to close", async () => {
    const { take, held, put, environment } = await open();
    const snapshot = await take();
    await put("key-0");
    await until(() => held() === 1, "the snapshot holds a transaction");
    environment.startClosing();
    await until(() => held() === 0, "no transaction is held");
    await expect(snapshot.pages().next()).rejects.toMatchObject({ reason: "SHUTTING_DOWN" });
  });

  test("leaves no read transaction open, however it ends", async () => {
    const { take, held, put } = await open();
    const many = await Promise.all(Array.from({ length: MOST }, () => take()));
    await put("key-0");
    await until(() => held() > 0, "the snapshots hold a transaction");
    for (const [index, snapshot] of many.entries()) {
      const pages = snapshot.pages();
      if (index % 4 === 1) await pages.next();
      if (index % 4 === 2) await readOn(pages);
      if (index % 4 === 3) {
        await pages.next();
        await pages.return();
      }
      snapshot.close();
      await put("key-0");
    }
    await until(() => held() === 0, "no transaction is held");
  });
});
