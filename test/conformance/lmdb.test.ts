import { openLmdbEngine } from "../../src/engines/lmdb/engine.js";
import { tempDir } from "../support/temp-dir.js";
import { describeEngine } from "./conformance.js";
import type { EngineTestOptions, EngineUnderTest } from "./world.js";

async function openAt(path: string, options: EngineTestOptions): Promise<EngineUnderTest> {
  const engine = await openLmdbEngine({ path, ...options });
  return {
    engine,
    reopen: async () => {
      await engine.close();
      return openAt(path, options);
    },
    close: () => engine.close(),
  };
}

describeEngine("LMDB", (options) => openAt(tempDir(), options));
