import * as fc from "fast-check";
import { expect } from "vitest";
import type { Engine } from "../../src/store/engine.js";
import { START } from "../conformance/world.js";
import { createModelEngine } from "../support/model-engine.js";
import { type Call, type Command, history, SCOPES, STORES } from "./commands.js";
import { Observer } from "./observer.js";

/** For how long new histories are begun. */
const TIME_LIMIT_MS = 20_000;
/** How many run in any case, however slow the machine is. */
const LEAST_RUNS = 5;

/** How long a test of histories may take. */
export const HISTORIES_LIMIT_MS = 600_000;

/** What a history runs on, over data of its own. */
export interface Subject {
  readonly engine: Engine;
  /** What its clock showed when it was opened. */
  readonly origin: number;
  /** Tells its clock how far it has been moved in all. */
  move(ms: number): void;
  /** Removes what has expired. */
  sweep(): Promise<void>;
  /** Closes the engine and opens it over the same data; `engine` is the new one afterwards. */
  reopen(): Promise<void>;
  /** Closes the engine and removes its data, after `passed` may have looked at them. */
  close(passed: boolean): Promise<void>;
}

/** What kind of engine histories run on. */
export interface SubjectKind {
  open(): Promise<Subject>;
  /** How long one unit of the histories' time is, in milliseconds. */
  readonly unitMs: number;
  /** Whether its clock passes by itself and never goes back. */
  readonly ticks: boolean;
}

/** A write that commits the present time, before the clock goes back: what nobody saw need not be remembered. */
const TICK: Call = {
  name: "setKey",
  at: { scope: SCOPES[0], store: "tick", key: "k" },
  write: { value: "one", ttlMs: undefined, policy: "persist" },
};

/** Looks at everything. */
const EVERYTHING = SCOPES.flatMap((scope) =>
  STORES.map((store): Call => ({ name: "look", at: { scope, store, key: "k" }, prefix: "", limit: 3 })),
);

async function run(subject: Subject, kind: SubjectKind, commands: readonly Command[]): Promise<void> {
  const { unitMs, ticks } = kind;
  let moved = 0;
  let latest = 0;
  const time = { unitMs, moved: () => latest, passesMs: ticks ? unitMs - 1 : 0 };
  const real = new Observer(subject.engine, { ...time, origin: subject.origin });
  const model = new Observer(createModelEngine({ now: () => START + moved }), { ...time, origin: START });
  const both = async (call: Call): Promise<void> =>
    expect(await real.run(call)).toEqual(await model.run(call));
  for (const command of [TICK, ...commands, { name: "reopen" } as const, ...EVERYTHING]) {
    if (command.name === "advance") {
      if (command.ms < 0 && ticks) continue;
      if (command.ms < 0) await both(TICK);
      moved += command.ms * unitMs;
      latest = Math.max(latest, moved);
      subject.move(moved);
    } else if (command.name === "sweep") await subject.sweep();
    else if (command.name === "reopen") {
      await subject.reopen();
      real.engine = subject.engine;
    } else await both(command);
  }
}

/** Runs random histories on new subjects, for a while, and expects of each what the model answers. */
export async function expectHistoriesLikeModel(kind: SubjectKind): Promise<void> {
  let runs = 0;
  const deadline = performance.now() + TIME_LIMIT_MS;
  const property = fc.asyncProperty(history, async (commands) => {
    // That ends the shrinking of a failure, too.
    if (runs >= LEAST_RUNS && performance.now() > deadline) return;
    runs += 1;
    const subject = await kind.open();
    let passed = false;
    try {
      await run(subject, kind, commands);
      passed = true;
    } finally {
      await subject.close(passed);
    }
  });
  await fc.assert(property, { numRuns: 400 });
  expect(runs).toBeGreaterThanOrEqual(LEAST_RUNS);
}
