import { describe, onTestFinished, test } from "vitest";
import { openMongoEngine } from "../../src/engines/mongo/engine.js";
import { openBothSides, SETUP_LIMIT_MS } from "../fiftyone/both-sides.js";
import { Choices } from "../race/random.js";
import { leavesOut } from "../support/left-out.js";
import { testDatabase } from "../support/mongodb/test-database.js";
import { COLLECTION, startOver } from "./servers.js";
import { USUAL } from "./traffic/coverage.js";
import { FiftyOneWriter } from "./traffic/fiftyone-writer.js";
import { judgeRounds, timeLimit } from "./traffic/rounds.js";

/** Starts servers over one database. */
async function startServers(uri: string, count: number): Promise<string[]> {
  const engines = await Promise.all(
    Array.from({ length: count }, () => openMongoEngine({ uri, collections: [COLLECTION] })),
  );
  const servers = await Promise.all(engines.map((engine) => startOver(engine)));
  return servers.map(({ address }) => address);
}

describe.skipIf(leavesOut("mongodb"))("over MongoDB", () => {
  test.each([
    ["one server", 1],
    ["two servers", 2],
  ])("every promise is kept by %s", timeLimit(10_000), async (_, count) => {
    await judgeRounds(async () => {
      const { uri } = await testDatabase();
      return {
        servers: await startServers(uri, count),
        allowed: { separateClockReadings: true, guessedVersions: true },
      };
    }, USUAL);
  });
});

describe.skipIf(leavesOut("mongodb") || leavesOut("fiftyone"))("beside FiftyOne", () => {
  test("every promise is kept by two servers", {
    timeout: SETUP_LIMIT_MS + timeLimit(10_000).timeout,
  }, async () => {
    await judgeRounds(
      async (seed) => {
        const sides = await openBothSides();
        onTestFinished(() => sides.close());
        const servers = [sides.address, ...(await startServers(sides.uri, 1))];
        const writer = new FiftyOneWriter(sides.fiftyOne, new Choices(seed + 500));
        return {
          servers,
          allowed: { separateClockReadings: true, guessedVersions: true, foreignWriters: true },
          beside: (recorder, running) => writer.run(recorder, running),
        };
      },
      [...USUAL, "written by FiftyOne"],
    );
  });
});
