import { MongoClient } from "mongodb";
import { expect, test } from "vitest";
import { leavesOut } from "../left-out.js";
import { testDatabase } from "./test-database.js";

test.skipIf(leavesOut("mongodb"))("a database of one's own on a replica set", async () => {
  const one = await testDatabase();
  const other = await testDatabase();
  expect(one.name).not.toBe(other.name);
  await using client = new MongoClient(one.uri);
  await client
    .db()
    .collection("things")
    .insertOne({ a: 1 }, { writeConcern: { w: "majority" } });
  expect(client.db().databaseName).toBe(one.name);
  expect(await client.db(other.name).collection("things").countDocuments()).toBe(0);
});
