import { MongoClient } from "mongodb";
import { beforeAll, describe, expect, it } from "vitest";
import { leavesOut } from "../support/left-out.js";
import { startReplicaSet, type TestReplicaSet } from "../support/mongodb/replica-set.js";
import { eventsAfter, follow, keyDocument, now, openWatched, told } from "./watched-collection.js";

const PASSWORD = "hunter2";
const WRITER = { name: "writer", password: PASSWORD, roles: [{ role: "readWrite", db: "x" }] };
const ADMIN = {
  name: "admin",
  password: PASSWORD,
  roles: [
    { role: "readWrite", db: "x" },
    { role: "dbAdmin", db: "x" },
  ],
};
/** One whom nobody lets watch. */
const BLIND = { name: "blind", password: PASSWORD, roles: [] };
const BLIND_ACTIONS = ["find", "insert", "update", "remove", "createIndex", "listIndexes", "listCollections"];

describe.skipIf(leavesOut("mongodb"))("with rights", { timeout: 60_000 }, () => {
  let set: TestReplicaSet;
  beforeAll(async () => {
    set = await startReplicaSet({ members: 1, users: [WRITER, ADMIN, BLIND] });
    await using root = await MongoClient.connect(set.uri);
    const admin = root.db("admin");
    const privileges = [{ resource: { db: "x", collection: "" }, actions: BLIND_ACTIONS }];
    await admin.command({ createRole: "blind", privileges, roles: [] });
    await admin.command({ grantRolesToUser: BLIND.name, roles: ["blind"] });
    return () => set.close();
  }, 60_000);

  const uriFor = (user: { name: string; password: string }): string => set.uriFor(user).replace("/?", "/x?");

  it("to write only, watches do without images, and the log says how to have them", async () => {
    const watched = await openWatched({ uri: uriFor(WRITER) });
    const { documents, source, events } = watched;
    await documents.insertOne(keyDocument("old", { value: "old" }));
    await expect(now(watched)).rejects.toMatchObject({
      kind: "FAILED_PRECONDITION",
      reason: "PREVIOUS_UNAVAILABLE",
    });
    const start = await now(watched, false);
    await documents.updateOne({ key: "old" }, { $set: { value: "new" } });
    await documents.deleteOne({ key: "old" });
    expect(told(await eventsAfter(watched, start, false)).at(-1)).toBe("jobs/old: deleted");
    expect(await follow(source, start).ended).toMatchObject({ reason: "PREVIOUS_UNAVAILABLE" });
    const warned = events.filter((event) => "level" in event && event.level === "warn");
    expect(warned).toEqual([
      {
        level: "warn",
        message: expect.stringMatching(
          /no pre- and post-images of collection keys.* the right collMod.*changeStreamPreAndPostImages/,
        ),
      },
    ]);
  });

  it("to administer, watches switch the images on; and others then have them, too", async () => {
    const watched = await openWatched({ uri: uriFor(ADMIN) });
    const start = await now(watched);
    const { documents, events } = watched;
    expect(events).toContainEqual({
      level: "info",
      message: expect.stringMatching(/collection keys is watched/),
    });
    await documents.insertOne(keyDocument("a"));
    await documents.deleteOne({ key: "a" });
    const writer = await openWatched({ uri: uriFor(WRITER) });
    expect(await now(writer)).toMatchObject({ history: start.history });
    const seen = await eventsAfter(writer, start);
    expect(seen.map(({ previous }) => previous?.key)).toEqual([undefined, "a"]);
    expect(writer.events).toEqual([]);
  });

  it("that do not reach, watches say what is missing", async () => {
    const { source } = await openWatched({ uri: uriFor(BLIND) });
    const refused = { kind: "PERMISSION_DENIED", message: expect.stringMatching(/changeStream/) as string };
    const start = await source.now({ previous: false });
    expect(await follow(source, start, false).ended).toMatchObject(refused);
  });
});
