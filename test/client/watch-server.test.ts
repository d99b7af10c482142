import { expect, onTestFinished, test } from "vitest";
import { ExecutionStore } from "../../src/client/execution-store.js";
import type { KeySetEvent, WatchEvent } from "../../src/client/watch-events.js";
import { openLmdbEngine } from "../../src/engines/lmdb/engine.js";
import type { WatchOptions as ServerWatchOptions } from "../../src/grpc/watch-keys.js";
import { DEFAULT_COLLECTION } from "../../src/store/limits.js";
import { startTcpRelay } from "../support/tcp-relay.js";
import { tempDir } from "../support/temp-dir.js";
import { startTestServer, type TestServer } from "../support/test-server.js";
import { until } from "../support/until.js";
import { brief, SOON } from "./watch-peers.js";

/** Milliseconds between two signs of life. */
const PROGRESS_MS = 200;

/** A server over LMDB that tells its progress often. */
async function openServer(watch: ServerWatchOptions = {}): Promise<TestServer> {
  const engine = await openLmdbEngine({ path: tempDir(), collections: [DEFAULT_COLLECTION] });
  const server = await startTestServer({ engine, watch: { minProgressMs: PROGRESS_MS, ...watch } });
  onTestFinished(() => server.close());
  return server;
}

function openStore(address: string): ExecutionStore {
  const store = ExecutionStore.create("s", { address });
  onTestFinished(() => store.close());
  return store;
}

/** Keeps every event of a watch, until the test ends. */
function follow<T>(events: AsyncIterable<WatchEvent<T>> & { close(): void }): WatchEvent<T>[] {
  const told: WatchEvent<T>[] = [];
  void (async () => {
    for await (const event of events) told.push(event);
  })();
  onTestFinished(() => events.close());
  return told;
}

function sets(told: readonly WatchEvent<number>[]): KeySetEvent<number, "plain">[] {
  return told.flatMap((event) => (event.type === "created" || event.type === "updated" ? [event] : []));
}

test("tells a store's changes, what they were before, and how keys ended", async () => {
  const { address } = await openServer();
  const store = openStore(address);
  await store.set("a", 1);
  const told = follow(store.service.watchKeys({ storeName: "s", snapshot: true, includePrevious: true }));
  await until(() => told.length === 3, "the snapshot is told");
  const { etag } = await store.set("a", 2);
  await store.delete("a");
  await store.setCache("b", "short", { ttl: 0.05 });
  await until(() => told.some(({ type }) => type === "expired"), "b expires");
  const changes = told.filter(({ type }) => type !== "progress");
  expect(changes.map((event) => brief(event).replace(/ @.*/, ""))).toEqual([
    "started",
    "existing a",
    "snapshotComplete",
    "updated a",
    "deleted a",
    "created b",
    "expired b",
  ]);
  expect(changes[1]).toMatchObject({ storeName: "s", datasetId: undefined, document: { value: 1 } });
  expect(changes[3]).toMatchObject({ document: { value: 2, etag }, previous: { value: 1 }, lookedUp: false });
  expect(changes[4]).toMatchObject({ previous: { value: 2 } });
  expect(changes[6]).toMatchObject({ previous: { value: "short", policy: "evict" } });
});

test("goes on from a token that was kept, and says where one is of no use", async () => {
  const { address } = await openServer();
  const store = openStore(address);
  const reader = store.watch<number>();
  await reader.next();
  await store.set("a", 1);
  await reader.next();
  const { resumeToken } = reader;
  reader.close();
  await store.set("a", 2);
  const told = follow(store.watch<number>({ resumeToken }));
  await until(() => sets(told).length === 1, "it is told");
  expect(sets(told)).toMatchObject([{ type: "updated", document: { value: 2 } }]);

  const other = store.watch({ resumeToken, key: "a" });
  await expect(other.next()).rejects.toMatchObject({ reason: "RESUME_TOKEN_INVALID" });
  const elsewhere = openStore((await openServer()).address);
  await expect(elsewhere.watch({ resumeToken }).next()).rejects.toMatchObject({ reason: "HISTORY_LOST" });
  await elsewhere.set("x", 9);
  const anew = follow(elsewhere.watch({ resumeToken, onHistoryLost: "snapshot", retry: SOON }));
  await until(() => anew.length >= 4, "a snapshot is told");
  expect(anew.slice(0, 4).map(({ type }) => type)).toEqual([
    "reset",
    "started",
    "existing",
    "snapshotComplete",
  ]);
});

test("a network that is cut and frozen loses and doubles nothing: watch, mirror and subscription", async () => {
  const { address } = await openServer();
  const writer = openStore(address);
  const relay = await startTcpRelay(Number(address.split(":")[1]));
  onTestFinished(() => relay.close());
  const store = openStore(`127.0.0.1:${relay.port}`);
  const interruptions: string[] = [];
  const tuning = { retry: SOON, progressIntervalMs: PROGRESS_MS };
  const told = follow(
    store.watch<number>({
      ...tuning,
      snapshot: true,
      onInterruption: ({ reason }) => interruptions.push(reason),
    }),
  );
  const mirror = store.mirror<number>(tuning);
  onTestFinished(() => mirror.close());
  const mirrored: string[] = [];
  mirror.onChange(({ type, key, document }) => mirrored.push(`${type} ${key} ${document?.value ?? "-"}`));
  const messages: string[] = [];
  store.subscribe<number>(({ key, value, metadata }) => {
    messages.push(`${metadata.operationType} ${key} ${value ?? "-"}`);
  }, tuning);
  await mirror.ready;
  await until(() => told.some(({ type }) => type === "snapshotComplete"), "the watch has begun");

  const written: string[] = [];
  for (let round = 0; round < 8; round += 1) {
    if (round % 2 === 0) await relay.cut();
    else relay.freeze();
    const seen = interruptions.length;
    for (let index = 0; index < 40; index += 1) {
      const key = `k${index % 3}`;
      if (index % 10 === 9) {
        if (await writer.delete(key)) written.push(`deleted ${key} -`);
      } else {
        const { document, created } = await writer.service.setKey("s", key, written.length);
        written.push(`${created ? "created" : "updated"} ${document.key} ${written.length}`);
      }
    }
    await until(() => interruptions.length > seen, "the interruption is seen");
    await relay.mend();
    const count = written.length;
    const changes = (): string[] =>
      told.flatMap((event) => {
        if (event.type === "created" || event.type === "updated")
          return [`${event.type} ${event.key} ${event.document.value}`];
        return event.type === "deleted" ? [`deleted ${event.key} -`] : [];
      });
    await until(
      () => changes().length >= count && mirrored.length >= count && messages.length >= count,
      "all is told",
    );
    expect(changes()).toEqual(written);
  }
  expect(mirrored).toEqual(written);
  expect(messages).toEqual(
    written.map((change) =>
      change.replace("created", "insert").replace("updated", "update").replace("deleted", "delete"),
    ),
  );
  const listed = await writer.listValues<number>().toArray();
  expect(new Map(mirror)).toEqual(new Map(listed.map(({ key, value }) => [key, value])));
  expect(interruptions.length).toBeGreaterThanOrEqual(8);
}, 120_000);

test("a consumer that the server gave up as too slow loses nothing", async () => {
  const { address } = await openServer({ stallMs: 100 });
  const store = openStore(address);
  const reasons: string[] = [];
  const slow = store.watch<string>({
    bufferBytes: 1,
    retry: SOON,
    onInterruption: ({ reason }) => reasons.push(reason),
  });
  await slow.next();
  const value = "x".repeat(256 * 1024);
  for (let index = 0; index < 60; index += 1) await store.set(`k${index}`, value);
  // A clock: another watch's signs of life.
  const clock = follow(store.watch({ progressIntervalMs: PROGRESS_MS }));
  await until(() => clock.length > 3, "the server has had enough");
  const keys: string[] = [];
  for await (const event of slow) {
    if ("key" in event) keys.push(event.key);
    if (keys.length === 60) break;
  }
  expect(keys).toEqual(Array.from({ length: 60 }, (_, index) => `k${index}`));
  expect(reasons).toContain("WATCH_TOO_SLOW");
});
