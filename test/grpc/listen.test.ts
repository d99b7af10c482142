import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createGrpcServer, type GrpcServer } from "../../src/grpc/server.js";
import { createModelEngine } from "../support/model-engine.js";
import { createWireClient } from "./wire-client.js";

let directory: string;
let servers: GrpcServer[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "store-"));
  servers = [];
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.shutdown({ graceMs: 0 })));
  await rm(directory, { recursive: true });
});

function create(): GrpcServer {
  const server = createGrpcServer({ engine: createModelEngine() });
  servers.push(server);
  return server;
}

async function isServed(address: string): Promise<void> {
  const client = createWireClient(address.replace(/^unix:(?!\/\/)/, "unix://"));
  try {
    expect(await client.call("countStores")).toEqual({ count: 0n });
  } finally {
    client.close();
  }
}

async function refusal(address: string): Promise<Error> {
  const error: unknown = await create()
    .listen(address)
    .catch((failure: unknown) => failure);
  if (!(error instanceof Error)) throw new Error(`listens on ${address}`);
  expect(error.message).toContain(address);
  return error;
}

describe("a server listens", () => {
  it.each([
    ["127.0.0.1:0", /^127\.0\.0\.1:\d{2,5}$/],
    ["localhost:0", /^localhost:\d{2,5}$/],
  ])("on %s", async (address, expected) => {
    const bound = await create().listen(address);
    expect(bound).toMatch(expected);
    await isServed(bound);
  });

  it.each(["unix:", "unix://"])("on a socket named by %s and a path", async (prefix) => {
    const path = join(directory, "store.sock");
    const server = create();
    const bound = await server.listen(`${prefix}${path}`);
    expect(bound).toBe(`${prefix}${path}`);
    await isServed(bound);
    await server.shutdown({ graceMs: 1000 });
    expect(existsSync(path)).toBe(false);
  });

  it("on several addresses at once", async () => {
    const server = create();
    const addresses = await Promise.all([
      server.listen("127.0.0.1:0"),
      server.listen("127.0.0.1:0"),
      server.listen(`unix:${join(directory, "store.sock")}`),
    ]);
    expect(new Set(addresses).size).toBe(3);
    for (const address of addresses) await isServed(address);
  });

  it("in place of a dead server's socket", async () => {
    const path = join(directory, "store.sock");
    const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
    await once(spawn(process.execPath, ["-e", script]), "exit");
    expect(existsSync(path)).toBe(true);
    await isServed(await create().listen(`unix:${path}`));
  });
});

describe("a server does not listen", () => {
  it("on a port in use", async () => {
    const bound = await create().listen("127.0.0.1:0");
    const error = await refusal(bound);
    expect(error.message).toContain("another process");
    expect(error.cause).toMatchObject({ code: "EADDRINUSE" });
    await isServed(bound);
  });

  it("on a socket of a live server, whoever it is", async () => {
    const path = join(directory, "store.sock");
    const other = createServer().listen(path);
    await once(other, "listening");
    expect((await refusal(`unix:${path}`)).message).toContain("another process");
    expect(existsSync(path)).toBe(true);
    other.close();
    await once(other, "close");
    await create().listen(`unix:${path}`);
    expect((await refusal(`unix:${path}`)).message).toContain("another process");
    await isServed(`unix:${path}`);
  });

  it("in place of a file that is no socket", async () => {
    const path = join(directory, "precious.txt");
    await writeFile(path, "data");
    expect((await refusal(`unix:${path}`)).message).toContain("no socket");
    expect(existsSync(path)).toBe(true);
  });

  it.each([
    "",
    "50051",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:65536",
    "::1:50051",
    "a b:1",
    "unix:relative.sock",
    "unix:",
    "unix://host/path",
    `unix:/${"x".repeat(103)}`,
  ])("on what is no address: %s", async (address) => {
    expect((await refusal(address)).message).toMatch(/is no address to listen on; expected/);
  });

  it("on an address of another machine, or an unknown host", async () => {
    expect((await refusal("192.0.2.1:0")).message).toContain("EADDRNOTAVAIL");
    expect((await refusal("host.invalid:0")).message).toContain("host is unknown");
    expect((await refusal(`unix:${directory}/missing/store.sock`)).cause).toBeInstanceOf(Error);
  });

  it("any more once it is stopped", async () => {
    const server = create();
    await server.shutdown();
    await expect(server.listen("127.0.0.1:0")).rejects.toThrow("shutting down");
  });
});
