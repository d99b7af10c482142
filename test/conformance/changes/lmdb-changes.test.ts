import { openLmdbEngine } from "../../../src/engines/lmdb/engine.js";
import { tempDir } from "../../support/temp-dir.js";
import { describeChangeSource } from "./change-source.js";
import type { WatchableUnderTest } from "./change-world.js";

async function openAt(path: string, collections: readonly string[]): Promise<WatchableUnderTest> {
  const engine = await openLmdbEngine({ path, collections });
  return {
    engine,
    ahead: ({ history, position }) => ({
      history,
      position: String(Number(position) + 1e9).padStart(position.length, "0"),
    }),
    reopen: async () => {
      await engine.close();
      return openAt(path, collections);
    },
    close: () => engine.close(),
  };
}

describeChangeSource("LMDB", (collections) => openAt(tempDir(), collections));
