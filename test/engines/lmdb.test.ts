import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { serialize } from "bson";
import { open } from "lmdb";
import { describe, expect, onTestFinished, test } from "vitest";
import { readState } from "../../src/engines/lmdb/collection.js";
import { type LmdbEngineOptions, openLmdbEngine } from "../../src/engines/lmdb/engine.js";
import { openEnvironment } from "../../src/engines/lmdb/environment.js";
import { documentKey } from "../../src/engines/lmdb/keys.js";
import { hasKey } from "../../src/engines/lmdb/reads.js";
import { startSweeper } from "../../src/engines/lmdb/sweeper.js";
import type { Write } from "../../src/store/engine.js";
import { checkLmdb } from "../support/check-lmdb.js";
import { tempDir } from "../support/temp-dir.js";
import { openParts } from "./lmdb-parts.js";

const COLLECTIONS = ["execution_store"];
const SCOPE = { collection: "execution_store", datasetId: "" };
const ALL = { prefix: "", after: undefined, limit: 100 };

function write(value: unknown, ttlMs?: number): Write {
  return { value: serialize({ value }), ttlMs, policy: "persist" };
}

async function openEngine(path: string, options: Partial<LmdbEngineOptions> = {}) {
  const engine = await openLmdbEngine({ path, collections: COLLECTIONS, ...options });
  onTestFinished(() => engine.close());
  return engine;
}

describe("the directory", () => {
  test("has one owner: a second engine is told who it is", async () => {
    const path = tempDir();
    const first = await openEngine(path);
    await expect(openEngine(path)).rejects.toMatchObject({
      reason: "DIRECTORY_IN_USE",
      message: expect.stringContaining(`process ${process.pid}`) as string,
    });
    await first.close();
    const second = await openEngine(path);
    expect(await second.countStores(SCOPE)).toBe(0);
  });

  test("is free again at once when its owner is killed", async () => {
    const path = tempDir();
    const script = `
      import { lockDirectory } from ${JSON.stringify(join(import.meta.dirname, "../../src/engines/lmdb/owner-lock.ts"))};
      lockDirectory(${JSON.stringify(path)});
      console.log("locked");
      setInterval(() => {}, 1000);`;
    const owner = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void owner.kill("SIGKILL"));
    await once(owner.stdout, "data");
    await expect(openEngine(path)).rejects.toMatchObject({ reason: "DIRECTORY_IN_USE" });
    owner.kill("SIGKILL");
    await once(owner, "exit");
    const engine = await openEngine(path);
    expect(await engine.countStores(SCOPE)).toBe(0);
  });

  test("of an unknown format is refused with both versions named, and left alone", async () => {
    const path = tempDir();
    const made = await openEnvironment(path, 1);
    await made.meta.put(Buffer.from("format"), Buffer.from("99"));
    await made.close();
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await expect(openEngine(path)).rejects.toMatchObject({
        reason: "FORMAT_UNKNOWN",
        message: expect.stringMatching(/format 99.*format 1/) as string,
      });
    }
  });

  test("of another program is refused", async () => {
    const path = tempDir();
    const other = open({ path, noSubdir: false, maxDbs: 4, overlappingSync: false });
    await other.openDB({ name: "theirs" }).put("key", "value");
    await other.close();
    await expect(openEngine(path)).rejects.toMatchObject({ reason: "FORMAT_UNKNOWN" });
  });

  test("that is a file, or holds garbage, is refused with the path", async () => {
    const path = join(tempDir(), "file");
    writeFileSync(path, "not a directory");
    await expect(openEngine(path)).rejects.toMatchObject({
      reason: "DIRECTORY_UNUSABLE",
      message: expect.stringContaining(path) as string,
    });
    const garbage = join(tempDir(), "garbage");
    mkdirSync(garbage);
    writeFileSync(join(garbage, "data.mdb"), Buffer.alloc(8192, 0x5a));
    await expect(openEngine(garbage)).rejects.toMatchObject({ reason: "DIRECTORY_UNUSABLE" });
  });
});

test.runIf(existsSync("/proc/version"))(
  "a path where no directory can be made is refused at once",
  async () => {
    await expect(openEngine("/proc/no/such/place")).rejects.toMatchObject({
      reason: "DIRECTORY_UNUSABLE",
      message: expect.stringContaining("/proc/no/such/place") as string,
    });
  },
);

describe("what is kept across a restart", () => {
  test("documents, etags and the order of versions, also of removed keys", async () => {
    const path = tempDir();
    const options = { now: () => 5000 };
    const first = await openEngine(path, options);
    const { document } = await first.setKey(SCOPE, "store", "key", write(1));
    await first.setKey(SCOPE, "store", "gone", write(1));
    const { document: last } = await first.setKey(SCOPE, "store", "gone", write(2));
    await first.deleteKey(SCOPE, "store", "gone", undefined);
    await first.close();
    const second = await openEngine(path, options);
    expect(await second.getKey(SCOPE, "store", "key", false)).toEqual(document);
    const { document: again } = await second.setKey(SCOPE, "store", "gone", write(3));
    expect(again.updatedAt).toBeGreaterThan(last.updatedAt);
    expect(again.etag).not.toBe(last.etag);
  });

  test("the clock: it does not go back behind the last commit", async () => {
    const path = tempDir();
    const first = await openEngine(path, { now: () => 9000 });
    await first.setKey(SCOPE, "store", "key", write(1, 100));
    await first.close();
    const second = await openEngine(path, { now: () => 10 });
    const { document } = await second.setKey(SCOPE, "store", "other", write(1, 100));
    expect(document.expiresAt).toBe(9100);
  });
});

describe("a transaction", () => {
  test("is taken back as a whole for a change that fails, and its neighbours succeed", async () => {
    const path = tempDir();
    const { writer, collection, put, close } = await openParts(path, Date.now);
    const failing = writer.submit({
      collection,
      apply(batch) {
        const value = Buffer.alloc(5000);
        batch.put(documentKey("", "store", "b"), undefined, {
          policy: "persist",
          expiresAt: undefined,
          value,
        });
        throw new Error("no page");
      },
    });
    const results = await Promise.allSettled([put("a"), failing, put("c", undefined, Buffer.alloc(5000))]);
    expect(results).toMatchObject([
      { status: "fulfilled" },
      { status: "rejected", reason: { reason: "INTERNAL", outcome: "NOT_APPLIED" } },
      { status: "fulfilled" },
    ]);
    await put("d");
    await close();
    expect(await checkLmdb(path)).toMatchObject({ documents: 3, blobs: 1 });
  });

  test("that prolongs a document keeps it live for readers until it can be read", async () => {
    let time = 1000;
    const { writer, collection, put, close } = await openParts(tempDir(), () => time);
    await put("key", 1100);
    time = 1099;
    let done = false;
    const prolonged = writer
      .submit({
        collection,
        apply(batch) {
          const at = documentKey("", "store", "key");
          batch.put(at, batch.readLive(at), { policy: "evict", expiresAt: 9000, value: Buffer.alloc(9) });
          time = 1200;
        },
      })
      .finally(() => {
        done = true;
      });
    const seen: boolean[] = [];
    while (!done) {
      await new Promise(setImmediate);
      seen.push(hasKey(collection, SCOPE, "store", "key"));
    }
    await prolonged;
    expect(new Set(seen)).toEqual(new Set([true]));
    expect(collection.clock.now()).toBe(1200);
    await close();
  });

  test("leaves out what was aborted before it began", async () => {
    const engine = await openEngine(tempDir());
    const controller = new AbortController();
    const before = engine.setKey(SCOPE, "store", "a", write(1));
    const aborted = engine.setKey(SCOPE, "store", "b", write(1), { signal: controller.signal });
    const reason = new Error("gone");
    controller.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    await before;
    expect(await engine.listKeys(SCOPE, "store", ALL)).toEqual({ items: ["a"], next: undefined });
  });

  test("is refused after close, as not applied", async () => {
    const engine = await openEngine(tempDir());
    await engine.close();
    await expect(engine.setKey(SCOPE, "store", "a", write(1))).rejects.toMatchObject({
      reason: "SHUTTING_DOWN",
      outcome: "NOT_APPLIED",
    });
  });
});

describe("the change log", () => {
  test("tells every change of a key with what was before", async () => {
    const path = tempDir();
    let time = 1000;
    const engine = await openEngine(path, { now: () => time });
    const large = "x".repeat(100_000);
    await engine.createStore(SCOPE, "store", undefined, "persist");
    await engine.setKey(SCOPE, "store", "key", write("small"));
    await engine.setKey(SCOPE, "store", "key", write(large));
    await engine.updateTtl(SCOPE, "store", "key", 50);
    time = 1050;
    await engine.setKey(SCOPE, "store", "key", write(2));
    await engine.deleteStore(SCOPE, "store");
    await engine.close();
    const { changes, blobs, documents } = await checkLmdb(path);
    expect(changes.map(({ type, commitTime }) => [type, commitTime])).toEqual([
      ["created", 1000],
      ["updated", 1000],
      ["updated", 1000],
      ["expired", 1050],
      ["created", 1050],
      ["deleted", 1050],
    ]);
    expect(changes.map(({ previous }) => previous?.revision)).toEqual([
      undefined,
      changes[0]?.record?.revision,
      changes[1]?.record?.revision,
      changes[2]?.record?.revision,
      undefined,
      changes[4]?.record?.revision,
    ]);
    expect({ blobs, documents }).toEqual({ blobs: 1, documents: 0 });
  });

  test("is cut by age, with the values that only it held", async () => {
    const path = tempDir();
    let time = 1000;
    const engine = await openEngine(path, { now: () => time, historyTimeMs: 500 });
    await engine.setKey(SCOPE, "store", "large", write("x".repeat(100_000)));
    await engine.setKey(SCOPE, "store", "large", write("y".repeat(100_000)));
    time = 1400;
    await engine.setKey(SCOPE, "store", "late", write(1));
    time = 1600;
    await engine.sweep();
    await engine.close();
    const { changes, blobs } = await checkLmdb(path);
    expect(changes.map(({ commitTime }) => commitTime)).toEqual([1400]);
    expect(blobs).toBe(1);
  });

  test("is cut by size, oldest first", async () => {
    const path = tempDir();
    const engine = await openEngine(path, { historyBytes: 50_000 });
    for (let index = 0; index < 1000; index += 1) {
      void engine.setKey(SCOPE, "store", `key-${index % 7}`, write("z".repeat(200 + (index % 5) * 500)));
    }
    await engine.setKey(SCOPE, "store", "last", write(1));
    await engine.sweep();
    await engine.close();
    const { changes, historyBytes, documents } = await checkLmdb(path);
    expect(historyBytes).toBeLessThanOrEqual(50_000);
    expect(historyBytes).toBeGreaterThan(40_000);
    expect(changes.at(-1)?.record?.revision).toBe(1001);
    expect(documents).toBe(8);
  });
});

test("two sweeps at once count nothing twice", async () => {
  const path = tempDir();
  let time = 1000;
  const engine = await openEngine(path, { now: () => time, historyTimeMs: 500 });
  for (const value of [1, 2, 3])
    await engine.setKey(SCOPE, "store", "key", write(String(value).repeat(2000)));
  time = 2000;
  await Promise.all([engine.sweep(), engine.sweep(), engine.sweep()]);
  await engine.close();
  expect(await checkLmdb(path)).toMatchObject({ historyBytes: 0, blobs: 1 });
});

test("the change log stays within its size while it is written, and says what it has forgotten", async () => {
  const path = tempDir();
  const { environment, put, close } = await openParts(path, Date.now, 20_000);
  for (let round = 0; round < 20; round += 1) {
    await Promise.all(
      Array.from({ length: 50 }, (_, index) => put(`key-${index}`, undefined, Buffer.alloc(100))),
    );
    const { historyBytes, historyFloor, revision } = readState(environment.meta, "execution_store");
    expect(historyBytes).toBeLessThanOrEqual(20_000);
    if (round > 2) expect(historyFloor).toBeGreaterThan(revision - 200);
  }
  const { historyFloor } = readState(environment.meta, "execution_store");
  await close();
  const { changes } = await checkLmdb(path);
  expect(changes[0]?.record?.revision).toBe(historyFloor + 1);
});

describe("the sweeper", () => {
  test("removes what has expired by itself, within a second", async () => {
    const path = tempDir();
    let time = 1000;
    const { writer, collection, put, close } = await openParts(path, () => time);
    const sweeper = startSweeper(writer, [collection], (error) => expect.unreachable(String(error)));
    await Promise.all(Array.from({ length: 500 }, (_, index) => put(`key-${index}`, 1010)));
    await put("kept", 1011);
    time = 1010;
    await expect.poll(() => collection.databases.documents.getCount({}), { timeout: 1000 }).toBe(1);
    await sweeper.close();
    await close();
    const { documents, changes } = await checkLmdb(path);
    expect(documents).toBe(1);
    expect(changes.filter(({ type }) => type === "expired")).toHaveLength(500);
  });

  test("goes on after a fault, and says it", async () => {
    let time = 1000;
    const { environment, writer, collection, put, close } = await openParts(tempDir(), () => time);
    await put("key", 1010);
    const faults: unknown[] = [];
    const failing = { ...writer, submit: () => Promise.reject(new Error("no disk")) };
    let use: typeof writer = failing;
    const switching = { ...writer, submit: ((job) => use.submit(job)) as typeof writer.submit };
    const sweeper = startSweeper(switching, [collection], (error) => faults.push(error));
    time = 1010;
    await expect.poll(() => faults.length).toBeGreaterThan(0);
    use = writer;
    await expect.poll(() => collection.databases.documents.getCount({})).toBe(0);
    await sweeper.close();
    expect(environment.closing.aborted).toBe(false);
    await close();
  });

  test("spares what got a new ttl in time", async () => {
    let time = 1000;
    const path = tempDir();
    const engine = await openEngine(path, { now: () => time });
    await engine.setKey(SCOPE, "store", "key", write(1, 10));
    time = 1009;
    await engine.updateTtl(SCOPE, "store", "key", 10);
    time = 1010;
    await engine.sweep();
    expect(await engine.hasKey(SCOPE, "store", "key")).toBe(true);
    time = 1019;
    expect(await engine.hasKey(SCOPE, "store", "key")).toBe(false);
  });
});
