import { rm } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { type LmdbEngine, openLmdbEngine } from "../../src/engines/lmdb/engine.js";
import { DEFAULT_COLLECTION } from "../../src/store/limits.js";
import { OTHER_COLLECTION, START } from "../conformance/world.js";
import { checkLmdb } from "../support/check-lmdb.js";
import { createModelEngine } from "../support/model-engine.js";
import { tempDir } from "../support/temp-dir.js";
import { type Call, type Command, history, SCOPES, STORES } from "./commands.js";
import { Observer } from "./observer.js";

const TIME_LIMIT_MS = 20_000;

/** A clock that may go back, and what a store's clock makes of it. */
interface HistoryClock {
  readonly now: () => number;
  readonly storeNow: () => number;
  advance(ms: number): void;
}

function createClock(): HistoryClock {
  let time = START;
  let latest = START;
  return {
    now: () => time,
    storeNow: () => latest,
    advance: (ms) => {
      time += ms;
      latest = Math.max(latest, time);
    },
  };
}

/** A write that commits the present time, before the clock goes back: what nobody saw need not be remembered. */
const TICK: Call = {
  name: "setKey",
  at: { scope: SCOPES[0], store: "tick", key: "k" },
  write: { value: "one", ttlMs: undefined, policy: "persist" },
};

async function check(path: string, commands: readonly Command[]): Promise<void> {
  const clock = createClock();
  // Little history, so that its pruning runs among the commands, too.
  const open = (): Promise<LmdbEngine> =>
    openLmdbEngine({
      path,
      collections: [DEFAULT_COLLECTION, OTHER_COLLECTION],
      now: clock.now,
      historyTimeMs: 500,
      historyBytes: 30_000,
    });
  let engine = await open();
  const real = new Observer(engine, clock.storeNow);
  const model = new Observer(createModelEngine({ now: clock.now }), clock.storeNow);
  const everything = SCOPES.flatMap((scope) =>
    STORES.map((store): Call => ({ name: "look", at: { scope, store, key: "k" }, prefix: "", limit: 3 })),
  );
  try {
    for (const command of [TICK, ...commands, { name: "reopen" } as const, ...everything]) {
      if (command.name === "advance") {
        if (command.ms < 0) expect(await real.run(TICK)).toEqual(await model.run(TICK));
        clock.advance(command.ms);
      } else if (command.name === "sweep") await engine.sweep();
      else if (command.name === "reopen") {
        await engine.close();
        engine = await open();
        real.engine = engine;
      } else expect(await real.run(command)).toEqual(await model.run(command));
    }
  } finally {
    await engine.close();
  }
  for (const collection of [DEFAULT_COLLECTION, OTHER_COLLECTION]) await checkLmdb(path, collection);
}

test("random histories on LMDB answer what the model answers", { timeout: 6 * TIME_LIMIT_MS }, async () => {
  const directory = tempDir();
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(history, async (commands) => {
      runs += 1;
      const path = join(directory, String(runs));
      try {
        await check(path, commands);
      } finally {
        await rm(path, { recursive: true, force: true });
      }
    }),
    { numRuns: 400, interruptAfterTimeLimit: TIME_LIMIT_MS, markInterruptAsFailure: false },
  );
  expect(runs).toBeGreaterThan(10);
});
