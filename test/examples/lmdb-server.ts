import { join } from "node:path";
import { onTestFinished } from "vitest";
import { openLmdbEngine } from "../../src/engines/lmdb/engine.js";
import { DEFAULT_COLLECTION } from "../../src/store/limits.js";
import { tempDir } from "../support/temp-dir.js";
import { startTestServer } from "../support/test-server.js";

/** Starts a server over LMDB for the rest of the test, and answers its address. */
export async function startLmdbServer(): Promise<string> {
  const engine = await openLmdbEngine({ path: join(tempDir(), "store"), collections: [DEFAULT_COLLECTION] });
  const server = await startTestServer({ engine });
  onTestFinished(() => server.close());
  return server.address;
}
