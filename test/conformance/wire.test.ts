import { openLmdbEngine } from "../../src/engines/lmdb/engine.js";
import { createRemoteEngine } from "../support/remote-engine.js";
import { tempDir } from "../support/temp-dir.js";
import { startTestServer } from "../support/test-server.js";
import { describeEngine } from "./conformance.js";
import type { EngineTestOptions, EngineUnderTest } from "./world.js";

async function serveFrom(path: string, options: EngineTestOptions): Promise<EngineUnderTest> {
  const { collections } = options;
  const server = await startTestServer({ engine: await openLmdbEngine({ path, ...options }), collections });
  const engine = createRemoteEngine({ address: server.address });
  const close = async (): Promise<void> => {
    await engine.close();
    await server.close();
  };
  return {
    engine,
    reopen: async () => {
      await close();
      return serveFrom(path, options);
    },
    close,
  };
}

describeEngine("LMDB behind a server", (options) => serveFrom(tempDir(), options), {
  cuts: "the server cuts pages at a size of its own, and the client puts batches together again",
  cursors: "page tokens are the server's and good for nothing else",
});
