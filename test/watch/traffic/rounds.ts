import { expect } from "vitest";
import { readSeed, seedText } from "../../race/random.js";
import { checkAll } from "../checkers/check-all.js";
import { Coverage, type Happened } from "./coverage.js";
import { MOST_EXTRA_MS, runTraffic, type TrafficOptions } from "./run-traffic.js";

/** How many runs each test makes, with seeds of their own. */
const ROUNDS = Number(process.env["EXECUTION_STORE_TEST_WATCH_ROUNDS"] ?? 1);
/** How long the traffic of a run lasts, in ms. */
const DURATION_MS = 1000 * Number(process.env["EXECUTION_STORE_TEST_WATCH_SECONDS"] ?? 4);
/** How long a test of all rounds may take, in ms, if preparations and disturbances take so long in each. */
export function timeLimit(extraMs: number): { readonly timeout: number } {
  return { timeout: ROUNDS * (DURATION_MS + MOST_EXTRA_MS + extraMs) };
}

/** How many writes a run has at least, if it can have them in a longer time. */
const MIN_PUTS = 300;
/** How many problems are shown. */
const SHOWN = 20;

/** Lets random traffic run round after round, each on what `prepare` prepares for a seed, and judges every promise. */
export async function judgeRounds(
  prepare: (seed: number) => Promise<Omit<TrafficOptions, "seed" | "durationMs">>,
  mustHave: readonly string[],
): Promise<void> {
  const first = readSeed();
  for (let round = 0; round < ROUNDS; round += 1) {
    const seed = first + 10_000 * round;
    const { history, recorder } = await runTraffic({
      seed,
      durationMs: DURATION_MS,
      enough: (happened) => happened.puts.length >= MIN_PUTS && missing(happened, mustHave).length === 0,
      ...(await prepare(seed)),
    });
    const problems = checkAll(history);
    expect(problems.slice(0, SHOWN), `${problems.length} problems; ${seedText(seed)}`).toEqual([]);
    const strange = history.disturbances.length > 0 ? [] : recorder.errors;
    expect(strange, seedText(seed)).toEqual([]);
    expect(missing(history, mustHave), seedText(seed)).toEqual([]);
  }
}

/** What a run should have had. */
function missing(happened: Happened, names: readonly string[]): string[] {
  const coverage = new Coverage();
  coverage.add(happened);
  return coverage.missing(...names);
}
