import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { MongoClient } from "mongodb";
import { createChannel, createClient } from "nice-grpc";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import {
  HealthDefinition,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/ts/grpc/health/v1/health.js";
import { encodeJson } from "../grpc/json-value.js";
import { createWireClient } from "../grpc/wire-client.js";
import { leavesOut } from "../support/left-out.js";
import { startReplicaSet, startStandalone, type TestStandalone } from "../support/mongodb/replica-set.js";
import { testDatabase } from "../support/mongodb/test-database.js";
import { until } from "../support/until.js";
import {
  buildBeforeTests,
  builtFolder,
  firstAddress,
  runCli,
  type ServerProcess,
  startServer,
} from "./cli-process.js";

const LISTEN = ["--listen", "127.0.0.1:0"];
const CONNECTING = "listening, and connecting to the store";

buildBeforeTests();

/** A server that ends with the test. */
async function serve(uri: string, args: readonly string[] = [], ready?: string): Promise<ServerProcess> {
  const server = await startServer(["--store", uri, ...LISTEN, ...args], {}, ready);
  onTestFinished(async () => {
    server.kill("SIGKILL");
    await server.ended;
  });
  return server;
}

async function health(server: ServerProcess): Promise<ServingStatus> {
  const channel = createChannel(firstAddress(server));
  try {
    return (await createClient(HealthDefinition, channel).check({})).status;
  } finally {
    channel.close();
  }
}

async function becomes(server: ServerProcess, status: ServingStatus): Promise<void> {
  await until(async () => (await health(server)) === status, `health is ${ServingStatus[status]}`, 10_000);
}

/** How a server that cannot start ends. */
async function refused(args: readonly string[]): Promise<{ code: number | null; sentence: string }> {
  const { code, stderr } = await runCli(["serve", ...LISTEN, ...args]);
  const sentence = stderr.trimEnd().split("\n").at(-1) ?? "";
  return { code, sentence: sentence.replace(/^execution-store: /, "") };
}

describe("a server for MongoDB", () => {
  it("exits with 2 and a sentence if its URI would weaken consistency, or is malformed", async () => {
    expect(await refused(["--store", "mongodb://me:hunter2@h/x?w=1"])).toEqual({
      code: 2,
      sentence:
        "the store mongodb://***@h/x has w=1, but every write is acknowledged by a majority, lest a failover lose it; remove it from the URI",
    });
    const malformed = await refused(["--store", "mongodb://me:hunter2@h:hunter2/x"]);
    expect(malformed.code).toBe(2);
    expect(malformed.sentence).toBe(
      "the store mongodb://***@h:hunter2/x is malformed; expected mongodb://HOST:PORT/DATABASE?OPTION=VALUE, with USER:PASSWORD@ before HOST if it wants a user, and special characters percent-encoded",
    );
  });

  it("exits with 1 when it has waited long enough for a name that does not resolve", async () => {
    expect(
      await refused(["--store", "mongodb://me:hunter2@nowhere.invalid/x", "--store-wait", "1500ms"]),
    ).toEqual({
      code: 1,
      sentence:
        "MongoDB at nowhere.invalid:27017 could not be reached within 1.5 s: the name of nowhere.invalid:27017 does not resolve; check its spelling; start it, correct --store, or raise --store-wait",
    });
  });

  it("stops with 0 while it waits, and has said for what", async () => {
    const server = await serve("mongodb://me:hunter2@127.0.0.1:1/x", [], CONNECTING);
    await server.logged("waiting for MongoDB at 127.0.0.1:1: 127.0.0.1:1 refuses connections");
    expect(await health(server)).toBe(ServingStatus.NOT_SERVING);
    server.kill("SIGTERM");
    const { code, log } = await server.ended;
    expect(code).toBe(0);
    expect(log.filter(({ level }) => level === "warn")).toHaveLength(1);
    expect(JSON.stringify(log)).not.toContain("hunter2");
    expect(log.map(({ msg }) => msg)).not.toContain("serving");
  });

  it("is not loaded by a server that needs none", async () => {
    const script = `
      await import(${JSON.stringify(join(builtFolder(), "src/app.js"))});
      const { createRequire } = await import("node:module");
      const loaded = Object.keys(createRequire(import.meta.url).cache);
      console.log(loaded.filter((path) => /node_modules.(mongodb|lmdb)./.test(path)).length, loaded.length > 0);`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]);
    expect(stdout).toBe("0 true\n");
  });
});

describe.skipIf(leavesOut("mongodb"))("a server on MongoDB", { timeout: 60_000 }, () => {
  it("serves, and keeps what was written over a restart", async () => {
    const { uri, name } = await testDatabase();
    const first = await serve(uri);
    expect(await health(first)).toBe(ServingStatus.SERVING);
    expect(await first.logged("serving")).toMatchObject({ store: expect.stringMatching(`/${name}$`) });
    expect((await runCli(["set", "s", "k", "[1]", "--address", firstAddress(first)])).code).toBe(0);
    first.kill("SIGTERM");
    expect((await first.ended).code).toBe(0);
    const second = await serve(uri);
    expect((await runCli(["get", "s", "k", "--address", firstAddress(second)])).stdout).toBe("[\n  1\n]\n");
  });

  it("refuses calls until MongoDB is there, serves then, and follows it from there on", async () => {
    await using standalone = await startStandalone();
    await standalone.kill();
    const server = await serve(standalone.uri, ["--log-level", "info"], CONNECTING);
    expect(await health(server)).toBe(ServingStatus.NOT_SERVING);
    const client = createWireClient(firstAddress(server));
    onTestFinished(() => client.close());
    const early = await client.fail("setKey", { storeName: "s", key: "k", value: encodeJson(1) });
    expect(early).toMatchObject({
      code: "UNAVAILABLE",
      reason: "DATABASE_UNREACHABLE",
      retrySeconds: 1,
      metadata: { outcome: "NOT_APPLIED" },
    });
    await standalone.restart();
    await server.logged("serving");
    await becomes(server, ServingStatus.SERVING);
    await client.call("setKey", { storeName: "s", key: "k", value: encodeJson(1) });
    await standalone.kill("SIGTERM");
    await becomes(server, ServingStatus.NOT_SERVING);
    await standalone.restart();
    await becomes(server, ServingStatus.SERVING);
    expect(await client.call("hasKey", { storeName: "s", key: "k" })).toMatchObject({ exists: true });
    server.kill("SIGTERM");
    const { code, log } = await server.ended;
    expect(code).toBe(0);
    const said = log.map(({ level, msg }) => `${String(level)}: ${String(msg)}`);
    expect(said.filter((line) => line.includes("is a standalone"))).toHaveLength(1);
    expect(said.filter((line) => line.startsWith("error: MongoDB is away: "))).toHaveLength(1);
    expect(said.filter((line) => line.startsWith("info: MongoDB is back at "))).toHaveLength(1);
  });

  it("waits with the drain for nobody when MongoDB is gone, and exits with 0", async () => {
    await using standalone = await startStandalone();
    const server = await serve(standalone.uri);
    await standalone.kill();
    await becomes(server, ServingStatus.NOT_SERVING);
    const stoppedAt = performance.now();
    server.kill("SIGTERM");
    expect((await server.ended).code).toBe(0);
    expect(performance.now() - stoppedAt).toBeLessThan(10_000);
  });
});

describe.skipIf(leavesOut("mongodb"))("a server on a MongoDB with users", { timeout: 60_000 }, () => {
  const READER = { name: "reader", password: "hunter2", roles: [{ role: "read", db: "x" }] };
  let standalone: TestStandalone;
  beforeAll(async () => {
    standalone = await startStandalone({ users: [READER] });
  });
  afterAll(() => standalone.close());
  const uriOf = (password: string): string => standalone.uriFor({ ...READER, password }).replace("/?", "/x?");

  it("exits with 1 at once if its user is refused, or if it has none", async () => {
    const startedAt = performance.now();
    const { code, sentence } = await refused(["--store", uriOf("hunter3")]);
    expect(code).toBe(1);
    expect(sentence).toBe(
      `MongoDB at ${standalone.host} refuses the user or its password; check both, and authSource, in the URI`,
    );
    const nobody = await refused(["--store", `mongodb://${standalone.host}/x?directConnection=true`]);
    expect(nobody).toEqual({
      code: 1,
      sentence: `MongoDB at ${standalone.host} wants a user; name one in the URI`,
    });
    expect(performance.now() - startedAt).toBeLessThan(20_000);
  });

  it("says once that its user is refused from now on, refuses calls at once, and serves when it is let in again", async () => {
    const writer = { name: "writer", password: "hunter2", roles: [{ role: "readWrite", db: "x" }] };
    await using set = await startReplicaSet({ members: 1, users: [writer] });
    const member = await set.waitForPrimary();
    const changePassword = async (password: string): Promise<void> => {
      await using root = new MongoClient(set.uri);
      await root.db("admin").command({
        updateUser: writer.name,
        pwd: password,
        writeConcern: { w: "majority", j: true },
      });
    };
    const server = await serve(set.uriFor(writer).replace("/?", "/x?"));
    const client = createWireClient(firstAddress(server));
    onTestFinished(() => client.close());
    await client.call("setKey", { storeName: "s", key: "k", value: encodeJson(1) });
    await changePassword("another");
    await member.kill();
    await becomes(server, ServingStatus.NOT_SERVING);
    await member.restart();
    const refusal = `MongoDB is away: ${member.host} refuses the user or its password; check both, and authSource, in the URI`;
    await server.logged(refusal);
    const refusedAt = performance.now();
    // As long as a server that takes what its monitors see for a primary would have taken to change its mind.
    while (performance.now() - refusedAt < 4_000) {
      const calledAt = performance.now();
      const key = { storeName: "s", key: "k" };
      expect(await client.fail("hasKey", key)).toMatchObject({ code: "UNAVAILABLE" });
      expect(await client.fail("setKey", { ...key, value: encodeJson(2) })).toMatchObject({
        code: "UNAVAILABLE",
        metadata: { outcome: "NOT_APPLIED" },
      });
      // A call that waited for an election would take 20 s.
      expect(performance.now() - calledAt).toBeLessThan(5_000);
      expect(await health(server)).toBe(ServingStatus.NOT_SERVING);
    }
    await changePassword(writer.password);
    await becomes(server, ServingStatus.SERVING);
    expect(await client.call("hasKey", { storeName: "s", key: "k" })).toMatchObject({ exists: true });
    server.kill("SIGTERM");
    const said = (await server.ended).log.map(({ msg }) => String(msg));
    expect(said.filter((line) => line.startsWith("MongoDB is"))).toEqual([
      // What its monitor had met by then.
      expect.stringMatching(/ (refuses|closes) connections$/),
      refusal,
      `MongoDB is back at ${member.host}`,
    ]);
  });

  it("serves a reader what there is, and says what may not be done", async () => {
    const server = await serve(uriOf(READER.password));
    const client = createWireClient(firstAddress(server));
    onTestFinished(() => client.close());
    expect(await client.call("hasKey", { storeName: "s", key: "secret-key" })).toMatchObject({
      exists: false,
    });
    const error = await client.fail("setKey", { storeName: "s", key: "secret-key", value: encodeJson(1) });
    expect(error).toMatchObject({
      code: "PERMISSION_DENIED",
      reason: "DATABASE_PERMISSION_DENIED",
      metadata: { outcome: "NOT_APPLIED" },
      message: expect.stringContaining("give it the role readWrite"),
    });
    server.kill("SIGTERM");
    const { code, log } = await server.ended;
    expect(code).toBe(0);
    const text = JSON.stringify(log);
    expect(text).toContain("has no index unique_store_index");
    expect(text).not.toContain("secret-key");
    expect(text).not.toContain("hunter2");
  });
});
