import { describe } from "vitest";
import { openMongoEngine } from "../../src/engines/mongo/engine.js";
import { leavesOut } from "../support/left-out.js";
import { testDatabase } from "../support/mongodb/test-database.js";
import { describeEngine } from "./conformance.js";
import { openDatabaseClock } from "./database-clock.js";
import type { EngineUnderTest, TestClock } from "./world.js";

async function openAt(
  uri: string,
  collections: readonly string[],
  clock: TestClock,
): Promise<EngineUnderTest> {
  const engine = await openMongoEngine({ uri, collections });
  return {
    engine,
    clock,
    reopen: async () => {
      await engine.close();
      return openAt(uri, collections, clock);
    },
    close: () => engine.close(),
  };
}

describe.skipIf(leavesOut("mongodb"))("in process", () => {
  describeEngine(
    "MongoDB",
    async ({ collections }) => {
      const { uri } = await testDatabase();
      return openAt(uri, collections, await openDatabaseClock(uri));
    },
    { clock: "the time is the database's, which passes by itself and cannot be turned back" },
  );
});
