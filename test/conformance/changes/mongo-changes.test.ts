import { describe } from "vitest";
import { openMongoEngine } from "../../../src/engines/mongo/engine.js";
import { leavesOut } from "../../support/left-out.js";
import { testDatabase } from "../../support/mongodb/test-database.js";
import { describeChangeSource } from "./change-source.js";
import type { WatchableUnderTest } from "./change-world.js";

async function openAt(uri: string, collections: readonly string[]): Promise<WatchableUnderTest> {
  const engine = await openMongoEngine({ uri, collections });
  return {
    engine,
    // Its first eight digits are seconds.
    ahead: ({ history, position }) => ({
      history,
      position:
        (BigInt(`0x${position.slice(0, 8)}`) + 1_000_000n).toString(16).toUpperCase() + position.slice(8),
    }),
    reopen: async () => {
      await engine.close();
      return openAt(uri, collections);
    },
    close: () => engine.close(),
  };
}

describe.skipIf(leavesOut("mongodb"))("in process", () => {
  describeChangeSource("MongoDB", async (collections) => openAt((await testDatabase()).uri, collections));
});
