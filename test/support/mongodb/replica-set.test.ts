import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { MongoClient, MongoServerError } from "mongodb";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { leavesOut } from "../left-out.js";
import { startTcpRelay } from "../tcp-relay.js";
import { tempDir } from "../temp-dir.js";
import { startReplicaSet, startStandalone } from "./replica-set.js";

const LIMIT = { timeout: 90_000 };
const USER = { name: "reader", password: "p@ss/word", roles: [{ role: "read", db: "things" }] };

async function write(uri: string, value: number): Promise<void> {
  await using client = new MongoClient(uri, { serverSelectionTimeoutMS: 20_000 });
  const options = { upsert: true, writeConcern: { w: "majority" } } as const;
  await client.db("things").collection("things").updateOne({ a: 1 }, { $set: { value } }, options);
}

async function read(uri: string): Promise<unknown> {
  await using client = new MongoClient(uri, { serverSelectionTimeoutMS: 20_000 });
  return (await client.db("things").collection("things").findOne({ a: 1 }))?.["value"];
}

describe.skipIf(leavesOut("mongodb"))("deployments for fault tests", () => {
  test("a set of three survives a step-down, a kill and a freeze of its primary", LIMIT, async () => {
    await using set = await startReplicaSet();
    await write(set.uri, 1);
    const first = await set.stepDown();
    const second = await set.waitForPrimary(first);
    await write(set.uri, 2);
    await second.kill();
    const third = await set.waitForPrimary(second);
    await write(set.uri, 3);
    await second.restart();
    await set.waitForMembers();
    await third.freeze();
    await set.waitForPrimary(third);
    await write(set.uri, 4);
    await third.thaw();
    await set.waitForMembers();
    expect(await read(set.uri)).toBe(4);
  });

  test("a standalone keeps its data when it is started again", LIMIT, async () => {
    await using standalone = await startStandalone();
    await write(standalone.uri, 7);
    await standalone.kill("SIGTERM");
    await standalone.restart();
    expect(await read(standalone.uri)).toBe(7);
  });

  for (const [kind, start] of [
    ["standalone", startStandalone],
    ["replica set", (options: object) => startReplicaSet({ ...options, members: 1 })],
  ] as const) {
    test(`a ${kind} with users lets each do what its roles say`, LIMIT, async () => {
      await using deployment = await start({ users: [USER] });
      await write(deployment.uri, 5);
      expect(await read(deployment.uriFor(USER))).toBe(5);
      await expect(write(deployment.uriFor(USER), 6)).rejects.toThrow(MongoServerError);
      await expect(read(deployment.uriFor({ ...USER, password: "wrong" }))).rejects.toThrow(/Authentication/);
    });
  }

  test("a relay holds back replies, and cuts connections", LIMIT, async () => {
    await using standalone = await startStandalone();
    await using relay = await startTcpRelay(standalone.port);
    const uri = `mongodb://127.0.0.1:${relay.port}/?directConnection=true`;
    await using client = new MongoClient(uri, {
      socketTimeoutMS: 500,
      retryWrites: false,
      retryReads: false,
    });
    const things = client.db("things").collection("things");
    await things.insertOne({ a: 1, value: 1 });
    relay.freeze("replies");
    await expect(things.updateOne({ a: 1 }, { $set: { value: 2 } })).rejects.toThrow();
    expect(await read(standalone.uri)).toBe(2);
    await relay.mend();
    expect((await things.findOne())?.["value"]).toBe(2);
    await relay.cut();
    expect(relay.connections).toBe(0);
    await expect(things.findOne()).rejects.toThrow();
    await relay.mend();
    expect((await things.findOne())?.["value"]).toBe(2);
  });

  test("nothing is left on the disk after close", LIMIT, async () => {
    vi.stubEnv("TMPDIR", tempDir());
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    const standalone = await startStandalone();
    expect(readdirSync(tmpdir())).toEqual([expect.stringContaining("execution-store-mongod-")]);
    await standalone.close();
    await standalone.close();
    expect(readdirSync(tmpdir())).toEqual([]);
  });
});
