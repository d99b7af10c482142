import { status } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { KeyEvent_Type, ValueEncoding } from "../../gen/ts/execution_store/v1/execution_store.js";
import { RawValue } from "../../src/client/raw-value.js";
import type { WatchOptions } from "../../src/client/watch-options.js";
import { historyLost, StoreError } from "../../src/store/errors.js";
import * as say from "../support/watch-messages.js";
import { openPeers, take, unavailable, watch } from "./watch-peers.js";

describe("what is asked for", () => {
  test("is nothing but the context by default", async () => {
    const peers = await openPeers();
    const reader = watch(peers);
    void reader.next();
    const { request } = await peers.server.call(0);
    expect(request).toEqual({
      datasetId: "",
      collectionName: "",
      storeName: "",
      allContexts: false,
      key: undefined,
      keyPrefix: "",
      snapshot: false,
      resumeToken: "",
      eventTypes: [],
      encoding: ValueEncoding.VALUE_ENCODING_BSON,
      includePrevious: false,
      progressInterval: undefined,
    });
  });

  test("travels", async () => {
    const peers = await openPeers();
    const datasetId = "65f0c1d2e3a4b5c6d7e8f901";
    const service = peers.service.withContext({ datasetId, collectionName: "other" });
    const reader = service.watchKeys({
      storeName: "s",
      key: "k",
      resumeToken: "t",
      types: ["created", "expired"],
      encoding: "none",
      includePrevious: true,
      progressIntervalMs: 2500,
    });
    void reader.next();
    expect((await peers.server.call(0)).request).toMatchObject({
      datasetId,
      collectionName: "other",
      storeName: "s",
      key: "k",
      resumeToken: "t",
      eventTypes: [KeyEvent_Type.TYPE_CREATED, KeyEvent_Type.TYPE_EXPIRED],
      encoding: ValueEncoding.VALUE_ENCODING_NONE,
      includePrevious: true,
      progressInterval: { seconds: 2n, nanos: 500_000_000 },
    });
    void service.watchKeys({ allContexts: true, keyPrefix: "p", snapshot: true }).next();
    expect((await peers.server.call(1)).request).toMatchObject({
      allContexts: true,
      key: undefined,
      keyPrefix: "p",
      snapshot: true,
    });
  });

  test.each<[WatchOptions, string]>([
    [{ storeName: "" }, "STORE_NAME_INVALID"],
    [{ key: 5 as unknown as string }, "KEY_INVALID"],
    [{ keyPrefix: 5 as unknown as string }, "PREFIX_INVALID"],
    [{ resumeToken: "" }, "RESUME_TOKEN_INVALID"],
    [{ types: [] }, "EVENT_TYPE_INVALID"],
    [{ types: ["changed" as "created"] }, "EVENT_TYPE_INVALID"],
    [{ types: "created" as unknown as [] }, "CLIENT_OPTION_INVALID"],
    [{ progressIntervalMs: 0 }, "PROGRESS_INTERVAL_INVALID"],
    [{ encoding: "json" as "raw" }, "ENCODING_INVALID"],
    [{ bufferEvents: 0 }, "CLIENT_OPTION_INVALID"],
    [{ bufferBytes: Number.NaN }, "CLIENT_OPTION_INVALID"],
    [{ onHistoryLost: "ignore" as "throw" }, "CLIENT_OPTION_INVALID"],
    [{ retry: { maxAttempts: 0 } }, "CLIENT_OPTION_INVALID"],
  ])("is refused before it is sent: %o", async (options, reason) => {
    const peers = await openPeers();
    const reader = peers.service.watchKeys(options);
    await expect(reader.next()).rejects.toMatchObject({ name: "StoreError", reason });
    expect(await reader.next()).toEqual({ done: true, value: undefined });
    expect(peers.server.calls).toEqual([]);
  });
});

describe("what is told", () => {
  test("is every event in order, with the message's token on its last event", async () => {
    const peers = await openPeers();
    const reader = watch(peers, { snapshot: true });
    const first = reader.next();
    const call = await peers.server.call(0);
    await call.send(say.started("", 5000));
    await call.send(say.snapshot(say.existing("a", 1), say.existing("b", 2)));
    await call.send(say.complete("t1"));
    await call.send(say.events("t2", say.expired("a"), say.created("a", 3), say.updated("b", 4)));
    await call.send(say.progress("t3"));
    await call.send(say.events("t4", say.deleted("b")));
    expect(await first).toEqual({
      done: false,
      value: { type: "started", progressIntervalMs: 5000, resumeToken: undefined },
    });
    expect(await take(reader, 8)).toEqual([
      "existing a",
      "existing b",
      "snapshotComplete @t1",
      "expired a",
      "created a",
      "updated b @t2",
      "progress @t3",
      "deleted b @t4",
    ]);
  });

  test("has documents in the form that was asked for", async () => {
    const peers = await openPeers();
    const reader = peers.service.watchKeys({ encoding: "raw", includePrevious: true });
    const next = (): Promise<IteratorResult<unknown>> => reader.next();
    const ready = next();
    const call = await peers.server.call(0);
    await call.send(say.started("t0"));
    await ready;
    const large = { ...say.updated("a", 2), previous: say.existing("a", 1).document };
    await call.send(
      say.events(
        "t1",
        large,
        { ...large, previous: say.deleted("a").document, previousValueOmitted: true, documentLookedUp: true },
        { ...say.deleted("a"), previous: say.existing("a", 2).document },
      ),
    );
    const value = expect.any(RawValue);
    expect(await next()).toMatchObject({
      value: { type: "updated", document: { value }, previous: { value }, lookedUp: false },
    });
    const { value: omitted } = await next();
    expect(omitted).toMatchObject({ previousValueOmitted: true, lookedUp: true, previous: { key: "a" } });
    expect((omitted as { previous: object }).previous).not.toHaveProperty("value");
    const { value: gone } = await next();
    expect(gone).toMatchObject({ type: "deleted", key: "a", storeName: "s", previous: { value } });
    expect(gone).not.toHaveProperty("document");
    expect((gone as { commitTime: Date }).commitTime).toEqual(new Date(1_900_000_000_000));
  });

  test("a watch's token is that of the last event handed over", async () => {
    const peers = await openPeers();
    const reader = watch(peers, { resumeToken: "t0" });
    expect(reader.resumeToken).toBe("t0");
    const first = reader.next();
    const call = await peers.server.call(0);
    await call.send(say.started("t1"));
    await first;
    await call.send(say.events("t2", say.created("a", 1), say.created("b", 1)));
    expect(reader.resumeToken).toBe("t1");
    await reader.next();
    expect(reader.resumeToken).toBe("t1");
    await reader.next();
    expect(reader.resumeToken).toBe("t2");
  });

  test.each([
    ["a token is missing", say.events("", say.created("a", 1))],
    ["an event has no document", say.events("t", { ...say.created("a", 1), document: undefined })],
    [
      "an event has no type",
      say.events("t", { ...say.created("a", 1), type: KeyEvent_Type.TYPE_UNSPECIFIED }),
    ],
    ["a message has no kind", { resumeToken: "t" }],
  ])("fails with INTERNAL where %s", async (_, message) => {
    const peers = await openPeers();
    const reader = watch(peers);
    const first = reader.next();
    const call = await peers.server.call(0);
    await call.send(say.started("t0"));
    await first;
    await call.send(message);
    await expect(reader.next()).rejects.toMatchObject({ reason: "INTERNAL" });
    await call.cancelled;
  });
});

describe("a connection that ends", () => {
  test.each<[string, StoreError | { code: status; details: string }]>([
    ["a drain", unavailable()],
    [
      "a slow consumer, whose token may pass over messages that were dropped on the way",
      new StoreError("WATCH_TOO_SLOW", "too slow", { resumeToken: "t9" }),
    ],
    ["a proxy's reset", { code: status.INTERNAL, details: "Received RST_STREAM with code 2" }],
    ["an end without an error", { code: status.OK, details: "" }],
    ["a server that is killed", { code: status.CANCELLED, details: "" }],
    ["ENHANCE_YOUR_CALM", { code: status.RESOURCE_EXHAUSTED, details: "Bandwidth exhausted" }],
    ["a proxy's time limit", { code: status.DEADLINE_EXCEEDED, details: "stream timeout" }],
  ])("by %s is followed by another that goes on where it was", async (_, error) => {
    const peers = await openPeers();
    const told: string[] = [];
    const reader = watch(peers, {
      snapshot: true,
      keyPrefix: "p",
      onInterruption: ({ kind }, ms) => told.push(`${kind} ${ms < 2000}`),
    });
    const first = reader.next();
    const before = await peers.server.call(0);
    await before.send(say.started());
    await before.send(say.complete("t1"));
    await before.send(say.events("t2", say.created("p1", 1)));
    await first;
    expect(await take(reader, 2)).toEqual(["snapshotComplete @t1", "created p1 @t2"]);
    const next = take(reader, 2);
    before.end(error);
    const after = await peers.server.call(1);
    expect(after.request).toMatchObject({ resumeToken: "t2", snapshot: false, keyPrefix: "p" });
    await after.send(say.started("t2"));
    await after.send(say.events("t3", say.created("p2", 1)));
    expect(await next).toEqual(["started @t2", "created p2 @t3"]);
    expect(told).toEqual([error instanceof StoreError ? `${error.kind} true` : "UNAVAILABLE true"]);
  });

  test("in the middle of a snapshot starts the snapshot anew, and says that the first part is void", async () => {
    const peers = await openPeers();
    const reader = watch(peers, { snapshot: true });
    const told = take(reader, 2);
    const before = await peers.server.call(0);
    await before.send(say.started());
    await before.send(say.snapshot(say.existing("a", 1)));
    expect(await told).toEqual(["started", "existing a"]);
    const anew = take(reader, 4);
    before.end(unavailable());
    const after = await peers.server.call(1);
    expect(after.request).toMatchObject({ snapshot: true, resumeToken: "" });
    await after.send(say.started());
    await after.send(say.snapshot(say.existing("b", 1)));
    await after.send(say.complete("t1"));
    expect(await anew).toEqual(["reset", "started", "existing b", "snapshotComplete @t1"]);
  });

  test("before it has started is followed by one that asks for the same", async () => {
    const peers = await openPeers();
    const reader = watch(peers);
    const first = take(reader, 1);
    (await peers.server.call(0)).end(unavailable());
    const after = await peers.server.call(1);
    expect(after.request).toMatchObject({ snapshot: false, resumeToken: "" });
    await after.send(say.started("t1"));
    expect(await first).toEqual(["started @t1"]);
  });

  test.each<[string, StoreError]>([
    ["INVALID_ARGUMENT", new StoreError("RESUME_TOKEN_INVALID", "malformed")],
    ["FAILED_PRECONDITION", new StoreError("REPLICA_SET_REQUIRED", "a standalone")],
    ["PERMISSION_DENIED", new StoreError("COLLECTION_NOT_ALLOWED", "not allowed")],
    ["RESOURCE_EXHAUSTED", new StoreError("REQUEST_TOO_LARGE", "too large")],
    ["UNIMPLEMENTED", new StoreError("UNIMPLEMENTED", "not here")],
    ["INTERNAL", new StoreError("INTERNAL", "a fault", { errorId: "7" })],
    ["OUT_OF_RANGE", historyLost("it is over")],
  ])("for good, with %s, rejects behind the events before it", async (kind, error) => {
    const peers = await openPeers();
    const reader = watch(peers);
    const first = reader.next();
    const call = await peers.server.call(0);
    await call.send(say.started("t1"));
    await first;
    await call.send(say.events("t2", say.created("a", 1), say.created("b", 1)));
    expect(await take(reader, 1)).toEqual(["created a"]);
    call.end(error);
    expect(await take(reader, 1)).toEqual(["created b @t2"]);
    await expect(reader.next()).rejects.toMatchObject({ kind, reason: error.reason });
    expect(await reader.next()).toEqual({ done: true, value: undefined });
    expect(peers.server.calls.length).toBe(1);
  });

  test.each([
    "Received message larger than max (9 vs 8)",
    "Received message that decompresses to a size larger than 8",
    "grpc: received message larger than max (9 vs. 8)",
  ])("for good, with a message that no repetition makes smaller: %s", async (details) => {
    const peers = await openPeers();
    const first = watch(peers).next();
    (await peers.server.call(0)).end({ code: status.RESOURCE_EXHAUSTED, details });
    await expect(first).rejects.toMatchObject({ kind: "RESOURCE_EXHAUSTED" });
    expect(peers.server.calls.length).toBe(1);
  });

  test("with lost history is followed by a new snapshot, if that is asked for", async () => {
    const peers = await openPeers();
    const reader = watch(peers, { resumeToken: "old", onHistoryLost: "snapshot" });
    const told = take(reader, 5);
    const before = await peers.server.call(0);
    expect(before.request).toMatchObject({ snapshot: false, resumeToken: "old" });
    before.end(historyLost("it is over"));
    const after = await peers.server.call(1);
    expect(after.request).toMatchObject({ snapshot: true, resumeToken: "" });
    await after.send(say.started());
    await after.send(say.snapshot(say.existing("a", 1)));
    await after.send(say.complete("t1"));
    await after.send(say.progress("t2"));
    expect(await told).toEqual(["reset", "started", "existing a", "snapshotComplete @t1", "progress @t2"]);
    // And from then on by its token.
    const more = take(reader, 1);
    after.end(unavailable());
    const last = await peers.server.call(2);
    expect(last.request).toMatchObject({ snapshot: false, resumeToken: "t2" });
    await last.send(say.started("t2"));
    expect(await more).toEqual(["started @t2"]);
  });
});
