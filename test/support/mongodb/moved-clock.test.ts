import { MongoClient } from "mongodb";
import { describe, expect, onTestFinished, test } from "vitest";
import { leavesOut } from "../left-out.js";
import { moveDatabaseClock } from "./moved-clock.js";
import { testDatabase } from "./test-database.js";

const HOUR = 3_600_000;

describe.skipIf(leavesOut("mongodb"))("the moved clock of a database", () => {
  test("is ahead in filters, updates, pipelines and hello, and leaves data alone", async () => {
    const { uri } = await testDatabase();
    await using client = new MongoClient(uri);
    onTestFinished(() => moveDatabaseClock(0));
    const things = client.db().collection("things");
    const before = (await client.db().command({ hello: 1 }))["localTime"] as Date;
    await things.insertOne({ name: "real", expires_at: new Date(before.getTime() + HOUR), value: "$$NOW" });
    const expired = { expires_at: { $type: "date" }, $expr: { $lte: ["$expires_at", "$$NOW"] } };
    expect(await things.countDocuments(expired)).toBe(0);
    moveDatabaseClock(2 * HOUR);
    expect(await things.countDocuments(expired)).toBe(1);
    expect(await things.findOne(expired)).toMatchObject({ value: "$$NOW" });
    const after = (await client.db().command({ hello: 1 }))["localTime"] as Date;
    expect(after.getTime() - before.getTime()).toBeGreaterThanOrEqual(2 * HOUR);
    expect(after.getTime() - before.getTime()).toBeLessThan(3 * HOUR);
    const set = { at: "$$NOW", text: { $literal: "$$NOW" } };
    await things.updateOne({ name: "written" }, [{ $set: set }], { upsert: true });
    await things.bulkWrite([
      { updateOne: { filter: { name: "bulk" }, update: [{ $set: set }], upsert: true } },
    ]);
    for (const name of ["written", "bulk"]) {
      const written = await things.findOne({ name });
      expect(written?.["text"]).toBe("$$NOW");
      expect(written?.["at"]).toBeInstanceOf(Date);
      expect(Number(written?.["at"])).toBeGreaterThanOrEqual(after.getTime());
    }
    moveDatabaseClock(0);
    expect(await things.countDocuments(expired)).toBe(0);
  });
});
