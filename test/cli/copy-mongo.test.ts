import { existsSync } from "node:fs";
import { MongoClient } from "mongodb";
import { describe, expect, onTestFinished, test } from "vitest";
import { COLLECTION } from "../support/archives.js";
import { checkLmdb } from "../support/check-lmdb.js";
import { leavesOut } from "../support/left-out.js";
import { startReplicaSet, startStandalone } from "../support/mongodb/replica-set.js";
import { testDatabase } from "../support/mongodb/test-database.js";
import { startTcpRelay } from "../support/tcp-relay.js";
import { until } from "../support/until.js";
import { buildBeforeTests } from "./cli-process.js";
import {
  directory,
  expectRest,
  fillWith,
  interrupt,
  newTarget,
  pathOf,
  runCopy,
  SCOPE,
  said,
  write,
} from "./copy-process.js";

buildBeforeTests();

/** Documents enough to be interrupted amid them. */
const MANY = 6000;

/** The URI with a database in it. */
function withDatabase(uri: string): string {
  const url = new URL(uri);
  url.pathname = "/copied";
  return url.href;
}

/** A user who may only read one database. */
function userOf(db: string) {
  return { name: `reads-${db}`, password: "hunter2", roles: [{ role: "read", db }] };
}

/** A fresh database, and the driver's view of its collection. */
async function database() {
  const { uri, name } = await testDatabase();
  const client = await new MongoClient(uri).connect();
  onTestFinished(() => client.close());
  return { uri, collection: client.db(name).collection(COLLECTION) };
}

describe.skipIf(leavesOut("mongodb"))("a copy with a MongoDB", () => {
  test("moves everything there and back, and goes on after SIGKILL", { timeout: 120_000 }, async () => {
    const source = await directory(fillWith(MANY));
    const { uri, collection } = await database();
    const begun = async (): Promise<boolean> => (await collection.estimatedDocumentCount()) > 500;
    expect(await interrupt([source, uri], "SIGKILL", begun)).toMatchObject({ signal: "SIGKILL" });
    await expectRest(source, uri, MANY, await settledCount(() => collection.countDocuments()));
    const target = newTarget();
    expect(await runCopy(uri, target)).toMatchObject({ code: 0 });
    expect(await checkLmdb(pathOf(target))).toMatchObject({ documents: MANY });
  });

  test("lists what a directory cannot hold and what it leaves out, and leaves the source as it is", async () => {
    const { uri, collection } = await database();
    await collection.insertMany([
      { store_name: "store", key: "good", value: 1, dataset_id: null },
      { store_name: "store", key: "k".repeat(1200), value: 1, dataset_id: null },
      { store_name: "store", key: "large", value: "x".repeat(15 * 1024 * 1024), dataset_id: null },
      { store_name: "store", key: "gone", value: 1, expires_at: new Date(0) },
      { store_name: 7 },
    ]);
    const target = newTarget();
    const { code, stdout, stderr } = await runCopy(uri, target);
    expect(code).toBe(1);
    expect(stdout.split("\n")).toEqual([
      "execution_store: 1 document copied, 0 already there and equal",
      // Without an index of expires_at MongoDB's own monitor does not remove it.
      "execution_store: left out as expired: 1 document",
      "execution_store: left out as no documents of a store, since a name is no text or dataset_id no ObjectId: 1 document",
      "execution_store: left out since the target cannot hold them: 2 documents",
      "execution_store: verified: 3 documents of the source, of which the target has 1 equal, 0 different, 2 not at all",
      "",
    ]);
    expect(stderr).toMatch(
      /left out: store "store", key "k{1200}": its key is 1200 bytes long; expected 1 to 1024 bytes/,
    );
    expect(stderr).toMatch(
      /left out: store "store", key "large": its value is \d+ bytes of BSON, larger than/,
    );
    expect((await collection.indexes()).map(({ name }) => name)).toEqual(["_id_"]);
  });

  test("that has no replica set, it copies without a word on watching", { timeout: 60_000 }, async () => {
    await using standalone = await startStandalone();
    const source = await directory((engine) => engine.setKey(SCOPE, "store", "key", write(1)));
    const uri = withDatabase(standalone.uri);
    expect(await runCopy(source, uri)).toMatchObject({ code: 0, stderr: "" });
    expect(await runCopy(uri, newTarget())).toMatchObject({ code: 0, stderr: "" });
  });

  test("that goes away, it ends with 4, and goes on when it is back", { timeout: 120_000 }, async () => {
    await using set = await startReplicaSet({ members: 1 });
    const uri = withDatabase(set.uri);
    const source = await directory(fillWith(MANY));
    const client = await new MongoClient(uri).connect();
    onTestFinished(() => client.close());
    const collection = client.db().collection(COLLECTION);
    const [member] = set.members;
    const ended = interrupt([source, uri], undefined, async () => {
      if ((await collection.estimatedDocumentCount()) < 500) return false;
      await member?.kill("SIGKILL");
      return true;
    });
    const { code, stderr } = await ended;
    expect(code).toBe(4);
    expect(said(stderr)).toMatch(
      /^execution-store: the target mongodb:\/\/127\.0\.0\.1:\d+\/copied cannot be reached[^\n]*; see that it runs; what was copied stays, and the same command goes on from there\n$/,
    );
    await member?.restart();
    await set.waitForPrimary();
    await expectRest(source, uri, MANY, await collection.countDocuments());
  });

  test("that is not there, it says so in one sentence and exits with 4", { timeout: 60_000 }, async () => {
    const target = newTarget();
    const { code, stderr } = await runCopy("mongodb://user:hunter2@127.0.0.1:1/db", target);
    expect(code).toBe(4);
    expect(stderr).toMatch(
      /^execution-store: the source: MongoDB at 127\.0\.0\.1:1 could not be reached within 10 s: [^\n]*; start it, or correct SOURCE_URI\n$/,
    );
    expect(stderr).not.toContain("hunter2");
    expect(existsSync(pathOf(target))).toBe(false);
  });

  test("that is not there, Ctrl-C ends the wait, and nothing is said to have been copied", async () => {
    const mongodb = await testDatabase();
    await using relay = await startTcpRelay(Number(new URL(mongodb.uri).port));
    relay.freeze();
    const uri = `mongodb://127.0.0.1:${relay.port}/db?directConnection=true`;
    const { code, stderr } = await interrupt([uri, newTarget()], "SIGINT", () => relay.connections > 0);
    expect({ code, stderr }).toEqual({ code: 130, stderr: "execution-store: the copy was interrupted\n" });
  });

  test("that refuses its user, it names which one and what is missing", { timeout: 60_000 }, async () => {
    const [reader, other] = [userOf("copied"), userOf("other")];
    await using standalone = await startStandalone({ users: [reader, other] });
    const shown = `mongodb://***@127.0.0.1:${standalone.port}/copied`;
    const target = newTarget();
    const refused = await runCopy(withDatabase(standalone.uriFor(other)), target);
    expect(refused).toMatchObject({
      code: 1,
      stdout: "",
      stderr: `execution-store: the source: MongoDB at 127.0.0.1:${standalone.port} does not let this user read the database "copied"; give it the role read there\n`,
    });
    expect(existsSync(pathOf(target))).toBe(false);
    const readable = withDatabase(standalone.uriFor(reader));
    expect(await runCopy(readable, newTarget())).toMatchObject({ code: 0, stderr: "" });

    const source = await directory((engine) => engine.setKey(SCOPE, "store", "key", write(1)));
    const { code, stderr } = await runCopy(source, readable);
    expect(code).toBe(1);
    expect(stderr.split("\n").at(-2)).toBe(
      `execution-store: the target ${shown} does not let this user write; give it the role readWrite on the database`,
    );
    expect(stderr).not.toContain("the server's");
    expect(stderr).not.toContain("hunter2");
  });
});

/** A number once it does not change any more: what a killed writer had sent may still arrive. */
async function settledCount(ask: () => Promise<number>): Promise<number> {
  let last = -1;
  await until(async () => {
    const before = last;
    last = await ask();
    return before === last;
  }, "the count stays");
  return last;
}
