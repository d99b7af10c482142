import { serialize } from "bson";
import { createChannel, createClient } from "nice-grpc";
import { afterEach, describe, expect, it } from "vitest";
import { ServerReflectionDefinition } from "../../gen/ts/grpc/reflection/v1/reflection.js";
import { createGrpcServer } from "../../src/grpc/server.js";
import type { Engine } from "../../src/store/engine.js";
import { createModelEngine } from "../support/model-engine.js";
import { createLogRecorder } from "./log-recorder.js";
import { createWireClient } from "./wire-client.js";

const key = { storeName: "s", key: "k" };
const valueBson = Buffer.from(serialize({ value: 1 }));

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** A server whose setKey waits until it is let go. */
async function start() {
  const model = createModelEngine();
  let entered: () => void;
  let release: () => void;
  const inside = new Promise<void>((resolve) => {
    entered = resolve;
  });
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const setKey: Engine["setKey"] = async (...args) => {
    entered();
    await released;
    return model.setKey(...args);
  };
  const logger = createLogRecorder();
  const server = createGrpcServer({ engine: { ...model, setKey }, logger });
  const address = await server.listen("127.0.0.1:0");
  cleanups.push(() => server.shutdown({ graceMs: 0 }));
  const client = createWireClient(address);
  cleanups.push(() => client.close());
  return { server, address, client, logger, inside, release: () => release() };
}

describe("shutdown", () => {
  it("lets a call in flight finish, and refuses new connections", async () => {
    const { server, address, client, inside, release } = await start();
    const call = client.call("setKey", { ...key, valueBson });
    await inside;
    const stopped = server.shutdown({ graceMs: 20_000 });
    const late = createWireClient(address);
    await expect.poll(async () => (await late.fail("hasKey", key)).code).toBe("UNAVAILABLE");
    late.close();
    release();
    expect((await call).created).toBe(true);
    await stopped;
  });

  it("answers a call that does not finish in the grace time", async () => {
    const { server, client, logger, inside } = await start();
    const failed = client.fail("setKey", { ...key, valueBson });
    await inside;
    await server.shutdown({ graceMs: 50 });
    expect(await failed).toMatchObject({
      code: "UNAVAILABLE",
      reason: "SHUTTING_DOWN",
      metadata: { outcome: "UNKNOWN" },
      retrySeconds: 1,
    });
    expect(logger.lines.find((line) => line.message.includes("grace"))?.fields).toMatchObject({
      abandoned: 1,
    });
  });

  it("ends streams with UNAVAILABLE", async () => {
    const { server, address } = await start();
    const channel = createChannel(address);
    cleanups.push(() => channel.close());
    const never = new Promise<void>(() => undefined);
    async function* questions() {
      yield { messageRequest: { $case: "listServices", value: "" } as const };
      await never;
    }
    const answers = createClient(ServerReflectionDefinition, channel).serverReflectionInfo(questions());
    const stream = answers[Symbol.asyncIterator]();
    expect((await stream.next()).done).toBe(false);
    const ended = expect(stream.next()).rejects.toMatchObject({ code: 14 });
    await server.shutdown({ graceMs: 20_000 });
    await ended;
  });

  it("closes idle connections without waiting for the grace time", async () => {
    const { server, client } = await start();
    await client.call("countStores");
    const startedAt = performance.now();
    await server.shutdown({ graceMs: 20_000 });
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  it("is done once, whoever asks", async () => {
    const { server } = await start();
    const first = server.shutdown();
    expect(server.shutdown({ drainMs: 60_000 })).toBe(first);
    await first;
  });

  it("of a server that listens nowhere is done at once", async () => {
    await createGrpcServer({ engine: createModelEngine() }).shutdown();
  });
});
