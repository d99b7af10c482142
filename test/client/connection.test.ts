import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServerCredentials } from "@grpc/grpc-js";
import { afterEach, describe, expect, test, vi } from "vitest";
import { HasKeyResponse } from "../../gen/ts/execution_store/v1/execution_store.js";
import type { ServiceOptions } from "../../src/client/options.js";
import { ExecutionStoreService } from "../../src/client/service.js";
import {
  type ScriptedOptions,
  type ScriptedServer,
  startScriptedServer,
} from "../support/scripted-server.js";
import { TEST_CERTIFICATE, TEST_PRIVATE_KEY } from "../support/test-certificate.js";
import { startTestServer } from "../support/test-server.js";

const present = HasKeyResponse.encode({ exists: true }).finish();
const closing: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const close of closing.splice(0).toReversed()) await close();
});

async function scripted(answer: Uint8Array | "never", options?: ScriptedOptions): Promise<ScriptedServer> {
  const server = await startScriptedServer(() => answer, options);
  closing.push(() => server.close());
  return server;
}

function open(options: ServiceOptions): ExecutionStoreService {
  const service = new ExecutionStoreService(options);
  closing.push(() => service.close());
  return service;
}

describe("deadlines", () => {
  test("reject, name the time, and reach the server", async () => {
    const server = await scripted("never");
    const service = open({ address: server.address });
    const before = Date.now();
    await expect(service.setKey("s", "k", 1, { timeoutMs: 1000 })).rejects.toMatchObject({
      kind: "DEADLINE_EXCEEDED",
      outcome: "UNKNOWN",
      message: expect.stringContaining("SetKey did not finish within 1000 ms"),
    });
    const [call] = server.calls;
    expect(call?.deadline).toBeGreaterThanOrEqual(before + 990);
    // The server reckons from when the call arrives.
    expect(call?.deadline).toBeLessThanOrEqual((call?.arrivedAt ?? 0) + 1000 + 10);
    await call?.cancelled;
  });

  test("are 30 seconds unless the service, or the call, says otherwise", async () => {
    const server = await scripted(present);
    const now = Date.now();
    await open({ address: server.address }).hasKey("s", "k");
    await open({ address: server.address, timeoutMs: 5000 }).hasKey("s", "k");
    await open({ address: server.address, timeoutMs: 5000 }).hasKey("s", "k", { timeoutMs: 60_000 });
    const seconds = server.calls.map(({ deadline }) => Math.round((deadline - now) / 1000));
    expect(seconds).toEqual([30, 5, 60]);
  });

  test("may be none", async () => {
    const server = await scripted(present);
    await open({ address: server.address, timeoutMs: Number.POSITIVE_INFINITY }).hasKey("s", "k");
    expect(server.calls[0]?.deadline).toBe(Number.POSITIVE_INFINITY);
  });

  test.each([1e9 + 1, 2 ** 31, 1e14, 1e18, Number.MAX_SAFE_INTEGER, Number.MAX_VALUE])(
    "of %d milliseconds are none",
    async (timeoutMs) => {
      const peer = await scripted(present);
      await open({ address: peer.address, timeoutMs }).hasKey("s", "k");
      await open({ address: peer.address }).hasKey("s", "k", { timeoutMs });
      expect(peer.calls.map(({ deadline }) => deadline)).toEqual([Infinity, Infinity]);
      const server = await startTestServer();
      closing.push(() => server.close());
      expect((await open({ address: server.address }).setKey("s", "k", 1, { timeoutMs })).created).toBe(true);
    },
  );

  test("of 1e9 milliseconds are kept", async () => {
    const server = await scripted(present);
    const end = Date.now() + 1e9;
    await open({ address: server.address, timeoutMs: 1e9 }).hasKey("s", "k");
    // Times this long travel in seconds.
    expect(Math.abs(Number(server.calls[0]?.deadline) - end)).toBeLessThan(10_000);
  });

  test("end a call that finds no connection, of which certainly nothing was written", async () => {
    // A listener that accepts and never says a word of HTTP/2.
    const { createServer } = await import("node:net");
    const silent = createServer();
    await once(silent.listen(0, "127.0.0.1"), "listening");
    const sockets: { destroy(): void }[] = [];
    silent.on("connection", (socket) => sockets.push(socket));
    closing.push(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const address = silent.address();
    const service = open({ address: `127.0.0.1:${typeof address === "object" ? address?.port : 0}` });
    await expect(service.setKeyIfAbsent("s", "k", 1, { timeoutMs: 100 })).rejects.toMatchObject({
      kind: "DEADLINE_EXCEEDED",
      outcome: "NOT_APPLIED",
      message: expect.stringContaining("no connection"),
    });
  });

  test.each([0, -1, Number.NaN, "5" as unknown as number])("cannot be %j", async (timeoutMs) => {
    const refused = { reason: "CLIENT_OPTION_INVALID", violations: [{ field: "timeoutMs" }] };
    expect(() => new ExecutionStoreService({ timeoutMs })).toThrow(
      expect.objectContaining({ reason: refused.reason }),
    );
    await expect(open({}).setKey("s", "k", 1, { timeoutMs })).rejects.toMatchObject({
      ...refused,
      outcome: "NOT_APPLIED",
    });
  });
});

describe("signals", () => {
  test("reject at once, with their reason as the cause, and reach the server", async () => {
    const server = await scripted("never");
    const controller = new AbortController();
    const reason = new Error("enough");
    const service = open({ address: server.address });
    const call = expect(service.setKey("s", "k", 1, { signal: controller.signal })).rejects.toMatchObject({
      kind: "CANCELLED",
      outcome: "UNKNOWN",
      cause: reason,
    });
    await expect.poll(() => server.calls.length).toBe(1);
    controller.abort(reason);
    await call;
    await server.calls[0]?.cancelled;
  });

  test("that are aborted before send nothing", async () => {
    const server = await scripted(present);
    const service = open({ address: server.address });
    await expect(service.setKey("s", "k", 1, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      kind: "CANCELLED",
      outcome: "NOT_APPLIED",
    });
    await expect(service.hasKey("s", "k", { signal: AbortSignal.abort() })).rejects.toMatchObject({
      kind: "CANCELLED",
      outcome: undefined,
    });
    expect(server.calls.length).toBe(0);
  });

  test("may be shared by many calls without a warning", async () => {
    const server = await scripted(present);
    const warned: unknown[] = [];
    const onWarning = (warning: unknown): number => warned.push(warning);
    process.on("warning", onWarning);
    closing.push(() => void process.off("warning", onWarning));
    const { signal } = new AbortController();
    const listening = vi.spyOn(signal, "addEventListener");
    const service = open({ address: server.address });
    await Promise.all(Array.from({ length: 100 }, () => service.hasKey("s", "k", { signal })));
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    expect(listening).toHaveBeenCalledTimes(1);
    expect(warned).toEqual([]);
  });
});

describe("close", () => {
  test("lets calls under way finish, refuses those after it, and may be repeated", async () => {
    const answer = new EventEmitter();
    const order: string[] = [];
    const server = await startScriptedServer(async () => {
      await once(answer, "now");
      order.push("answered");
      return present;
    });
    closing.push(() => server.close());
    const service = open({ address: server.address });
    const context = service.withContext({ datasetId: "65f0c1d2e3a4b5c6d7e8f901" });
    const call = service.hasKey("s", "k");
    await expect.poll(() => server.calls.length).toBe(1);
    const close = service.close().finally(() => order.push("closed"));
    await expect(service.setKey("s", "k", 1)).rejects.toMatchObject({
      reason: "CLIENT_CLOSED",
      kind: "FAILED_PRECONDITION",
      outcome: "NOT_APPLIED",
    });
    await expect(context.hasKey("s", "k")).rejects.toMatchObject({ reason: "CLIENT_CLOSED" });
    await expect(service.listKeys("s").toArray()).rejects.toMatchObject({ reason: "CLIENT_CLOSED" });
    answer.emit("now");
    expect(await call).toBe(true);
    await close;
    expect(order).toEqual(["answered", "closed"]);
    await service.close();
    await context.close();
  });

  test("comes at the end of `await using`", async () => {
    const server = await scripted(present);
    let used: ExecutionStoreService;
    {
      await using service = new ExecutionStoreService({ address: server.address });
      used = service;
      expect(await service.hasKey("s", "k")).toBe(true);
    }
    await expect(used.hasKey("s", "k")).rejects.toMatchObject({ reason: "CLIENT_CLOSED" });
  });

  test("is not needed for a process to end", async () => {
    const server = await startTestServer();
    closing.push(() => server.close());
    const script = `
      const { ExecutionStoreService } = await import(${JSON.stringify(new URL("../../src/index.ts", import.meta.url).href)});
      const service = new ExecutionStoreService({ address: ${JSON.stringify(server.address)} });
      console.log((await service.setKey("s", "k", 1)).created);`;
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
      timeout: 20_000,
    });
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += String(chunk);
    });
    expect(await once(child, "exit")).toEqual([0, null]);
    expect(output).toBe("true\n");
  }, 30_000);
});

describe("headers", () => {
  test("travel with every call, fixed or fresh", async () => {
    const server = await scripted(present);
    await open({ address: server.address, headers: { authorization: "Bearer fixed" } }).hasKey("s", "k");
    let number = 0;
    const fresh = open({
      address: server.address,
      headers: async () => {
        number++;
        return { authorization: `Bearer ${number}` };
      },
    });
    await fresh.hasKey("s", "k");
    await fresh.hasKey("s", "k");
    expect(server.calls.map(({ metadata }) => metadata.get("authorization")[0])).toEqual([
      "Bearer fixed",
      "Bearer 1",
      "Bearer 2",
    ]);
  });

  test("that cannot be sent, or made, are an error that does not tell their value", async () => {
    const server = await scripted(present);
    const headers = { "x token": "secret" };
    for (const make of [
      async () => open({ address: server.address, headers }),
      () => open({ address: server.address, headers: () => headers }).setKey("s", "k", 1),
      async () => open({ address: server.address, headers: { token: "secret\n" } }).setKey("s", "k", 1),
    ]) {
      const error: unknown = await make().catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ reason: "CLIENT_OPTION_INVALID" });
      expect(JSON.stringify(error) + String(error)).not.toContain("secret");
    }
    await expect(
      open({ address: server.address, headers: () => Promise.reject(new Error("no token")) }).setKey(
        "s",
        "k",
        1,
      ),
    ).rejects.toMatchObject({
      kind: "UNAUTHENTICATED",
      outcome: "NOT_APPLIED",
      cause: { message: "no token" },
    });
    expect(server.calls.length).toBe(0);
  });
});

describe("addresses", () => {
  test("come from the environment where none is given", async () => {
    const server = await scripted(present);
    vi.stubEnv("EXECUTION_STORE_ADDRESS", server.address);
    const service = open({});
    expect(service.address).toBe(server.address);
    expect(await service.hasKey("s", "k")).toBe(true);
    vi.stubEnv("EXECUTION_STORE_ADDRESS", "");
    expect(open({}).address).toBe("127.0.0.1:50051");
  });

  test("may be a socket file", async () => {
    const directory = await mkdtemp(join(tmpdir(), "execution-store-"));
    closing.push(() => rm(directory, { recursive: true }));
    const server = await startTestServer({ listen: `unix:${join(directory, "s.sock")}` });
    closing.push(() => server.close());
    await open({ address: server.address }).setKey("s", "k", 1);
    expect(await open({ address: `unix://${join(directory, "s.sock")}` }).hasKey("s", "k")).toBe(true);
  });

  test("of this machine are reached without the proxy of the environment", async () => {
    const server = await scripted(present);
    vi.stubEnv("grpc_proxy", "http://127.0.0.1:1");
    vi.stubEnv("no_grpc_proxy", "");
    vi.stubEnv("no_proxy", "");
    expect(await open({ address: server.address, retry: false }).hasKey("s", "k")).toBe(true);
  });
});

describe("TLS", () => {
  const certificate = Buffer.from(TEST_CERTIFICATE);
  const pair = { cert_chain: certificate, private_key: Buffer.from(TEST_PRIVATE_KEY) };

  test("trusts the given authorities, under the given name", async () => {
    const server = await scripted(present, { credentials: ServerCredentials.createSsl(null, [pair]) });
    const tls = { rootCertificates: TEST_CERTIFICATE, serverName: "store.test" };
    expect(await open({ address: server.address, tls }).hasKey("s", "k")).toBe(true);
    for (const wrong of [true, { rootCertificates: TEST_CERTIFICATE, serverName: "other.test" }]) {
      const address = server.address.replace("127.0.0.1", "localhost");
      const service = open({ address, tls: wrong, retry: false });
      await expect(service.hasKey("s", "k")).rejects.toMatchObject({
        kind: "UNAVAILABLE",
        reason: "SERVER_UNREACHABLE",
      });
    }
  });

  test("shows the client's certificate where the server asks for one", async () => {
    const credentials = ServerCredentials.createSsl(certificate, [pair], true);
    const server = await scripted(present, { credentials });
    const tls = { rootCertificates: TEST_CERTIFICATE, serverName: "store.test" };
    const known = { ...tls, certificateChain: TEST_CERTIFICATE, privateKey: TEST_PRIVATE_KEY };
    expect(await open({ address: server.address, tls: known }).hasKey("s", "k")).toBe(true);
    await expect(open({ address: server.address, tls, retry: false }).hasKey("s", "k")).rejects.toMatchObject(
      {
        kind: "UNAVAILABLE",
      },
    );
  });

  test("refuses PEM texts that cannot be used", () => {
    for (const tls of [
      { privateKey: TEST_PRIVATE_KEY },
      { rootCertificates: "no PEM", privateKey: "x", certificateChain: "x" },
    ]) {
      expect(() => new ExecutionStoreService({ tls })).toThrow(
        expect.objectContaining({ reason: "CLIENT_OPTION_INVALID" }),
      );
    }
  });
});
