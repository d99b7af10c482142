import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, credentials } from "@grpc/grpc-js";
import { serialize } from "bson";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  KeyEvent_Type,
  WatchKeysResponse_Kind as Kind,
  ValueEncoding,
} from "../../gen/ts/execution_store/v1/execution_store.js";
import { type LmdbEngine, openLmdbEngine } from "../../src/engines/lmdb/engine.js";
import { createGrpcServer, type GrpcServer } from "../../src/grpc/server.js";
import type { WatchOptions } from "../../src/grpc/watch-keys.js";
import { DEFAULT_COLLECTION } from "../../src/store/limits.js";
import { openWatch } from "./watch-client.js";
import { createWireClient, type WireClient } from "./wire-client.js";

const DATASET = "0123456789abcdef01234567";
let engine: LmdbEngine;
let server: GrpcServer;
let client: WireClient;
let address: string;
const cleanups: (() => Promise<void> | void)[] = [];

async function start(options: WatchOptions = {}): Promise<void> {
  const path = mkdtempSync(join(tmpdir(), "execution-store-"));
  cleanups.push(() => rmSync(path, { recursive: true }));
  engine = await openLmdbEngine({ path, collections: [DEFAULT_COLLECTION] });
  cleanups.push(() => engine.close());
  server = createGrpcServer({ engine, watch: { minProgressMs: 20, ...options } });
  cleanups.push(() => server.shutdown({ graceMs: 0 }));
  address = await server.listen("127.0.0.1:0");
  client = createWireClient(address);
  cleanups.push(() => client.close());
}

beforeEach(() => start());
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

function bson(value: unknown): Uint8Array {
  return serialize({ value });
}

function set(key: string, value: unknown = key, more: object = {}): Promise<unknown> {
  return client.call("setKey", { storeName: "s", key, valueBson: bson(value), ...more });
}

function watch(request: object = {}) {
  const opened = openWatch(client.channel, request);
  cleanups.push(() => opened.cancel());
  return opened;
}

describe("WatchKeys", () => {
  it("tells changes after STARTED, and what they were", async () => {
    await set("before");
    const stream = watch({
      storeName: "s",
      includePrevious: true,
      encoding: ValueEncoding.VALUE_ENCODING_BSON,
    });
    const started = await stream.started();
    expect(started.resumeToken).not.toBe("");
    expect(started.progressInterval).toEqual({ seconds: 10n, nanos: 0 });
    await set("a", 1);
    await set("a", 2);
    await client.call("deleteKey", { storeName: "s", key: "a" });
    await stream.until(({ events }) => events.length >= 3);
    expect(stream.told).toEqual(["created a", "updated a", "deleted a"]);
    const [created, updated, deleted] = stream.events;
    expect(created?.previous).toBeUndefined();
    expect(created?.document?.valueBson).toEqual(Buffer.from(bson(1)));
    expect(updated?.previous).toEqual(created?.document);
    expect(deleted?.previous).toEqual(updated?.document);
    expect(deleted?.document).toMatchObject({ storeName: "s", key: "a", etag: "", createdAt: undefined });
    expect(deleted?.commitTime).toBeDefined();
  });

  it("begins with a snapshot, in order, and marks its end", async () => {
    for (const key of ["b", "a", "c"]) await set(key);
    const stream = watch({ storeName: "s", snapshot: true });
    await stream.until(({ messages }) => messages.some(({ kind }) => kind === Kind.KIND_SNAPSHOT_COMPLETE));
    expect(stream.told).toEqual(["existing a", "existing b", "existing c"]);
    expect(stream.messages.map(({ kind, resumeToken }) => [kind, resumeToken !== ""])).toEqual([
      [Kind.KIND_STARTED, false],
      [Kind.KIND_SNAPSHOT, false],
      [Kind.KIND_SNAPSHOT_COMPLETE, true],
    ]);
    await set("a", 2);
    await stream.until(({ events }) => events.length > 3);
    expect(stream.told.at(-1)).toBe("updated a");
  });

  it("marks the end of an empty snapshot, too", async () => {
    const stream = watch({ storeName: "nothing", snapshot: true });
    await stream.until(({ messages }) => messages.length >= 2);
    expect(stream.messages.map(({ kind }) => kind)).toEqual([Kind.KIND_STARTED, Kind.KIND_SNAPSHOT_COMPLETE]);
  });

  it("goes on exclusively after a token", async () => {
    const first = watch({ storeName: "s" });
    await first.started();
    for (const key of ["a", "b", "c"]) await set(key);
    await first.until(({ events }) => events.length >= 3);
    const token = first.messages.find(({ events }) => events.length > 0)?.resumeToken ?? "";
    const seen = first.messages.flatMap(({ events, resumeToken }) =>
      resumeToken > "" && resumeToken !== token ? events : [],
    );
    first.cancel();
    await set("d");
    const again = watch({ storeName: "s", resumeToken: token });
    await again.until(({ told }) => told.at(-1) === "created d");
    expect(again.events).toHaveLength(seen.length + 1);
  });

  it.each([
    ["a key", { storeName: "s", key: "ab" }, ["created ab"]],
    ["a key of any store", { key: "ab" }, ["created ab", "created ab"]],
    ["a prefix", { storeName: "s", keyPrefix: "a" }, ["created ab", "created a"]],
    ["a context", { datasetId: DATASET }, ["created in-dataset"]],
    [
      "all contexts",
      { allContexts: true },
      ["created ab", "created a", "created b", "created ab", "created in-dataset"],
    ],
    ["a store of all contexts", { allContexts: true, storeName: "t" }, ["created ab", "created in-dataset"]],
    ["types", { storeName: "s", eventTypes: [KeyEvent_Type.TYPE_UPDATED] }, ["updated b"]],
  ])("selects %s", async (_, request, told) => {
    const stream = watch({ ...request, progressInterval: { seconds: 0n, nanos: 0 } });
    await stream.started();
    for (const key of ["ab", "a", "b"]) await set(key);
    await client.call("setKey", { storeName: "t", key: "ab", valueBson: bson(1) });
    await client.call("setKey", {
      datasetId: DATASET,
      storeName: "t",
      key: "in-dataset",
      valueBson: bson(1),
    });
    if ("eventTypes" in request) await set("b", 2);
    const reference = watch({ allContexts: true });
    await stream.until(
      ({ messages }) => messages.filter(({ kind }) => kind === Kind.KIND_PROGRESS).length > 1,
    );
    await reference.started();
    expect(stream.told).toEqual(told);
  });

  it("tells its place when nothing matches, and it moves on", async () => {
    const stream = watch({ key: "none", progressInterval: { seconds: 0n, nanos: 5e7 } });
    const { resumeToken } = await stream.started();
    await set("other");
    await stream.until(({ token }) => token !== resumeToken);
    expect(stream.events).toEqual([]);
    const { token } = stream;
    const again = watch({ key: "none", resumeToken: token });
    await again.started();
  });

  it("tells an expiry once, as such", async () => {
    const stream = watch({
      storeName: "s",
      includePrevious: true,
      encoding: ValueEncoding.VALUE_ENCODING_BSON,
    });
    await stream.started();
    await set("a", 1, { ttl: { seconds: 0n, nanos: 2e7 } });
    await stream.until(({ told }) => told.includes("expired a"));
    await set("b");
    await stream.until(({ told }) => told.includes("created b"));
    expect(stream.told).toEqual(["created a", "expired a", "created b"]);
    expect(stream.events[1]?.previous).toEqual(stream.events[0]?.document);
  });

  it("ends at shutdown with UNAVAILABLE and a token that goes on", async () => {
    const stream = watch({ storeName: "s" });
    await stream.started();
    await set("a");
    await stream.until(({ events }) => events.length > 0);
    const stopped = server.shutdown();
    expect(await stream.ended).toMatchObject({
      code: "UNAVAILABLE",
      reason: "SHUTTING_DOWN",
      metadata: { resume_token: stream.token },
    });
    await stopped;
  });

  it.each([
    ["both a key and a prefix", { key: "k", keyPrefix: "p" }, "SELECTOR_AMBIGUOUS", "key_prefix"],
    ["all contexts and one", { allContexts: true, datasetId: DATASET }, "SELECTOR_AMBIGUOUS", "all_contexts"],
    ["an empty key", { key: "" }, "KEY_INVALID", "key"],
    ["the reserved key", { key: "__store__" }, "KEY_RESERVED", "key"],
    ["a malformed token", { resumeToken: "x" }, "RESUME_TOKEN_INVALID", "resume_token"],
    ["a type that is none", { eventTypes: [9] }, "EVENT_TYPE_INVALID", "event_types[0]"],
    ["an encoding that is none", { encoding: 9 }, "ENCODING_INVALID", "encoding"],
    [
      "a negative interval",
      { progressInterval: { seconds: -1n, nanos: 0 } },
      "PROGRESS_INTERVAL_INVALID",
      "progress_interval",
    ],
    [
      "an interval that is too long",
      { progressInterval: { seconds: 2n ** 63n - 1n, nanos: 0 } },
      "PROGRESS_INTERVAL_INVALID",
      "progress_interval",
    ],
    ["a dataset id that is none", { datasetId: "x" }, "DATASET_ID_INVALID", "dataset_id"],
  ])("refuses %s", async (_, request, reason, field) => {
    const error = await watch(request).ended;
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", reason });
    expect(error.violations.map((violation) => violation.field)).toEqual([field]);
  });

  it("refuses a token beside a snapshot, and one of another selector", async () => {
    const stream = watch({ storeName: "s" });
    const { resumeToken } = await stream.started();
    expect(await watch({ storeName: "s", snapshot: true, resumeToken }).ended).toMatchObject({
      reason: "SELECTOR_AMBIGUOUS",
    });
    for (const other of [
      { storeName: "t" },
      {},
      { storeName: "s", key: "k" },
      { storeName: "s", keyPrefix: "s" },
    ]) {
      expect(await watch({ ...other, resumeToken }).ended).toMatchObject({
        code: "INVALID_ARGUMENT",
        reason: "RESUME_TOKEN_INVALID",
      });
    }
    const same = watch({
      storeName: "s",
      resumeToken,
      includePrevious: true,
      encoding: ValueEncoding.VALUE_ENCODING_NONE,
      eventTypes: [KeyEvent_Type.TYPE_DELETED],
    });
    await same.started();
  });

  it("answers OUT_OF_RANGE to a token of another history", async () => {
    const { resumeToken } = await watch({}).started();
    await start();
    expect(await watch({ resumeToken }).ended).toMatchObject({
      code: "OUT_OF_RANGE",
      reason: "HISTORY_LOST",
    });
  });

  it("ends a watch that does not read, with a token that loses nothing", async () => {
    await start({ stallMs: 300, limits: { queueBytes: 100_000 } });
    // On a connection of its own, whose flow control it closes for all its streams.
    const own = new Client(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
    cleanups.push(() => own.close());
    const slow = openWatch(own, { storeName: "s" });
    await slow.started();
    slow.pause();
    const others = watch({ storeName: "s", encoding: ValueEncoding.VALUE_ENCODING_NONE });
    await others.started();
    const value = "x".repeat(50_000);
    for (let index = 0; index < 60; index += 1) await set(`k${index}`, value);
    await others.until(({ events }) => events.length === 60);
    // The end is behind what has left already.
    setTimeout(() => slow.resume(), 1000);
    const error = await slow.ended;
    expect(error).toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "WATCH_TOO_SLOW" });
    expect(error.metadata["resume_token"]).toBe(slow.token);
    expect(slow.events.length).toBeLessThan(60);
    const again = watch({ storeName: "s", resumeToken: slow.token });
    await again.until(({ events }) => events.length === 60 - slow.events.length);
    expect([...slow.told, ...again.told]).toEqual(others.told);
  });

  it("tells large values to many, one after another where memory is short", async () => {
    await start({ limits: { totalBytes: 1_000_000 } });
    for (const key of ["a", "b"]) await set(key, Buffer.alloc(2_000_000));
    const encoding = ValueEncoding.VALUE_ENCODING_BSON;
    const streams = ["a", "a", "b", undefined].map((key) =>
      watch({ storeName: "s", key, snapshot: true, encoding }),
    );
    const complete = Kind.KIND_SNAPSHOT_COMPLETE;
    for (const stream of streams)
      await stream.until(({ messages }) => messages.some(({ kind }) => kind === complete));
    for (const key of ["a", "b", "a"]) await set(key, Buffer.alloc(3_000_000));
    await Promise.all(
      [3, 3, 2, 5].map(async (count, index) =>
        streams[index]?.until(({ events }) => events.length === count),
      ),
    );
    expect(streams[3]?.told).toEqual(["existing a", "existing b", "updated a", "updated b", "updated a"]);
  });

  it("brings a watch that fell behind up from history, without loss", async () => {
    await start({ limits: { queueChanges: 4, queueBytes: 10_000 } });
    const stream = watch({ storeName: "s" });
    await stream.started();
    const entries = Array.from({ length: 500 }, (__, index) => ({
      key: `k${String(index).padStart(3, "0")}`,
      valueBson: bson("x".repeat(300)),
      policy: 0,
    }));
    for (let round = 0; round < 4; round += 1) await client.call("batchSetKeys", { storeName: "s", entries });
    await stream.until(({ events }) => events.length >= 2000);
    expect(stream.told.slice(0, 500)).toEqual(entries.map(({ key }) => `created ${key}`));
    expect(stream.told.slice(1500)).toEqual(entries.map(({ key }) => `updated ${key}`));
  });
});
