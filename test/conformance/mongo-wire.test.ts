import { describe } from "vitest";
import { openMongoEngine } from "../../src/engines/mongo/engine.js";
import { leavesOut } from "../support/left-out.js";
import { testDatabase } from "../support/mongodb/test-database.js";
import { createRemoteEngine } from "../support/remote-engine.js";
import { startTestServer } from "../support/test-server.js";
import { describeEngine } from "./conformance.js";
import { openDatabaseClock } from "./database-clock.js";
import type { EngineUnderTest, TestClock } from "./world.js";

async function serveFrom(
  uri: string,
  collections: readonly string[],
  clock: TestClock,
): Promise<EngineUnderTest> {
  const server = await startTestServer({ engine: await openMongoEngine({ uri, collections }), collections });
  const engine = createRemoteEngine({ address: server.address });
  const close = async (): Promise<void> => {
    await engine.close();
    await server.close();
  };
  return {
    engine,
    clock,
    reopen: async () => {
      await close();
      return serveFrom(uri, collections, clock);
    },
    close,
  };
}

describe.skipIf(leavesOut("mongodb"))("through the wire", () => {
  describeEngine(
    "MongoDB behind a server",
    async ({ collections }) => {
      const { uri } = await testDatabase();
      return serveFrom(uri, collections, await openDatabaseClock(uri));
    },
    {
      clock: "the time is the database's, which passes by itself and cannot be turned back",
      cuts: "the server cuts pages at a size of its own, and the client puts batches together again",
      cursors: "page tokens are the server's and good for nothing else",
    },
  );
});
