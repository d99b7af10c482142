import { beforeAll, describe, expect, it } from "vitest";
import { createMongoConnection } from "../../src/engines/mongo/connection.js";
import type { StoreError } from "../../src/store/errors.js";
import { leavesOut } from "../support/left-out.js";
import { startOlderServer } from "../support/mongodb/older-server.js";
import { createConnection, failure, openConnection } from "../support/mongodb/open-connection.js";
import { startReplicaSet, startStandalone, type TestStandalone } from "../support/mongodb/replica-set.js";
import { testDatabase } from "../support/mongodb/test-database.js";
import { until } from "../support/until.js";

describe("the URI of a MongoDB", () => {
  it.each([
    ["readPreference=secondary", /^has readPreference=secondary, but .* may be stale; remove it/],
    ["readPreference=primaryPreferred", /^has readPreference=primaryPreferred, but/],
    ["readPreference=nearest", /^has readPreference=nearest, but/],
    ["readConcernLevel=local", /^has readConcernLevel=local, but reads are made with majority/],
    ["readConcernLevel=available", /^has readConcernLevel=available, but/],
    ["w=1", /^has w=1, but every write is acknowledged by a majority/],
    ["w=0", /^has w=0, but/],
    ["w=3", /^has w=3, but/],
    ["journal=false", /^has journal=false, but every write is on disk/],
    ["w=majority&journal=false", /^has journal=false, but/],
    ["retryWrites=false", /^has retryWrites=false, but .* unknown at every failover; remove it/],
    ["RETRYWRITES=false", /^has retryWrites=false, but/],
  ])("is refused with %s, which would weaken consistency", (setting, message) => {
    const uri = `mongodb://me:hunter2@h/x?${setting}`;
    expect(() => createMongoConnection({ uri })).toThrow(message);
    expect(() => createMongoConnection({ uri })).toThrow(
      expect.objectContaining({ reason: "DATABASE_URI_INVALID" }),
    );
  });

  it.each([
    ["mongodb://me:hunter2@h/?colour=red", /^is malformed: option colour is not supported; expected /],
    ["mongodb://me:hunter2@h/?tls=perhaps", /^is malformed: /],
    ["mongodb://me:hunter2%zz@h/", /^is malformed/],
    ["mongodb://me:hunter2@h:hunter2/", /^is malformed; expected mongodb:\/\/HOST/],
    ["mongodb://me:hunter2@h/?maxPoolSize=hunter2", /^is malformed; expected/],
  ])("is refused as malformed without its password: %s", (uri, message) => {
    expect(() => createMongoConnection({ uri })).toThrow(message);
    expect(() => createMongoConnection({ uri })).not.toThrow("hunter2");
  });

  it.each([
    [
      "loadBalanced=true",
      /^has loadBalanced=true, but a load balancer hides .*; remove it, and name the servers/,
    ],
    [
      "minPoolSize=200",
      /^has minPoolSize=200, but at most 64 connections are made; lower it, or raise maxPoolSize$/,
    ],
    ["minPoolSize=9&maxPoolSize=8", /^has minPoolSize=9, but at most 8 connections are made/],
  ])("is refused with %s, with which there would be no connection", (setting, message) => {
    const uri = `mongodb://me:hunter2@h/x?${setting}`;
    expect(() => createMongoConnection({ uri })).toThrow(message);
    expect(() => createMongoConnection({ uri })).toThrow(
      expect.objectContaining({ reason: "DATABASE_URI_INVALID" }),
    );
  });

  it("may have settings that do no harm, which win", async () => {
    const { connection } = createConnection(
      "mongodb://h/?maxPoolSize=7&heartbeatFrequencyMS=5000&appName=me&w=majority&journal=true&readPreference=primary&readConcernLevel=majority",
    );
    expect(connection.client.options).toMatchObject({
      maxPoolSize: 7,
      heartbeatFrequencyMS: 5000,
      appName: "me",
      connectTimeoutMS: 3000,
    });
  });
});

describe.skipIf(leavesOut("mongodb"))("a connection to MongoDB", () => {
  it("refuses calls before it is made, and after it is closed", async () => {
    const { uri } = await testDatabase();
    const { connection } = createConnection(uri);
    const call = (): Promise<unknown> => connection.run(undefined, "write", async () => 1);
    expect(await failure(call())).toMatchObject({
      reason: "DATABASE_UNREACHABLE",
      outcome: "NOT_APPLIED",
      retryAfterMs: 1000,
    });
    expect(() => connection.db).toThrow(expect.objectContaining({ reason: "DATABASE_UNREACHABLE" }));
    await connection.connect();
    expect(await call()).toBe(1);
    await connection.close();
    expect(await failure(call())).toMatchObject({ reason: "SHUTTING_DOWN", outcome: "NOT_APPLIED" });
  });

  it("reads and writes with a majority, in the database that the URI names", async () => {
    const { uri, name } = await testDatabase();
    const { connection, events } = await openConnection(uri);
    expect(connection.replicated).toBe(true);
    expect(connection.db.databaseName).toBe(name);
    expect(connection.db.readConcern).toMatchObject({ level: "majority" });
    expect(connection.db.writeConcern).toMatchObject({ w: "majority", journal: true });
    expect(events).toEqual([{ serving: true, message: expect.stringMatching(/^connected to MongoDB at /) }]);
  });

  it("prepares before it lets calls through", async () => {
    const { uri } = await testDatabase();
    const { connection } = createConnection(uri);
    let during: Promise<StoreError> | undefined;
    await connection.connect({
      prepare: async () => {
        during = failure(connection.run(undefined, "read", async () => 1));
        await during;
      },
    });
    expect(await during).toMatchObject({ reason: "DATABASE_UNREACHABLE" });
    expect(await connection.run(undefined, "read", async () => 1)).toBe(1);
  });

  it("ends in time while it prepares, too, and says what it waits for", async () => {
    await using standalone = await startStandalone();
    const { connection, events } = createConnection(standalone.uri);
    let preparing = false;
    const connecting = failure(
      connection.connect({
        timeoutMs: 3_000,
        prepare: async () => {
          preparing = true;
          await new Promise(() => undefined);
        },
      }),
    );
    await until(() => preparing, "it prepares");
    await standalone.kill();
    const reason = `${standalone.host} refuses connections`;
    await until(
      () => events.some(({ message }) => message === `waiting for MongoDB at ${standalone.host}: ${reason}`),
      "it says that it waits",
      2_500,
    );
    expect(await connecting).toMatchObject({
      reason: "DATABASE_UNREACHABLE",
      message: `MongoDB at ${standalone.host} was not ready within 3 s: ${reason}`,
    });
  });

  it("takes execution_store for a database that the URI does not name, with one warning on a standalone", async () => {
    await using standalone = await startStandalone();
    const { connection, events } = await openConnection(standalone.uri);
    expect(connection.db.databaseName).toBe("execution_store");
    expect(connection.replicated).toBe(false);
    expect(connection.db.readConcern).toMatchObject({ level: "local" });
    expect(events).toEqual([
      { level: "warn", message: expect.stringMatching(/is a standalone: .* convert it to a replica set/) },
      { serving: true, message: expect.any(String) },
    ]);
  });

  it.each([
    [16, "version 5.3"],
    [13, "version 5.0"],
    [9, "version 4.4"],
    [7, "older"],
  ])("refuses a server with wire version %i at once", async (wireVersion, found) => {
    await using standalone = await startStandalone();
    await using older = await startOlderServer(standalone.port, wireVersion);
    const { connection } = createConnection(`mongodb://127.0.0.1:${older.port}/?directConnection=true`);
    const error = await failure(connection.connect({ timeoutMs: 20_000 }));
    expect(error).toMatchObject({
      reason: "DATABASE_UNUSABLE",
      message: `MongoDB at 127.0.0.1:${older.port} is ${found}; expected 6.0 or newer, so upgrade it or name another`,
    });
  });

  it.each([
    [
      "tls=true&tlsCAFile=/nonexist",
      "the file of tlsCAFile=/nonexist in the URI cannot be read (ENOENT); correct",
    ],
    [
      "tls=true&tlsCertificateKeyFile=/",
      "the file of tlsCertificateKeyFile=/ in the URI cannot be read (EISDIR);",
    ],
    [
      "authMechanism=MONGODB-AWS",
      "asks for @aws-sdk/credential-providers, which is not installed; install it, or",
    ],
    ["authMechanism=GSSAPI", "asks for kerberos, which is not installed; install it, or"],
    ["compressors=snappy", "asks for snappy, which is not installed; install it, or"],
    ["authMechanism=PLAIN", "does not allow authMechanism=PLAIN; name another in the URI"],
    [
      "authMechanism=MONGODB-X509",
      "refuses the user or its password; check both, and authSource, in the URI",
    ],
  ])("does not wait for what %s asks for in vain, and never calls that silence", async (setting, words) => {
    await using standalone = await startStandalone();
    const user = /PLAIN|GSSAPI/.test(setting) ? "me:hunter2@" : "";
    const { connection, events } = createConnection(
      `mongodb://${user}${standalone.host}/?directConnection=true&${setting}`,
    );
    const error = await failure(connection.connect({ timeoutMs: 20_000 }));
    expect(error).toMatchObject({ reason: "DATABASE_UNUSABLE", message: expect.stringContaining(words) });
    expect(error.message).not.toContain("hunter2");
    expect(events.filter((event) => "level" in event && event.message.startsWith("waiting"))).toEqual([]);
  });

  it("waits for a name that does not resolve, says so once, and gives up in time", async () => {
    const { connection, events } = createConnection("mongodb://me:hunter2@nowhere.invalid/");
    const error = await failure(connection.connect({ timeoutMs: 2500 }));
    const reason = "the name of nowhere.invalid:27017 does not resolve; check its spelling";
    expect(error.message).toBe(
      `MongoDB at nowhere.invalid:27017 could not be reached within 2.5 s: ${reason}`,
    );
    expect(error.reason).toBe("DATABASE_UNREACHABLE");
    expect(events).toEqual([
      { level: "warn", message: `waiting for MongoDB at nowhere.invalid:27017: ${reason}` },
    ]);
  });

  it("waits for an SRV name that does not resolve", async () => {
    const { connection, events } = createConnection("mongodb+srv://me:hunter2@nowhere.invalid/");
    const error = await failure(connection.connect({ timeoutMs: 1500 }));
    expect(error.message).toMatch(/within 1\.5 s: the name of nowhere\.invalid does not resolve/);
    expect(events).toHaveLength(1);
  });

  it("says that a replica set is of another name", async () => {
    await using set = await startReplicaSet({ members: 1 });
    const { connection } = createConnection(set.uri.replace("replicaSet=rs0", "replicaSet=other"));
    const error = await failure(connection.connect({ timeoutMs: 1500 }));
    expect(error.message).toMatch(
      /no member of a replica set "other" was found; check replicaSet in the URI$/,
    );
  });

  it("says that a replica set is not initiated", async () => {
    await using standalone = await startStandalone({ args: ["--replSet", "rs0"] });
    const { connection } = createConnection(standalone.uri);
    const error = await failure(connection.connect({ timeoutMs: 1500 }));
    expect(error.message).toMatch(/the replica set is not initiated; run rs\.initiate\(\) on it$/);
  });

  it("connects to a server that comes later, and says what it waited for", async () => {
    await using standalone = await startStandalone();
    await standalone.kill();
    const { connection, events } = createConnection(standalone.uri);
    const connecting = connection.connect();
    await until(() => events.length > 0, "it says that it waits");
    expect(events).toEqual([
      {
        level: "warn",
        message: `waiting for MongoDB at ${standalone.host}: ${standalone.host} refuses connections`,
      },
    ]);
    await standalone.restart();
    await connecting;
    expect(events.at(-1)).toMatchObject({ serving: true });
  });

  it("ends the wait when it is told to, and when it is closed", async () => {
    for (const end of ["abort", "close"] as const) {
      const { connection, events } = createConnection("mongodb://127.0.0.1:1/");
      const controller = new AbortController();
      const connecting = connection.connect({ signal: controller.signal });
      connecting.catch(() => undefined);
      await until(() => events.length > 0, "it says that it waits");
      if (end === "abort") {
        controller.abort(new Error("enough"));
        await expect(connecting).rejects.toThrow("enough");
      } else {
        await connection.close();
        expect(await failure(connecting)).toMatchObject({ reason: "SHUTTING_DOWN" });
      }
    }
  });
});

describe.skipIf(leavesOut("mongodb"))("a MongoDB with users", () => {
  const READER = { name: "reader", password: "hunter2", roles: [{ role: "read", db: "x" }] };
  let standalone: TestStandalone;
  const uriFor = (user: { name: string; password: string }): string =>
    standalone.uriFor(user).replace("/?", "/x?");

  beforeAll(async () => {
    standalone = await startStandalone({ users: [READER] });
    return () => standalone.close();
  });

  it("refuses a wrong password at once", async () => {
    const { connection, events } = createConnection(uriFor({ ...READER, password: "hunter3" }));
    const error = await failure(connection.connect({ timeoutMs: 20_000 }));
    expect(error).toMatchObject({
      reason: "DATABASE_UNUSABLE",
      message: `MongoDB at ${standalone.host} refuses the user or its password; check both, and authSource, in the URI`,
    });
    expect(events).toEqual([]);
  });

  it("refuses at once what Atlas says of a wrong password", async () => {
    await using server = await startStandalone({
      users: [READER],
      args: ["--setParameter", "enableTestCommands=1"],
    });
    const root = await openConnection(server.uri);
    // Atlas has one code for all that its front end refuses: 8000.
    await root.connection.client.db("admin").command({
      configureFailPoint: "failCommand",
      mode: "alwaysOn",
      data: { failCommands: ["saslContinue"], errorCode: 8000, appName: "refused" },
    });
    const { connection } = createConnection(`${server.uriFor(READER)}&appName=refused`);
    expect(await failure(connection.connect({ timeoutMs: 5_000 }))).toMatchObject({
      reason: "DATABASE_UNUSABLE",
      message: expect.stringMatching(/refuses the user or its password/),
    });
  });

  it("tells a reader who writes which role is missing, and keeps keys out of the log", async () => {
    const { connection, events } = await openConnection(uriFor(READER));
    const write = (): Promise<StoreError> =>
      failure(
        connection.run(undefined, "write", ({ maxTimeMS }) =>
          connection.db
            .collection("c")
            .updateOne({ key: "secret-key" }, { $set: { value: 1 } }, { maxTimeMS }),
        ),
      );
    const error = await write();
    expect(error).toMatchObject({
      kind: "PERMISSION_DENIED",
      reason: "DATABASE_PERMISSION_DENIED",
      outcome: "NOT_APPLIED",
      message: expect.stringMatching(/may not write .* give it the role readWrite/),
    });
    await write();
    const told = events.filter((event) => "level" in event && event.message.startsWith("calls fail"));
    expect(told).toHaveLength(1);
    const { cause } = told[0] as { cause: Error };
    expect(cause.message).toBe("MongoDB answered with error 13 (Unauthorized)");
    expect(`${cause.stack}${JSON.stringify(cause)}`).not.toContain("secret-key");
  });
});
