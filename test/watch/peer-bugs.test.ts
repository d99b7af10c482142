import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { ExecutionStoreService } from "../../src/client/service.js";
import type { ChangeSource } from "../../src/store/changes.js";
import type { WatchableEngine } from "../../src/store/engine.js";
import { buildBeforeTests } from "../cli/cli-process.js";
import { tempDir } from "../support/temp-dir.js";
import { until } from "../support/until.js";
import { EVERYTHING } from "./checkers/everything.js";
import type { SeenEvent, SeenMessage, WatchRequest } from "./checkers/history.js";
import { liveEvents, placeName, selects } from "./checkers/reference.js";
import { openLmdb, RestartableServer, startOver } from "./servers.js";
import { openChannel, PROGRESS_MS, RecordedStream } from "./traffic/recorded-stream.js";

/** What other products' watches did wrong once, and this one does not. */

const STORE = "s";

buildBeforeTests();

let service: ExecutionStoreService;
let address: string;

function connect(to: string): void {
  address = to;
  service = new ExecutionStoreService({ address });
  onTestFinished(() => service.close());
}

/** Opens a stream; it ends with the test. */
function watch(request: Partial<WatchRequest> = {}): RecordedStream {
  const channel = openChannel(address);
  const stream = new RecordedStream(channel, "watch", { ...EVERYTHING, ...request }, undefined);
  onTestFinished(() => {
    stream.close();
    channel.close();
  });
  return stream;
}

async function startedWatch(request: Partial<WatchRequest> = {}): Promise<RecordedStream> {
  const stream = watch(request);
  await stream.until(({ messages }) => messages.length > 0);
  expect(stream.end).toBeUndefined();
  return stream;
}

/** Each event's type and key. */
function told(stream: RecordedStream): string[] {
  return liveEvents(stream).map(({ type, document: { key } }) => `${type} ${key}`);
}

async function receives(stream: RecordedStream, count: number): Promise<readonly SeenEvent[]> {
  await stream.until((each) => liveEvents(each).length >= count);
  return liveEvents(stream);
}

function lastToken({ messages }: RecordedStream): string {
  return messages.findLast(({ token }) => token !== "")?.token ?? "";
}

/** Sets as many keys one after the other. */
async function write(count: number, from = 0): Promise<void> {
  for (let index = from; index < from + count; index += 1) await service.setKey(STORE, `key-${index}`, index);
}

function names(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, index) => `created key-${from + index}`);
}

function progressOf({ messages }: RecordedStream): SeenMessage[] {
  return messages.filter(({ kind }) => kind === "progress");
}

describe("over one server", () => {
  let engine: WatchableEngine;
  beforeEach(async () => {
    engine = await openLmdb();
    connect((await startOver(engine, { minProgressMs: 10 })).address);
  });

  // https://github.com/etcd-io/etcd/issues/15220
  test("a progress message never tells a place behind an event that is still to come", async () => {
    const stream = await startedWatch();
    for (let round = 0; round < 5; round += 1) {
      await write(60, 60 * round);
      await stream.until((each) => progressOf(each).length > round);
    }
    const all = await receives(stream, 300);
    const resumptions = stream.messages.flatMap(({ kind, token }, index) => {
      if (kind !== "progress") return [];
      const before = stream.messages.slice(0, index).reduce((sum, { events }) => sum + events.length, 0);
      return [{ token, before }];
    });
    expect(resumptions.length).toBeGreaterThanOrEqual(5);
    for (const { token, before } of resumptions) {
      const resumed = await startedWatch({ resumeToken: token });
      expect(await receives(resumed, all.length - before)).toEqual(all.slice(before));
    }
  });

  // https://github.com/etcd-io/etcd/issues/17247
  test("nothing comes twice when a watch that is behind catches up with writes that go on", async () => {
    const { messages } = await startedWatch();
    await write(300);
    const state = { writing: true };
    const writing = (async () => {
      for (let round = 1; state.writing; round += 1) await write(20, 300 * round);
    })();
    for (let round = 0; round < 10; round += 1) {
      const stream = await startedWatch({ resumeToken: messages[0]?.token ?? "" });
      const events = await receives(stream, 400 + 20 * round);
      const etags = events.map(({ document }) => document.version?.etag);
      expect(new Set(etags).size).toBe(etags.length);
      expect(told(stream).slice(0, 300)).toEqual(names(300));
    }
    state.writing = false;
    await writing;
  });

  // https://github.com/etcd-io/etcd/security/advisories/GHSA-xg4h-6gfc-h4m8
  test("no selector shows more than what it selects", async () => {
    const stores = ["s", "s1", "s\u{10ffff}", "\u{10ffff}"];
    const keys = ["a", "aa", "a\u{1}", "a\u{10ffff}", "a\u{10ffff}a", "b", "\u{10ffff}", "\u{1}"];
    const contexts = ["", "000000000000000000000000", "ffffffffffffffffffffffff"];
    const requests = contexts.flatMap((datasetId) =>
      ["", ...stores].flatMap((storeName) => [
        ...keys.flatMap((key) => [
          { datasetId, storeName, key, allContexts: false },
          { datasetId, storeName, keyPrefix: key, allContexts: false },
        ]),
        { datasetId, storeName, allContexts: datasetId === "" },
      ]),
    );
    const [everything, ...streams] = await Promise.all(
      [{}, ...requests].map((request) => startedWatch(request)),
    );
    for (const datasetId of contexts) {
      const context = service.withContext(datasetId === "" ? {} : { datasetId });
      for (const storeName of stores) {
        await context.batchSetKeys(
          storeName,
          keys.map((key) => ({ key, value: 1 })),
        );
      }
    }
    const count = contexts.length * stores.length * keys.length;
    const all = (await receives(everything ?? watch(), count)).map(({ document }) => document);
    const shown = await Promise.all(
      streams.map(async (stream) => {
        const expected = all.filter((document) => selects(stream.request, document)).map(placeName);
        const events = await receives(stream, expected.length);
        const snapshot = await startedWatch({ ...stream.request, snapshot: true });
        await snapshot.until(({ messages }) => messages.some(({ kind }) => kind === "snapshot-complete"));
        const existing = snapshot.messages.flatMap((message) => message.events);
        expect(events.map(({ document }) => placeName(document))).toEqual(expected);
        expect(existing.map(({ document }) => placeName(document)).toSorted()).toEqual(expected.toSorted());
        return expected.length;
      }),
    );
    expect(shown).toContain(1);
    // Whatever they were not to get has passed them by: this comes after it.
    await service.setKey("s", "a", 2);
    const told2 = streams.filter(({ request }) =>
      selects(request, { datasetId: "", storeName: "s", key: "a" }),
    );
    await Promise.all(
      told2.map((stream) => stream.until((each) => liveEvents(each).at(-1)?.type === "updated")),
    );
    expect(streams.map((stream) => liveEvents(stream).length)).toEqual(
      shown.map((each, index) => each + (told2.includes(streams[index] ?? watch()) ? 1 : 0)),
    );
  });

  // https://github.com/nats-io/nats-server/issues/4640, https://github.com/nats-io/nats.py/issues/966
  test("a key that expires is told to those who watch and to those who come back, as no value", async () => {
    const stream = await startedWatch({ key: "brief" });
    const away = await startedWatch({ key: "brief" });
    away.cancel();
    await service.setKey(STORE, "brief", 1, { ttl: 0.05 });
    const [, expired] = await receives(stream, 2);
    expect(told(stream)).toEqual(["created brief", "expired brief"]);
    expect(expired?.document).toMatchObject({ version: undefined, value: undefined });
    const back = await startedWatch({ key: "brief", resumeToken: lastToken(away) });
    expect(await receives(back, 2)).toEqual(liveEvents(stream));
    await service.setKey(STORE, "brief", 2);
    await service.deleteKey(STORE, "brief");
    const [, , , deleted] = await receives(stream, 4);
    expect(deleted).toMatchObject({ type: "deleted", document: { version: undefined, value: undefined } });
  });

  // https://github.com/redis/redis/pull/12211
  test("what expires is EXPIRED, however soon, and whoever comes first", async () => {
    const stream = await startedWatch();
    for (let index = 0; index < 50; index += 1) {
      const key = `key-${index}`;
      await service.setKey(STORE, key, 1, { ttl: 0.001 });
      // Until it is gone for readers; the sweeper may come later, or be first.
      await until(async () => !(await service.hasKey(STORE, key)), "the key expires");
      if (index % 3 === 1) expect(await service.deleteKey(STORE, key)).toBe(false);
      if (index % 3 === 2) expect((await service.setKey(STORE, key, 2)).created).toBe(true);
    }
    await stream.until((each) => told(each).filter((text) => text.startsWith("expired")).length === 50);
    const expected = Array.from({ length: 50 }, (_, index) => {
      const key = `key-${index}`;
      return [`created ${key}`, `expired ${key}`, ...(index % 3 === 2 ? [`created ${key}`] : [])];
    });
    const byKey = expected.map((_, index) => told(stream).filter((text) => text.endsWith(` key-${index}`)));
    expect(byKey).toEqual(expected);
  });

  // https://github.com/googleapis/nodejs-firestore/issues/931 of firebase-admin-node
  test("a watch on which nothing happens is never silent", async () => {
    const stream = await startedWatch({ key: "nobody" });
    await stream.until((each) => progressOf(each).length === 8);
    const times = stream.messages.map(({ receivedAt }) => receivedAt);
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(Math.max(...gaps)).toBeLessThan(PROGRESS_MS + 1000);
  });
});

describe("over one server that reads little history at a time", () => {
  // https://github.com/etcd-io/etcd/issues/17529
  test("watchers that starve lose nothing", async () => {
    const limits = { queueBytes: 4000, queueChanges: 4, totalBytes: 20_000, catchUps: 1, patienceMs: 5 };
    connect((await startOver(await openLmdb(), { limits })).address);
    const streams = await Promise.all(Array.from({ length: 20 }, () => startedWatch()));
    const resumable = streams.map((stream) => lastToken(stream));
    for (let burst = 0; burst < 10; burst += 1) {
      const entries = Array.from({ length: 100 }, (_, index) => ({
        key: `key-${100 * burst + index}`,
        value: 1,
      }));
      await service.batchSetKeys(STORE, entries);
    }
    streams.push(...(await Promise.all(resumable.map((resumeToken) => startedWatch({ resumeToken })))));
    for (const stream of streams) {
      await receives(stream, 1000);
      expect(told(stream)).toEqual(names(1000));
    }
  });

  // https://github.com/kubernetes/kubernetes/issues/86430
  test("a herd that resumes shares what is read", async () => {
    const history = 20_000;
    const engine = await openLmdb();
    let changes = 0;
    const counted = (source: ChangeSource): ChangeSource => ({
      now: (...args) => source.now(...args),
      snapshot: (...args) => source.snapshot(...args),
      read: async function* (...args) {
        for await (const batch of source.read(...args)) {
          changes += batch.changes.length;
          yield batch;
        }
      },
    });
    const counting = Object.assign(Object.create(engine) as WatchableEngine, {
      changes: (collection: string) => counted(engine.changes(collection)),
      close: () => engine.close(),
    });
    connect((await startOver(counting)).address);
    const key = `key-${history - 1}`;
    const first = await startedWatch({ key });
    const token = lastToken(first);
    const entries = names(history).map((_, index) => ({ key: `key-${index}`, value: 1 }));
    await service.batchSetKeys(STORE, entries);
    await receives(first, 1);
    changes = 0;
    const herd = Array.from({ length: 100 }, () => watch({ key, resumeToken: token }));
    for (const stream of herd) expect(await receives(stream, 1)).toEqual(liveEvents(first));
    expect(changes).toBeLessThan(25 * history);
  });
});

describe("over a server that ends", () => {
  // https://github.com/etcd-io/etcd/issues/15271
  test("a crash does not bring back what was before the token", async () => {
    const server = await RestartableServer.start(`lmdb:${tempDir()}`);
    connect(server.address);
    const stream = await startedWatch();
    await write(50);
    await receives(stream, 50);
    for (let crash = 1; crash <= 2; crash += 1) {
      const token = lastToken(stream);
      await server.end("SIGKILL");
      await server.restart();
      const resumed = await startedWatch({ resumeToken: token });
      await write(10, 50 * crash);
      await receives(resumed, 10 * crash);
      expect(told(resumed)).toEqual([...(crash === 2 ? names(10, 50) : []), ...names(10, 50 * crash)]);
    }
  });

  // https://github.com/nats-io/nats.rs/issues/1596
  test.each(["SIGTERM", "SIGKILL"] as const)("no watch hangs when its server ends by %s", async (signal) => {
    const server = await RestartableServer.start(`lmdb:${tempDir()}`);
    connect(server.address);
    const streams = await Promise.all([
      startedWatch(),
      startedWatch({ snapshot: true }),
      startedWatch({ key: "k" }),
    ]);
    await write(1);
    await receives(streams[0] ?? watch(), 1);
    await server.end(signal);
    for (const stream of streams) {
      await stream.until(() => false);
      expect(stream.end?.status).toBe("UNAVAILABLE");
      const isOrderly = signal === "SIGTERM";
      expect(stream.end?.reason).toBe(isOrderly ? "SHUTTING_DOWN" : undefined);
      expect(stream.end?.token !== "").toBe(isOrderly);
    }
    await server.restart();
    const token = streams[0]?.end?.token || lastToken(streams[0] ?? watch());
    const resumed = await startedWatch({ resumeToken: token });
    await write(1, 1);
    await receives(resumed, 1);
    expect(told(resumed)).toEqual(names(1, 1));
  });
});
