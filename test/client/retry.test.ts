import * as fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import {
  DeleteStoreResponse,
  GetKeyResponse,
  HasKeyResponse,
  KeyPolicy,
  SetKeyIfAbsentResponse,
  SetKeyResponse,
} from "../../gen/ts/execution_store/v1/execution_store.js";
import { isRetryable, retryDelay, retryPolicy } from "../../src/client/retry.js";
import { ExecutionStoreService } from "../../src/client/service.js";
import { type Outcome, StoreError } from "../../src/store/errors.js";
import { toValueBson } from "../../src/value/plain.js";
import { type ScriptedAnswer, type ScriptedServer, startScriptedServer } from "../support/scripted-server.js";

function unavailable(outcome?: Outcome, retryAfterMs = 1): StoreError {
  return new StoreError("SHUTTING_DOWN", "the server is shutting down", {
    retryAfterMs,
    ...(outcome === undefined ? {} : { outcome }),
  });
}

describe("isRetryable", () => {
  const levels = ["NO_SIDE_EFFECTS", "IDEMPOTENT", undefined] as const;

  test.each([
    [unavailable(), [true, true, false]],
    [unavailable("UNKNOWN"), [true, true, false]],
    [unavailable("NOT_APPLIED"), [true, true, true]],
    [new StoreError("DEADLINE_EXCEEDED", "", { outcome: "NOT_APPLIED" }), [false, false, false]],
    [new StoreError("INTERNAL", "", { outcome: "UNKNOWN" }), [false, false, false]],
    [new StoreError("STORAGE_FULL", "", { outcome: "NOT_APPLIED" }), [false, false, false]],
    [new StoreError("CANCELLED", "", { outcome: "NOT_APPLIED" }), [false, false, false]],
  ])("of %o", (error, expected) => {
    expect(levels.map((level) => isRetryable(error, level))).toEqual(expected);
  });
});

describe("retryDelay", () => {
  const policy = retryPolicy({ initialBackoffMs: 100, maxBackoffMs: 1000 });

  test("doubles up to its maximum, less up to a half", () => {
    const error = unavailable("UNKNOWN", 0);
    expect([1, 2, 3, 4, 5, 9].map((attempt) => retryDelay(policy, attempt, error, 0))).toEqual([
      100, 200, 400, 800, 1000, 1000,
    ]);
    expect(retryDelay(policy, 3, error, 1)).toBe(200);
  });

  test("is never less than the server asks for", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.nat(10_000),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (n, ms, r) => {
          expect(retryDelay(policy, n, unavailable("UNKNOWN", ms), r)).toBeGreaterThanOrEqual(ms);
        },
      ),
    );
  });
});

test.each([
  [{ maxAttempts: 0 }, "retry.maxAttempts"],
  [{ maxAttempts: 1.5 }, "retry.maxAttempts"],
  [{ initialBackoffMs: -1 }, "retry.initialBackoffMs"],
  [{ maxBackoffMs: Number.NaN }, "retry.maxBackoffMs"],
  [{ waitForServerMs: -1 }, "retry.waitForServerMs"],
  [{ waitForServerMs: Number.NaN }, "retry.waitForServerMs"],
  [{ waitForServerMs: "5" as unknown as number }, "retry.waitForServerMs"],
])("refuses %o", (retry, field) => {
  expect(() => new ExecutionStoreService({ retry })).toThrow(
    expect.objectContaining({
      reason: "CLIENT_OPTION_INVALID",
      violations: [{ field, description: expect.stringMatching(/^is not .*; expected /) }],
    }),
  );
});

test("waits ten seconds for a server unless told otherwise, and not at all without retries", () => {
  expect(retryPolicy().waitForServerMs).toBe(10_000);
  expect(retryPolicy({ maxAttempts: 1 }).waitForServerMs).toBe(10_000);
  expect(retryPolicy(false)).toMatchObject({ maxAttempts: 1, waitForServerMs: 0 });
});

/** An address where nobody listens. */
async function nowhere(): Promise<string> {
  const gone = await startScriptedServer(() => "never");
  gone.close();
  return gone.address;
}

describe("while no server is there", () => {
  test("a call waits for one, longer than its attempts would take", async () => {
    const address = await nowhere();
    const retry = { maxAttempts: 1, initialBackoffMs: 5, maxBackoffMs: 20 };
    await using service = new ExecutionStoreService({ address, retry });
    const call = service.hasKey("s", "k");
    // This one shows how far the other has come: it ends after many attempts.
    await expect(service.hasKey("s", "k", { timeoutMs: 300 })).rejects.toMatchObject({ name: "StoreError" });
    const present = HasKeyResponse.encode({ exists: true }).finish();
    const server = await startScriptedServer(() => present, { listen: address });
    expect(await call).toBe(true);
    expect(server.calls.length).toBe(1);
    server.close();
  });

  test.each([
    [{ waitForServerMs: 0 }, 0, 1000],
    [false as const, 0, 1000],
    [{ waitForServerMs: 300, initialBackoffMs: 5, maxBackoffMs: 20 }, 250, 2000],
  ])("a call with %o ends in time", async (retry, least, most) => {
    await using service = new ExecutionStoreService({ address: await nowhere(), retry });
    const start = performance.now();
    await expect(service.hasKey("s", "k")).rejects.toMatchObject({ reason: "SERVER_UNREACHABLE" });
    const took = performance.now() - start;
    expect(took).toBeGreaterThanOrEqual(least);
    expect(took).toBeLessThan(most);
  });

  test("a call with Infinity has its own time", async () => {
    const retry = { waitForServerMs: Number.POSITIVE_INFINITY, initialBackoffMs: 5, maxBackoffMs: 20 };
    await using service = new ExecutionStoreService({ address: await nowhere(), retry });
    const start = performance.now();
    await expect(service.hasKey("s", "k", { timeoutMs: 300 })).rejects.toMatchObject({ name: "StoreError" });
    expect(performance.now() - start).toBeGreaterThanOrEqual(250);
  });

  test("a call ends its wait when its caller gives up, or the service closes", async () => {
    const retry = { initialBackoffMs: 10_000, maxBackoffMs: 10_000, waitForServerMs: 20_000 };
    const service = new ExecutionStoreService({ address: await nowhere(), retry });
    const controller = new AbortController();
    const given = expect(service.setKey("s", "k", 1, { signal: controller.signal })).rejects.toMatchObject({
      reason: "CANCELLED",
      outcome: "NOT_APPLIED",
    });
    const closed = expect(service.setKey("s", "k", 1)).rejects.toMatchObject({ outcome: "NOT_APPLIED" });
    controller.abort();
    await given;
    await service.close();
    await closed;
  });
});

describe("against a server", () => {
  const document = {
    storeName: "s",
    key: "k",
    value: undefined,
    valueBson: Buffer.from(toValueBson("there")),
    datasetId: "",
    createdAt: { seconds: 1n, nanos: 0 },
    updatedAt: { seconds: 1n, nanos: 0 },
    expiresAt: undefined,
    policy: KeyPolicy.KEY_POLICY_PERSIST,
    etag: "e",
  };
  const found = GetKeyResponse.encode({ document }).finish();
  const set = SetKeyResponse.encode({ document, created: false }).finish();
  const won = SetKeyIfAbsentResponse.encode({ document, set: true }).finish();

  let server: ScriptedServer | undefined;
  let service: ExecutionStoreService | undefined;

  afterEach(async () => {
    await service?.close();
    server?.close();
  });

  /** A service whose server answers the first calls with `answers`, and all after them with the last. */
  async function serving(answers: ScriptedAnswer[], retry = { initialBackoffMs: 1, maxBackoffMs: 5 }) {
    server = await startScriptedServer(
      (_call, index) => answers[Math.min(index, answers.length - 1)] ?? "never",
    );
    service = new ExecutionStoreService({ address: server.address, retry });
    return { service, server };
  }

  test("repeats a read until the server is back", async () => {
    const { service: client, server: peer } = await serving([unavailable(), unavailable(), found]);
    expect((await client.getKey("s", "k"))?.value).toBe("there");
    expect(peer.calls.length).toBe(3);
  });

  test("gives up after so many attempts, with the last error", async () => {
    const { service: client, server: peer } = await serving([unavailable()]);
    await expect(client.hasKey("s", "k")).rejects.toMatchObject({
      reason: "SHUTTING_DOWN",
      kind: "UNAVAILABLE",
      outcome: undefined,
    });
    expect(peer.calls.length).toBe(6);
  });

  test("repeats nothing if told so", async () => {
    server = await startScriptedServer(() => unavailable());
    service = new ExecutionStoreService({ address: server.address, retry: false });
    await expect(service.hasKey("s", "k")).rejects.toMatchObject({ kind: "UNAVAILABLE" });
    expect(server.calls.length).toBe(1);
  });

  test("repeats no other error", async () => {
    const { service: client, server: peer } = await serving([
      new StoreError("INTERNAL", "an internal error occurred"),
    ]);
    await expect(client.getKey("s", "k")).rejects.toMatchObject({ reason: "INTERNAL" });
    expect(peer.calls.length).toBe(1);
  });

  test("repeats a set of unknown outcome, with the same bytes", async () => {
    const { service: client, server: peer } = await serving([unavailable("UNKNOWN"), set]);
    expect((await client.setKey("s", "k", "there")).document.etag).toBe("e");
    expect(peer.calls.length).toBe(2);
    expect(peer.calls[1]?.request).toEqual(peer.calls[0]?.request);
  });

  test("repeats a deletion of many of unknown outcome", async () => {
    const done = DeleteStoreResponse.encode({ deletedCount: 5n }).finish();
    const { service: client } = await serving([unavailable("UNKNOWN"), done]);
    expect(await client.deleteStore("s")).toBe(5);
  });

  test("repeats a set-if-absent that was certainly not applied", async () => {
    const { service: client, server: peer } = await serving([unavailable("NOT_APPLIED"), won]);
    expect((await client.setKeyIfAbsent("s", "k", 1)).set).toBe(true);
    expect(peer.calls.length).toBe(2);
  });

  test.each([
    ["setKeyIfAbsent", (client: ExecutionStoreService) => client.setKeyIfAbsent("s", "k", 1)],
    [
      "compareAndSetKey",
      (client: ExecutionStoreService) => client.compareAndSetKey("s", "k", { expected: 1 }, 2),
    ],
    ["createStore", (client: ExecutionStoreService) => client.createStore("s")],
  ])("never repeats a %s of unknown outcome", async (_name, call) => {
    for (const failure of [unavailable("UNKNOWN"), { code: 14, details: "a proxy's own error" }]) {
      const { service: client, server: peer } = await serving([failure, won]);
      await expect(call(client)).rejects.toMatchObject({ kind: "UNAVAILABLE", outcome: "UNKNOWN" });
      expect(peer.calls.length).toBe(1);
      await client.close();
      peer.close();
    }
  });

  test("says UNKNOWN if any attempt was of unknown outcome", async () => {
    const full = new StoreError("STORAGE_FULL", "the disk is full", { outcome: "NOT_APPLIED" });
    const { service: client, server: peer } = await serving([unavailable("UNKNOWN"), full]);
    await expect(client.setKey("s", "k", 1)).rejects.toMatchObject({
      reason: "STORAGE_FULL",
      outcome: "UNKNOWN",
    });
    expect(peer.calls.length).toBe(2);
  });

  test("says NOT_APPLIED if all attempts were", async () => {
    const { service: client } = await serving([unavailable("NOT_APPLIED")]);
    await expect(client.setKey("s", "k", 1)).rejects.toMatchObject({ outcome: "NOT_APPLIED" });
  });

  test("does not begin a wait that would outlast the call", async () => {
    const { service: client, server: peer } = await serving([unavailable("NOT_APPLIED", 60_000)]);
    await expect(client.setKey("s", "k", 1, { timeoutMs: 20_000 })).rejects.toMatchObject({
      kind: "UNAVAILABLE",
      retryAfterMs: 60_000,
    });
    expect(peer.calls.length).toBe(1);
  });

  test("waits as long as the server asks for", async () => {
    const { service: client } = await serving([unavailable("NOT_APPLIED", 150), set]);
    const start = performance.now();
    await client.setKey("s", "k", 1);
    expect(performance.now() - start).toBeGreaterThanOrEqual(149);
  });

  test("keeps the deadline of the first attempt for all", async () => {
    const pauses = { initialBackoffMs: 2000, maxBackoffMs: 2000 };
    const { service: client, server: peer } = await serving([unavailable(), unavailable(), found], pauses);
    await client.getKey("s", "k", { timeoutMs: 20_000 });
    const deadlines = peer.calls.map(({ deadline }) => deadline);
    // With a time of its own, an attempt would have a second more at least, for each pause before it.
    expect(Math.max(...deadlines) - Math.min(...deadlines)).toBeLessThan(900);
    expect(deadlines[0]).toBeLessThan(Date.now() + 20_000);
  });

  test("ends the wait before a repetition when the caller gives up", async () => {
    const controller = new AbortController();
    const { service: client, server: peer } = await serving([unavailable("UNKNOWN", 10_000)]);
    const call = client.setKey("s", "k", 1, { signal: controller.signal });
    const failed = expect(call).rejects.toMatchObject({ reason: "CANCELLED", outcome: "UNKNOWN" });
    await expect.poll(() => peer.calls.length).toBe(1);
    controller.abort();
    await failed;
    expect(peer.calls.length).toBe(1);
  });

  test("ends the wait before a repetition when it is closed", async () => {
    const { service: client, server: peer } = await serving([unavailable("NOT_APPLIED", 10_000)]);
    const call = expect(client.setKey("s", "k", 1)).rejects.toMatchObject({ reason: "SHUTTING_DOWN" });
    await expect.poll(() => peer.calls.length).toBe(1);
    await client.close();
    await call;
    expect(peer.calls.length).toBe(1);
  });

  test("comes through the restart of a server", async () => {
    const present = HasKeyResponse.encode({ exists: true }).finish();
    const { service: client, server: first } = await serving([present], {
      initialBackoffMs: 20,
      maxBackoffMs: 100,
    });
    expect(await client.hasKey("s", "k")).toBe(true);
    first.close();
    await expect(client.hasKey("s", "k", { timeoutMs: 30 })).rejects.toMatchObject({ name: "StoreError" });
    server = await startScriptedServer(() => won, { listen: first.address });
    expect((await client.setKeyIfAbsent("s", "k", 1)).set).toBe(true);
  });
});
