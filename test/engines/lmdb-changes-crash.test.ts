import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { openLmdbEngine } from "../../src/engines/lmdb/engine.js";
import type { ChangeSource, HistoryPoint } from "../../src/store/changes.js";
import { DEFAULT_COLLECTION } from "../../src/store/limits.js";
import { Choices, readSeed, seedText } from "../race/random.js";
import { checkLmdb } from "../support/check-lmdb.js";
import { tempDir } from "../support/temp-dir.js";
import { until } from "../support/until.js";
import { changeLine } from "./change-line.js";

const CRASHES = 4;
/** The longest that a writer lives once it has begun, in ms. */
const LONGEST_LIFE_MS = 400;
/** Places to resume from after each crash, about. */
const PLACES = 8;
const NEEDS = { previous: true };

/** Lets a process write and follow until it is killed; answers the lines that it printed whole. */
async function writeUntilKilled(path: string, choices: Choices): Promise<string[]> {
  const script = join(import.meta.dirname, "lmdb-changes-writer.ts");
  const writer = spawn(process.execPath, ["--import", "tsx", script, path, String(choices.below(2 ** 30))], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void writer.kill("SIGKILL"));
  let printed = "";
  writer.stdout.setEncoding("utf8").on("data", (text: string) => {
    printed += text;
  });
  const closed = once(writer, "close");
  await until(() => printed.split("\n").length > 20, "the writer is told of its changes");
  await delay(choices.below(LONGEST_LIFE_MS));
  writer.kill("SIGKILL");
  await closed;
  return printed.split("\n").slice(1, -1);
}

async function linesAfter(source: ChangeSource, after: HistoryPoint): Promise<string[]> {
  const { position: last } = await source.now(NEEDS);
  const lines: string[] = [];
  if (after.position === last) return lines;
  for await (const { changes, position } of source.read(after, NEEDS, new AbortController().signal)) {
    lines.push(...changes.map(changeLine));
    if (position >= last) break;
  }
  return lines;
}

test(`resumes at every place exactly through ${CRASHES} kills under load`, { timeout: 120_000 }, async () => {
  const seed = readSeed();
  const choices = new Choices(seed);
  const path = tempDir();
  const toldLive: string[] = [];
  let before: string[] = [];
  for (let crash = 0; crash < CRASHES; crash += 1) {
    toldLive.push(...(await writeUntilKilled(path, choices)));
    await checkLmdb(path);
    const engine = await openLmdbEngine({ path, collections: [DEFAULT_COLLECTION] });
    const source = engine.changes(DEFAULT_COLLECTION);
    const { history } = await source.now(NEEDS);
    const whole = await linesAfter(source, { history, position: "0".repeat(16) });
    // What was told before the crash is as it was, and nothing of it is lost.
    expect(whole.slice(0, before.length), seedText(seed)).toEqual(before);
    const all = new Set(whole);
    expect(
      toldLive.filter((line) => !all.has(line)),
      seedText(seed),
    ).toEqual([]);
    const positions = whole.map((line) => (JSON.parse(line) as [string])[0]);
    for (let count = 0; count < PLACES; count += 1) {
      const index = choices.below(whole.length);
      const rest = await linesAfter(source, { history, position: positions[index] ?? "" });
      expect(rest.slice(0, whole.length - index - 1), seedText(seed)).toEqual(whole.slice(index + 1));
    }
    before = whole;
    await engine.close();
  }
  expect(toldLive.length).toBeGreaterThan(CRASHES * 20);
});
