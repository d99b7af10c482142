import { beforeAll, describe, expect, it } from "vitest";
import type { MongoConnection } from "../../src/engines/mongo/connection.js";
import { leavesOut } from "../support/left-out.js";
import { failure, openConnection } from "../support/mongodb/open-connection.js";
import { startStandalone, type TestStandalone } from "../support/mongodb/replica-set.js";
import { until } from "../support/until.js";

/** What calls wait at until it is opened. */
class Gate {
  open: () => void = () => undefined;
  readonly opened = new Promise<void>((resolve) => {
    this.open = resolve;
  });
}

/** Has the server fail a command so many times. */
async function failCommand(connection: MongoConnection, times: number, data: object): Promise<void> {
  await connection.client.db("admin").command({ configureFailPoint: "failCommand", mode: { times }, data });
}

function read(connection: MongoConnection): Promise<unknown> {
  return connection.run({}, "read", ({ maxTimeMS }) =>
    connection.db.collection("c").find({}, { maxTimeMS }).toArray(),
  );
}

function write(connection: MongoConnection): Promise<unknown> {
  return connection.run({}, "write", ({ maxTimeMS }) =>
    connection.db.collection("c").updateOne({ a: 1 }, { $set: { b: 1 } }, { upsert: true, maxTimeMS }),
  );
}

describe.skipIf(leavesOut("mongodb"))("a call", () => {
  let standalone: TestStandalone;
  beforeAll(async () => {
    standalone = await startStandalone({ args: ["--setParameter", "enableTestCommands=1"] });
    return () => standalone.close();
  });

  it("leaves the queue when its signal aborts, and is answered at once when it runs", async () => {
    const { connection } = await openConnection(`${standalone.uri}&maxPoolSize=2`);
    let running = 0;
    let most = 0;
    const release = new Gate();
    const call = (signal?: AbortSignal): Promise<void> =>
      connection.run(signal === undefined ? {} : { signal }, "write", async () => {
        running += 1;
        most = Math.max(most, running);
        await release.opened;
        running -= 1;
      });
    const aborted = new AbortController();
    const runs = [call(aborted.signal), call()];
    const queued = [call(aborted.signal), call()];
    await until(() => running === 2, "two calls run");
    const reasons = Promise.allSettled([runs[0], queued[0]]);
    aborted.abort(new Error("gone"));
    for (const outcome of await reasons) expect(outcome).toMatchObject({ reason: { message: "gone" } });
    // The driver's part of the first goes on, and keeps its place.
    expect(running).toBe(2);
    release.open();
    await Promise.all([runs[1], queued[1]]);
    expect(most).toBe(2);
    const late = await Promise.allSettled([call(AbortSignal.abort(new Error("late")))]);
    expect(late).toMatchObject([{ reason: { message: "late" } }]);
  });

  it("is turned away when thousands wait", async () => {
    const { connection } = await openConnection(`${standalone.uri}&maxPoolSize=1`);
    const release = new Gate();
    const waiting = Array.from({ length: 4097 }, () => connection.run({}, "write", () => release.opened));
    expect(await failure(connection.run({}, "write", async () => 1))).toMatchObject({
      reason: "DATABASE_BUSY",
      outcome: "NOT_APPLIED",
    });
    release.open();
    expect(await Promise.all(waiting)).toHaveLength(4097);
  });

  it.each([91, 10107, 43, 175])(
    "is made again if it reads and the server fails with %i",
    async (errorCode) => {
      const { connection } = await openConnection(standalone.uri);
      await failCommand(connection, 3, { failCommands: ["find"], errorCode });
      expect(await read(connection)).toEqual(expect.any(Array));
    },
  );

  it("is made again if it reads and the connection breaks", async () => {
    const { connection } = await openConnection(standalone.uri);
    await failCommand(connection, 2, { failCommands: ["find"], closeConnection: true });
    expect(await read(connection)).toEqual(expect.any(Array));
  });

  it.each([
    ["DATABASE_UNREACHABLE", "UNKNOWN", { errorCode: 10107 }],
    ["DATABASE_UNREACHABLE", "UNKNOWN", { errorCode: 11602 }],
    ["DATABASE_UNREACHABLE", "UNKNOWN", { errorCode: 50 }],
    ["DATABASE_UNREACHABLE", "UNKNOWN", { closeConnection: true }],
    ["DATABASE_UNREACHABLE", "UNKNOWN", { writeConcernError: { code: 64, errmsg: "waiting timed out" } }],
    ["DATABASE_UNREACHABLE", "UNKNOWN", { writeConcernError: { code: 100, errmsg: "not enough nodes" } }],
    ["DATABASE_UNREACHABLE", "NOT_APPLIED", { errorCode: 371 }],
    ["DATABASE_PERMISSION_DENIED", "NOT_APPLIED", { errorCode: 13 }],
    ["DATABASE_CONFLICT", "NOT_APPLIED", { errorCode: 112 }],
    ["VALUE_TOO_LARGE", "NOT_APPLIED", { errorCode: 10334 }],
    ["STORAGE_FULL", "UNKNOWN", { errorCode: 14031 }],
    ["INTERNAL", "UNKNOWN", { errorCode: 2 }],
  ])("that writes fails with %s and %s on %j", async (reason, outcome, data) => {
    const { connection } = await openConnection(standalone.uri);
    await failCommand(connection, 1, { failCommands: ["update"], ...data });
    expect(await failure(write(connection))).toMatchObject({ reason, outcome });
    expect(await write(connection)).toMatchObject({ acknowledged: true });
  });

  it("that scans is stopped in the server when its signal aborts", async () => {
    const { connection } = await openConnection(standalone.uri);
    await connection.run({}, "write", () => connection.db.collection("scanned").insertOne({}));
    const controller = new AbortController();
    const scan = connection.run({ signal: controller.signal }, "read", ({ maxTimeMS, signal }) =>
      connection.db
        .collection("scanned")
        .find({ $where: "sleep(20000) || true" }, { maxTimeMS, ...(signal !== undefined && { signal }) })
        .toArray(),
    );
    scan.catch(() => undefined);
    const running = async (): Promise<number> => {
      const match = { $match: { "command.find": "scanned" } };
      return (
        await connection.client
          .db("admin")
          .aggregate([{ $currentOp: {} }, match])
          .toArray()
      ).length;
    };
    await until(async () => (await running()) === 1, "it runs in the server");
    controller.abort(new Error("gone"));
    await expect(scan).rejects.toThrow("gone");
    await until(async () => (await running()) === 0, "it has ended in the server", 8_000);
  });

  it("that nobody foresaw keeps the server's text, which repeats keys, out of the log", async () => {
    const { connection } = await openConnection(standalone.uri);
    const insert = (): Promise<unknown> =>
      connection.run({}, "write", () =>
        connection.db.collection<{ _id: string }>("c").insertOne({ _id: "secret-key" }),
      );
    await insert();
    const error = await failure(insert());
    expect(error).toMatchObject({ reason: "INTERNAL", outcome: "NOT_APPLIED" });
    const cause = error.cause as Error;
    expect(cause).toMatchObject({ message: "MongoDB answered with error 11000", code: 11000 });
    expect(cause.stack).toMatch(/\n {4}at /);
    expect(`${error.stack}${cause.stack}${JSON.stringify(cause)}`).not.toContain("secret-key");
  });
});
