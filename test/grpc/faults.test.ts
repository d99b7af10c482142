import { serialize } from "bson";
import { afterEach, describe, expect, it } from "vitest";
import type { Engine } from "../../src/store/engine.js";
import { StoreError } from "../../src/store/errors.js";
import { createModelEngine } from "../support/model-engine.js";
import { startTestServer } from "../support/test-server.js";
import { createLogRecorder } from "./log-recorder.js";
import { createWireClient } from "./wire-client.js";

const SECRET = "hunter2";
const valueBson = Buffer.from(serialize({ value: SECRET }));
const key = { storeName: "s", key: "k" };

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** A server over the model, some of whose methods fail as a test wants it. */
async function start(faults: Partial<Engine> = {}) {
  const logger = createLogRecorder();
  const server = await startTestServer({ engine: { ...createModelEngine(), ...faults }, logger });
  cleanups.push(() => server.close());
  const client = createWireClient(server.address);
  cleanups.push(() => client.close());
  return { client, logger, server };
}

/** A method that never answers, but for the abortion of its signal; `called` resolves when it was called. */
function hanging() {
  let called: (signal: AbortSignal) => void;
  const signal = new Promise<AbortSignal>((resolve) => {
    called = resolve;
  });
  const method = (...args: unknown[]): Promise<never> => {
    const options = args.at(-1) as { signal: AbortSignal };
    called(options.signal);
    return new Promise((_resolve, reject) => {
      options.signal.addEventListener("abort", () => reject(options.signal.reason as Error));
    });
  };
  return { signal, method };
}

function fault(): never {
  throw new RangeError(`page 7 of ${SECRET} is broken`);
}

describe("a fault of the engine", () => {
  it("is INTERNAL with an id under which the log has the cause", async () => {
    const { client, logger } = await start({ getKey: async () => fault(), setKey: async () => fault() });
    const read = await client.fail("getKey", key);
    expect(read).toMatchObject({ code: "INTERNAL", reason: "INTERNAL", domain: "execution-store" });
    const id = read.metadata["error_id"] ?? "";
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(read.metadata).toEqual({ error_id: id });
    expect(read.message).toBe(`an internal error occurred; quote id ${id} to the operator`);
    const lines = logger.lines.filter((line) => line.level === "error");
    expect(lines).toHaveLength(1);
    expect(lines[0]?.fields).toMatchObject({ method: "execution_store.v1.StoreService/GetKey", errorId: id });
    expect(logger.text()).toContain("RangeError: page 7");
    const write = await client.fail("setKey", { ...key, valueBson });
    expect(write.metadata["outcome"]).toBe("UNKNOWN");
    expect(write.metadata["error_id"]).not.toBe(id);
  });

  it("is INTERNAL without its words, also where the engine names it so", async () => {
    const error = new StoreError("INTERNAL", SECRET, {
      outcome: "NOT_APPLIED",
      cause: new Error("the disk"),
    });
    const { client, logger } = await start({ setKey: () => Promise.reject(error) });
    const write = await client.fail("setKey", { ...key, valueBson });
    expect(write).toMatchObject({ code: "INTERNAL", metadata: { outcome: "NOT_APPLIED" } });
    expect(write.message).not.toContain(SECRET);
    expect(logger.text()).toContain("the disk");
  });

  it("that is no error at all is INTERNAL", async () => {
    // oxlint-disable-next-line typescript/prefer-promise-reject-errors
    const { client } = await start({ getKey: () => Promise.reject(undefined) });
    expect((await client.fail("getKey", key)).code).toBe("INTERNAL");
  });

  it.each([
    ["UNAVAILABLE", "UNAVAILABLE", "warn"],
    ["STORAGE_FULL", "RESOURCE_EXHAUSTED", "warn"],
  ] as const)("keeps its name: %s", async (reason, code, level) => {
    const error = new StoreError(reason, "not now", {
      outcome: "NOT_APPLIED",
      retryAfterMs: 1500,
      cause: new Error("eio"),
    });
    const { client, logger } = await start({
      setKey: () => Promise.reject(error),
      getKey: () => Promise.reject(error),
    });
    const write = await client.fail("setKey", { ...key, valueBson });
    expect(write).toMatchObject({ code, reason, message: "not now", metadata: { outcome: "NOT_APPLIED" } });
    expect(write.retrySeconds).toBe(code === "UNAVAILABLE" ? 1.5 : undefined);
    expect((await client.fail("getKey", key)).metadata).toEqual({});
    expect(logger.lines.map((line) => line.level)).toEqual([level, level]);
    expect(logger.text()).toContain("eio");
  });

  it("of a write without an outcome has one that fits", async () => {
    const { client } = await start({
      setKey: () => Promise.reject(new StoreError("UNAVAILABLE", "gone")),
      createStore: () => Promise.reject(new StoreError("STORE_ALREADY_EXISTS", "there")),
    });
    expect((await client.fail("setKey", { ...key, valueBson })).metadata["outcome"]).toBe("UNKNOWN");
    expect((await client.fail("setKey", { ...key, valueBson })).retrySeconds).toBe(1);
    const created = await client.fail("createStore", { storeName: "s" });
    expect(created).toMatchObject({ code: "ALREADY_EXISTS", metadata: { outcome: "NOT_APPLIED" } });
  });
});

describe("what is not there", () => {
  it("is NOT_FOUND with the resource", async () => {
    const { client } = await start();
    const missing = await client.fail("getKey", key);
    expect(missing).toMatchObject({ code: "NOT_FOUND", reason: "KEY_NOT_FOUND" });
    expect(missing.resource).toEqual({ type: "key", name: "s/k" });
    expect(missing.metadata).toEqual({});
    const store = await client.fail("getStore", { storeName: "s" });
    expect(store).toMatchObject({
      code: "NOT_FOUND",
      reason: "STORE_NOT_FOUND",
      resource: { type: "store", name: "s" },
    });
    for (const request of [
      { ...key, ttl: { seconds: 1n, nanos: 0 } },
      { ...key, policy: 1 },
    ]) {
      const error = await client.fail("ttl" in request ? "updateTtl" : "updatePolicy", request);
      expect(error).toMatchObject({ code: "NOT_FOUND", metadata: { outcome: "NOT_APPLIED" } });
    }
  });

  it("is ALREADY_EXISTS the second time", async () => {
    const { client } = await start();
    await client.call("createStore", { storeName: "s" });
    const error = await client.fail("createStore", { storeName: "s" });
    expect(error).toMatchObject({
      code: "ALREADY_EXISTS",
      reason: "STORE_ALREADY_EXISTS",
      resource: { type: "store", name: "s" },
      metadata: { outcome: "NOT_APPLIED" },
    });
  });
});

describe("a caller who gives up", () => {
  it("by a deadline ends the engine's work", async () => {
    const { signal, method } = hanging();
    const { client, logger } = await start({ getKey: method });
    const error = await client.fail("getKey", key, { timeoutMs: 100 });
    expect(error.code).toBe("DEADLINE_EXCEEDED");
    const aborted = await signal;
    if (!aborted.aborted) await new Promise((resolve) => aborted.addEventListener("abort", resolve));
    await expect.poll(() => logger.lines.map((line) => line.level)).toEqual(["debug"]);
    expect(logger.lines[0]?.fields).toMatchObject({ status: "CANCELLED" });
  });

  it("by cancelling ends the engine's work", async () => {
    const { signal, method } = hanging();
    const { client } = await start({ getKey: method });
    const controller = new AbortController();
    const failed = client.fail("getKey", key, { signal: controller.signal });
    const passed = await signal;
    expect(passed.aborted).toBe(false);
    const aborted = new Promise((resolve) => passed.addEventListener("abort", resolve));
    controller.abort();
    await aborted;
    expect((await failed).code).toBe("CANCELLED");
  });
});

describe("the log", () => {
  it("has method, status and duration of calls, and neither values nor keys", async () => {
    const { client, logger } = await start();
    await client.call("setKey", { storeName: "store-name", key: "key-name", valueBson });
    await client.call("getKey", { storeName: "store-name", key: "key-name" });
    await client.fail("getKey", { storeName: "store-name", key: "key-gone" });
    const fields = { durationMs: expect.any(Number) as number };
    expect(logger.lines).toEqual([
      {
        level: "debug",
        message: "call",
        fields: { method: "execution_store.v1.StoreService/SetKey", status: "OK", ...fields },
      },
      {
        level: "debug",
        message: "call",
        fields: { method: "execution_store.v1.StoreService/GetKey", status: "OK", ...fields },
      },
      {
        level: "debug",
        message: "call failed",
        fields: {
          method: "execution_store.v1.StoreService/GetKey",
          status: "NOT_FOUND",
          reason: "KEY_NOT_FOUND",
          errorId: undefined,
          err: undefined,
          ...fields,
        },
      },
    ]);
    for (const word of [SECRET, "store-name", "key-name", "key-gone"])
      expect(logger.text()).not.toContain(word);
  });
});
