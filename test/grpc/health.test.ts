import { createChannel, createClient, waitForChannelReady } from "nice-grpc";
import { afterEach, describe, expect, it } from "vitest";
import {
  HealthCheckRequest,
  HealthDefinition,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/ts/grpc/health/v1/health.js";
import { createGrpcServer } from "../../src/grpc/server.js";
import { createModelEngine } from "../support/model-engine.js";
import { createWireClient, type WireError } from "./wire-client.js";

const SERVICE = "execution_store.v1.StoreService";

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function start(options: { readonly serving?: boolean } = {}) {
  const server = createGrpcServer({ engine: createModelEngine(), ...options });
  cleanups.push(() => server.shutdown({ graceMs: 0 }));
  const address = await server.listen("127.0.0.1:0");
  const channel = createChannel(address);
  cleanups.push(() => channel.close());
  await waitForChannelReady(channel, new Date(Date.now() + 10_000));
  return { address, server, client: createClient(HealthDefinition, channel) };
}

/** The error of a check, with its details. */
async function wireFailure(address: string, request: { service: string }): Promise<WireError> {
  const client = createWireClient(address);
  try {
    return await client.failRaw(
      `/${HealthDefinition.fullName}/Check`,
      HealthCheckRequest.encode(request).finish(),
    );
  } finally {
    client.close();
  }
}

describe("health", () => {
  it("serves the server and the service", async () => {
    const { client } = await start();
    expect(await client.check({})).toEqual({ status: ServingStatus.SERVING });
    expect(await client.check({ service: SERVICE })).toEqual({ status: ServingStatus.SERVING });
    const serving = { status: ServingStatus.SERVING };
    expect(await client.list({})).toEqual({ statuses: { "": serving, [SERVICE]: serving } });
  });

  it("does not know other services", async () => {
    const { address, client } = await start();
    await expect(client.check({ service: "x" })).rejects.toMatchObject({ code: 5 });
    const error = await wireFailure(address, { service: "x" });
    expect(error).toMatchObject({
      code: "NOT_FOUND",
      reason: "SERVICE_NOT_FOUND",
      resource: { type: "service", name: "x" },
    });
    const long = await wireFailure(address, { service: "\u{1F600}".repeat(100_000) });
    expect(long.reason).toBe("SERVICE_NOT_FOUND");
    expect(long.trailerBytes).toBeLessThan(8192);
    for await (const { status } of client.watch({ service: "x" })) {
      expect(status).toBe(ServingStatus.SERVICE_UNKNOWN);
      break;
    }
  });

  it("tells watchers the status at once and the shutdown before it ends their streams", async () => {
    const { client, server } = await start();
    const watches = ["", SERVICE].map((service) => client.watch({ service })[Symbol.asyncIterator]());
    for (const watch of watches) {
      expect(await watch.next()).toEqual({ done: false, value: { status: ServingStatus.SERVING } });
    }
    const stopped = server.shutdown();
    for (const watch of watches) {
      expect(await watch.next()).toEqual({ done: false, value: { status: ServingStatus.NOT_SERVING } });
      await expect(watch.next()).rejects.toMatchObject({ code: 14 });
    }
    await stopped;
  });

  it("follows a database that comes and goes, but for a server that stops", async () => {
    const { client, server } = await start({ serving: false });
    const watch = client.watch({ service: SERVICE })[Symbol.asyncIterator]();
    expect((await watch.next()).value).toEqual({ status: ServingStatus.NOT_SERVING });
    for (const serving of [true, false, true]) {
      server.setServing(serving);
      const status = serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
      expect((await watch.next()).value).toEqual({ status });
      expect(await client.check({})).toEqual({ status });
    }
    const stopped = server.shutdown({ drainMs: 300 });
    expect((await watch.next()).value).toEqual({ status: ServingStatus.NOT_SERVING });
    server.setServing(true);
    expect(await client.check({})).toEqual({ status: ServingStatus.NOT_SERVING });
    await stopped;
  });

  it("says NOT_SERVING while the server drains, and calls are still answered", async () => {
    const { client, server } = await start();
    const watch = client.watch({})[Symbol.asyncIterator]();
    await watch.next();
    const stopped = server.shutdown({ drainMs: 300 });
    expect(await watch.next()).toEqual({ done: false, value: { status: ServingStatus.NOT_SERVING } });
    expect(await client.check({ service: SERVICE })).toEqual({ status: ServingStatus.NOT_SERVING });
    await stopped;
  });
});
