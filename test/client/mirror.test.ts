import { expect, onTestFinished, test, vi } from "vitest";
import { ExecutionStore } from "../../src/client/execution-store.js";
import type { Mirror, MirrorChange } from "../../src/client/mirror.js";
import { historyLost, StoreError } from "../../src/store/errors.js";
import { type ScriptedWatch, type ScriptedWatches, startScriptedWatches } from "../support/scripted-watch.js";
import { until } from "../support/until.js";
import * as say from "../support/watch-messages.js";
import { SOON, unavailable } from "./watch-peers.js";

interface Opened {
  readonly server: ScriptedWatches;
  readonly mirror: Mirror<number>;
  /** What was told so far, in short. */
  readonly told: string[];
}

function brief({ type, key, document, previous }: MirrorChange<number>): string {
  return `${type} ${key}: ${previous?.value ?? "-"} -> ${document?.value ?? "-"}`;
}

async function open(): Promise<Opened> {
  const server = await startScriptedWatches();
  const store = ExecutionStore.create("s", { address: server.address });
  onTestFinished(async () => {
    await store.close();
    server.close();
  });
  const mirror = store.mirror<number>({ keyPrefix: "k", retry: SOON });
  const told: string[] = [];
  mirror.onChange((change) => told.push(brief(change)));
  return { server, mirror, told };
}

/** Answers a call with a snapshot of these values. */
async function fill(call: ScriptedWatch, values: Record<string, number>, token = "t1"): Promise<void> {
  await call.send(say.started());
  const list = Object.entries(values).map(([key, value]) => say.existing(key, value));
  if (list.length > 0) await call.send(say.snapshot(...list));
  await call.send(say.complete(token));
}

function contents(mirror: Mirror<number>): Record<string, number> {
  return Object.fromEntries(mirror);
}

test("is filled by a snapshot of its store and prefix, at once", async () => {
  const { server, mirror, told } = await open();
  expect(mirror.size).toBe(0);
  const call = await server.call(0);
  expect(call.request).toMatchObject({ storeName: "s", keyPrefix: "k", snapshot: true });
  await fill(call, { k1: 1, k2: 2 });
  await mirror.ready;
  expect(contents(mirror)).toEqual({ k1: 1, k2: 2 });
  expect(told).toEqual([]);
});

test("is a map", async () => {
  const { server, mirror } = await open();
  await fill(await server.call(0), { k1: 1, k2: 2 });
  await mirror.ready;
  expect(mirror.get("k1")).toBe(1);
  expect(mirror.get("k3")).toBeUndefined();
  expect(mirror.has("k2")).toBe(true);
  expect(mirror.has("k3")).toBe(false);
  expect(mirror.size).toBe(2);
  expect([...mirror.keys()]).toEqual(["k1", "k2"]);
  expect([...mirror.values()]).toEqual([1, 2]);
  expect([...mirror.entries()]).toEqual([
    ["k1", 1],
    ["k2", 2],
  ]);
  const seen: unknown[] = [];
  mirror.forEach((value, key, map) => seen.push(value, key, map === mirror));
  expect(seen).toEqual([1, "k1", true, 2, "k2", true]);
  expect(mirror.document("k1")).toMatchObject({ key: "k1", value: 1, policy: "persist", etag: "etag-1" });
});

test("is ready when there is nothing", async () => {
  const { server, mirror } = await open();
  await fill(await server.call(0), {});
  await mirror.ready;
  expect(mirror.size).toBe(0);
});

test("follows every change and tells it when it has it", async () => {
  const { server, mirror, told } = await open();
  const call = await server.call(0);
  await fill(call, { k1: 1 });
  await mirror.ready;
  const sizes: number[] = [];
  mirror.onChange(() => sizes.push(mirror.size));
  await call.send(
    say.events(
      "t2",
      say.created("k2", 2),
      say.updated("k1", 3),
      say.expired("k9"),
      say.expired("k2"),
      say.created("k2", 4),
      say.deleted("k1"),
    ),
  );
  await until(() => told.length === 5, "all is told");
  expect(told).toEqual([
    "created k2: - -> 2",
    "updated k1: 1 -> 3",
    "expired k2: 2 -> -",
    "created k2: - -> 4",
    "deleted k1: 3 -> -",
  ]);
  expect(sizes).toEqual([2, 2, 1, 2, 1]);
  expect(contents(mirror)).toEqual({ k2: 4 });
});

test("stays as it is while the connection is lost, and goes on where it was", async () => {
  const { server, mirror, told } = await open();
  const call = await server.call(0);
  await fill(call, { k1: 1 });
  await mirror.ready;
  call.end(unavailable());
  const after = await server.call(1);
  expect(after.request).toMatchObject({ snapshot: false, resumeToken: "t1" });
  expect(contents(mirror)).toEqual({ k1: 1 });
  await after.send(say.started("t1"));
  await after.send(say.events("t2", say.updated("k1", 2)));
  await until(() => told.length === 1, "it is told");
  expect(contents(mirror)).toEqual({ k1: 2 });
});

test("takes a new snapshot at once where history is lost, and tells what differs", async () => {
  const { server, mirror, told } = await open();
  const call = await server.call(0);
  await fill(call, { k1: 1, k2: 2, k3: 3 });
  await mirror.ready;
  call.end(historyLost("it is over"));
  const after = await server.call(1);
  expect(after.request).toMatchObject({ snapshot: true, resumeToken: "" });
  const states: string[] = [];
  mirror.onChange(() => states.push(JSON.stringify(contents(mirror))));
  await after.send(say.started());
  await after.send(say.snapshot(say.existing("k1", 1), say.existing("k3", 30)));
  // Not before it is complete; and half of it does not count.
  after.end(unavailable());
  const last = await server.call(2);
  expect(contents(mirror)).toEqual({ k1: 1, k2: 2, k3: 3 });
  await fill(last, { k1: 1, k3: 33, k4: 4 }, "t9");
  await until(() => told.length === 3, "all is told");
  expect(told).toEqual(["deleted k2: 2 -> -", "updated k3: 3 -> 33", "created k4: - -> 4"]);
  expect(new Set(states)).toEqual(new Set(['{"k1":1,"k3":33,"k4":4}']));
});

test("is never half of an interrupted snapshot", async () => {
  const { server, mirror, told } = await open();
  const call = await server.call(0);
  await call.send(say.started());
  await call.send(say.snapshot(say.existing("k1", 1), say.existing("k2", 2)));
  call.end(unavailable());
  const after = await server.call(1);
  expect(mirror.size).toBe(0);
  await fill(after, { k2: 2 });
  await mirror.ready;
  expect(contents(mirror)).toEqual({ k2: 2 });
  expect(told).toEqual([]);
});

test("throws from reads once its watch has failed for good", async () => {
  const { server, mirror } = await open();
  const call = await server.call(0);
  await fill(call, { k1: 1 });
  await mirror.ready;
  call.end(new StoreError("COLLECTION_NOT_ALLOWED", "no longer"));
  await expect(mirror.ended).rejects.toMatchObject({ reason: "COLLECTION_NOT_ALLOWED" });
  const failure = expect.objectContaining({ reason: "COLLECTION_NOT_ALLOWED" });
  expect(() => mirror.get("k1")).toThrow(failure);
  expect(() => mirror.size).toThrow(failure);
  expect(() => [...mirror]).toThrow(failure);
});

test("rejects ready where it cannot be filled", async () => {
  const { server, mirror } = await open();
  (await server.call(0)).end(new StoreError("REPLICA_SET_REQUIRED", "a standalone"));
  await expect(mirror.ready).rejects.toMatchObject({ reason: "REPLICA_SET_REQUIRED" });
});

test("keeps what it had when it is closed, and ends its watch", async () => {
  const { server, mirror } = await open();
  const call = await server.call(0);
  await fill(call, { k1: 1 });
  await mirror.ready;
  await mirror[Symbol.asyncDispose]();
  await call.cancelled;
  await mirror.ended;
  expect(contents(mirror)).toEqual({ k1: 1 });
});

test("a listener that fails is a warning, and nothing to the others", async () => {
  const { server, mirror, told } = await open();
  const warning = vi.spyOn(process, "emitWarning").mockReturnValue();
  onTestFinished(() => warning.mockRestore());
  const heard: string[] = [];
  mirror.onChange(() => {
    throw new Error("oh no");
  });
  const forget = mirror.onChange((change) => heard.push(brief(change)));
  const call = await server.call(0);
  await fill(call, {});
  await call.send(say.events("t2", say.created("k1", 1)));
  await until(() => told.length === 1, "it is told");
  expect(heard).toEqual(told);
  expect(warning).toHaveBeenCalledExactlyOnceWith(expect.stringContaining("oh no"), "ExecutionStoreWarning");
  forget();
  await call.send(say.events("t3", say.updated("k1", 2)));
  await until(() => told.length === 2, "it is told");
  expect(heard.length).toBe(1);
});
