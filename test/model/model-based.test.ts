import { rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "vitest";
import { openLmdbEngine } from "../../src/engines/lmdb/engine.js";
import { DEFAULT_COLLECTION } from "../../src/store/limits.js";
import { OTHER_COLLECTION, START } from "../conformance/world.js";
import { checkLmdb } from "../support/check-lmdb.js";
import { tempDir } from "../support/temp-dir.js";
import { expectHistoriesLikeModel, HISTORIES_LIMIT_MS, type Subject } from "./histories.js";

const COLLECTIONS = [DEFAULT_COLLECTION, OTHER_COLLECTION];

async function openSubject(path: string): Promise<Subject> {
  let moved = 0;
  const open = () =>
    openLmdbEngine({
      path,
      collections: COLLECTIONS,
      now: () => START + moved,
      // Little history, so that its pruning runs among the commands, too.
      historyTimeMs: 500,
      historyBytes: 30_000,
    });
  let engine = await open();
  return {
    get engine() {
      return engine;
    },
    origin: START,
    move: (ms) => {
      moved = ms;
    },
    sweep: () => engine.sweep(),
    reopen: async () => {
      await engine.close();
      engine = await open();
    },
    close: async (passed) => {
      await engine.close();
      if (passed) for (const collection of COLLECTIONS) await checkLmdb(path, collection);
      await rm(path, { recursive: true, force: true });
    },
  };
}

test("random histories on LMDB answer what the model answers", { timeout: HISTORIES_LIMIT_MS }, async () => {
  const directory = tempDir();
  let subjects = 0;
  await expectHistoriesLikeModel({
    open: () => openSubject(join(directory, String((subjects += 1)))),
    unitMs: 1,
    ticks: false,
  });
});
