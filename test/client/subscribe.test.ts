import { expect, onTestFinished, test, vi } from "vitest";
import { ExecutionStore, type SubscribeOptions } from "../../src/client/execution-store.js";
import type { StoreMessage } from "../../src/client/subscription.js";
import { historyLost, StoreError } from "../../src/store/errors.js";
import { type ScriptedWatches, startScriptedWatches } from "../support/scripted-watch.js";
import { until } from "../support/until.js";
import * as say from "../support/watch-messages.js";
import { SOON, unavailable } from "./watch-peers.js";

const DATASET = "65f0c1d2e3a4b5c6d7e8f901";

interface Opened {
  readonly server: ScriptedWatches;
  readonly store: ExecutionStore;
}

async function open(): Promise<Opened> {
  const server = await startScriptedWatches();
  const store = ExecutionStore.create("s", { address: server.address, datasetId: DATASET });
  onTestFinished(async () => {
    await store.close();
    server.close();
  });
  return { server, store };
}

function brief({ key, value, metadata }: StoreMessage): string {
  return `${metadata.operationType} ${key} ${JSON.stringify(value) ?? "-"}`;
}

/** Subscribes and keeps what is told, in short. */
function subscribe(store: ExecutionStore, options: SubscribeOptions = {}): { id: string; told: string[] } {
  const told: string[] = [];
  const id = store.subscribe((message) => void told.push(brief(message)), { retry: SOON, ...options });
  return { id, told };
}

test("tells the current state first, then changes, in FiftyOne's shape", async () => {
  const { server, store } = await open();
  const messages: StoreMessage[] = [];
  store.subscribe((message) => void messages.push(message));
  const call = await server.call(0);
  expect(call.request).toMatchObject({ storeName: "s", datasetId: DATASET, snapshot: true });
  await call.send(say.started());
  await call.send(say.snapshot(say.existing("a", 1)));
  await call.send(say.complete("t1"));
  await call.send(
    say.events(
      "t2",
      say.created("b", 2),
      say.updated("a", 3),
      say.deleted("a"),
      say.expired("b"),
      say.expired("never known"),
      say.created("b", 4),
    ),
  );
  await until(() => messages.length === 6, "all is told");
  expect(messages.map(brief)).toEqual([
    "initial a 1",
    "insert b 2",
    "update a 3",
    "delete a -",
    "expire b -",
    "insert b 4",
  ]);
  const timestamp = new Date(1_900_000_000_000);
  expect(messages[0]).toEqual({
    key: "a",
    value: 1,
    metadata: { operationType: "initial", datasetId: undefined, timestamp },
  });
  expect(messages[3]).toEqual({
    key: "a",
    value: undefined,
    metadata: { operationType: "delete", datasetId: undefined, timestamp },
  });
});

test("tells what is left of lost history: one change per key", async () => {
  const { server, store } = await open();
  const { told } = subscribe(store);
  const call = await server.call(0);
  await call.send(say.started());
  await call.send(say.snapshot(say.existing("a", 1), say.existing("b", 2), say.existing("c", 3)));
  await call.send(say.complete("t1"));
  await until(() => told.length === 3, "the state is told");
  call.end(historyLost("it is over"));
  const half = await server.call(1);
  await half.send(say.started());
  await half.send(say.snapshot(say.existing("b", 20)));
  await until(() => told.length === 4, "the first half is told");
  half.end(unavailable());
  const after = await server.call(2);
  await after.send(say.started());
  await after.send(say.snapshot(say.existing("b", 20), say.existing("c", 3), say.existing("d", 4)));
  await after.send(say.complete("t2"));
  await after.send(say.events("t3", say.updated("d", 5)));
  await until(() => told.length === 7, "all is told");
  expect(told.slice(3)).toEqual(["update b 20", "insert d 4", "delete a -", "update d 5"]);
});

test("an interrupted first snapshot tells each key once", async () => {
  const { server, store } = await open();
  const { told } = subscribe(store);
  const call = await server.call(0);
  await call.send(say.started());
  await call.send(say.snapshot(say.existing("a", 1), say.existing("b", 2)));
  await until(() => told.length === 2, "the first half is told");
  call.end(unavailable());
  const after = await server.call(1);
  await after.send(say.started());
  await after.send(say.snapshot(say.existing("b", 2), say.existing("c", 3)));
  await after.send(say.complete("t1"));
  await until(() => told.length === 4, "all is told");
  expect(told).toEqual(["initial a 1", "initial b 2", "initial c 3", "delete a -"]);
});

test("unsubscribe ends it also among the changes that are left of lost history", async () => {
  const { server, store } = await open();
  const told: string[] = [];
  const id: string = store.subscribe(
    (message) => {
      told.push(brief(message));
      if (message.metadata.operationType === "delete") store.unsubscribe(id);
    },
    { retry: SOON },
  );
  const call = await server.call(0);
  await call.send(say.started());
  await call.send(say.snapshot(say.existing("a", 1), say.existing("b", 2)));
  await call.send(say.complete("t1"));
  await until(() => told.length === 2, "the state is told");
  call.end(historyLost("it is over"));
  const after = await server.call(1);
  await after.send(say.started());
  await after.send(say.complete("t2"));
  await after.cancelled;
  expect(told).toEqual(["initial a 1", "initial b 2", "delete a -"]);
});

test("awaits each callback before its next message, and no other's", async () => {
  const { server, store } = await open();
  const told: string[] = [];
  let release: (() => void) | undefined;
  store.subscribe(async (message) => {
    told.push(brief(message));
    await new Promise<void>((resolve) => {
      release = resolve;
    });
  });
  const quick = subscribe(store);
  for (const index of [0, 1]) {
    const call = await server.call(index);
    await call.send(say.started());
    await call.send(say.snapshot(say.existing("a", 1), say.existing("b", 2)));
    await call.send(say.complete("t1"));
  }
  await until(() => quick.told.length === 2 && told.length === 1, "the quick one has all");
  release?.();
  await until(() => told.length === 2, "the slow one has the second");
  release?.();
});

test("goes on after a callback that fails, and reports it", async () => {
  const { server, store } = await open();
  const errors: unknown[] = [];
  const keys: string[] = [];
  const failure = new Error("oh no");
  store.subscribe(
    ({ key }) => {
      keys.push(key);
      return Promise.reject(failure);
    },
    { onError: (error) => errors.push(error) },
  );
  const call = await server.call(0);
  await call.send(say.started());
  await call.send(say.snapshot(say.existing("a", 1), say.existing("b", 2)));
  await until(() => keys.length === 2 && errors.length === 2, "both are told");
  expect(errors).toEqual([failure, failure]);
});

test.each<[string, () => void | Promise<void>]>([
  [
    "throws",
    () => {
      throw new Error("deaf");
    },
  ],
  ["rejects", () => Promise.reject(new Error("deaf"))],
])("goes on where onError %s, too, with a warning", async (_, onError) => {
  const { server, store } = await open();
  const warning = vi.spyOn(process, "emitWarning").mockReturnValue();
  onTestFinished(() => warning.mockRestore());
  const keys: string[] = [];
  store.subscribe(
    ({ key }) => {
      keys.push(key);
      throw new Error("oh no");
    },
    { onError },
  );
  const call = await server.call(0);
  await call.send(say.started());
  await call.send(say.snapshot(say.existing("a", 1), say.existing("b", 2)));
  await until(() => keys.length === 2 && warning.mock.calls.length === 2, "both are told");
  expect(warning.mock.calls[0]?.[0]).toContain("deaf");
  call.end(new StoreError("REPLICA_SET_REQUIRED", "a standalone"));
  await until(() => warning.mock.calls.length === 3, "the end is told");
});

test("reports what ends it, as a warning where nobody asked for errors", async () => {
  const { server, store } = await open();
  const warning = vi.spyOn(process, "emitWarning").mockReturnValue();
  onTestFinished(() => warning.mockRestore());
  const errors: unknown[] = [];
  const { id } = subscribe(store, { onError: (error) => errors.push(error) });
  const silent = subscribe(store);
  for (const index of [0, 1]) {
    (await server.call(index)).end(new StoreError("REPLICA_SET_REQUIRED", "a standalone"));
  }
  await until(() => errors.length === 1 && warning.mock.calls.length === 1, "both are reported");
  expect(errors).toMatchObject([{ reason: "REPLICA_SET_REQUIRED" }]);
  expect(warning.mock.calls[0]?.[0]).toContain("a standalone");
  await until(() => !store.unsubscribe(id) && !store.unsubscribe(silent.id), "they are gone");
});

test("unsubscribe ends it at once, also between two messages that have come in", async () => {
  const { server, store } = await open();
  const told: string[] = [];
  const id: string = store.subscribe((message) => {
    told.push(brief(message));
    expect(store.unsubscribe(id)).toBe(true);
  });
  const other = subscribe(store);
  const call = await server.call(0);
  await call.send(say.started());
  await call.send(say.snapshot(say.existing("a", 1), say.existing("b", 2)));
  await call.cancelled;
  expect(told).toEqual(["initial a 1"]);
  expect(store.unsubscribe(id)).toBe(false);
  expect(store.unsubscribe("nobody")).toBe(false);
  // Closing the store ends the others, also where the connection is another's.
  const shared = ExecutionStore.create("s", { service: store.service });
  const last = subscribe(shared);
  const [second, third] = [await server.call(1), await server.call(2)];
  await shared.close();
  await third.cancelled;
  expect(shared.unsubscribe(last.id)).toBe(false);
  await store.close();
  await second.cancelled;
  expect(store.unsubscribe(other.id)).toBe(false);
});
