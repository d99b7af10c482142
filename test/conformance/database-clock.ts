import { MongoClient } from "mongodb";
import { onTestFinished } from "vitest";
import { moveDatabaseClock } from "../support/mongodb/moved-clock.js";
import type { TestClock } from "./world.js";

/** Two changes of one key within a millisecond are dated a millisecond apart, ahead of the clock. */
const SLACK_MS = 5;

/** The database's own clock, which passes by itself and is moved for the running test; only forwards. */
export async function openDatabaseClock(uri: string): Promise<TestClock> {
  let ahead = 0;
  onTestFinished(() => moveDatabaseClock(0));
  const asked = performance.now();
  const start = await timeOf(uri);
  return {
    advance: (ms) => {
      if (ms < 0) throw new Error('a database\'s clock does not go back; the test needs "clock"');
      ahead += ms;
      moveDatabaseClock(ahead);
    },
    at: (ms) => {
      const from = start + ms;
      const matcher = {
        asymmetricMatch: (time: unknown): boolean => {
          const passed = performance.now() - asked + SLACK_MS;
          return typeof time === "number" && time >= from && time <= from + passed;
        },
        toString: () => `TimeAt<${ms} ms>`,
        getExpectedType: () => "number",
        toAsymmetricMatcher: () => `TimeAt<${ms} ms: from ${from} on, for as long as the test runs>`,
      };
      return matcher as unknown as number;
    },
  };
}

async function timeOf(uri: string): Promise<number> {
  await using client = new MongoClient(uri);
  return ((await client.db("admin").command({ hello: 1 }))["localTime"] as Date).getTime();
}
