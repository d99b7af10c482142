import { closeSync, existsSync, openSync, writeFileSync } from "node:fs";
import { clientsBench } from "./clients/clients-bench.js";
import { CLIENTS_HELP, parseClientsOptions } from "./clients/clients-options.js";
import { clientsReportTable } from "./clients/clients-report.js";
import { compare } from "./compare.js";
import { compareMongodb } from "./compare-mongodb.js";
import { COMPARISONS } from "./comparisons.js";
import { durableWrites } from "./durable-writes.js";
import { machineOf } from "./machine.js";
import { millionKeys } from "./million-keys.js";
import { type BenchOptions, HELP, parseOptions, UsageError } from "./options.js";
import { type FigureGroup, type Report, reportTable } from "./report.js";
import type { Pace } from "./rounds.js";
import { startTime } from "./start-time.js";
import { temporaryDirectory } from "./temporary-directory.js";
import { watchBench } from "./watch/watch-bench.js";
import { parseWatchOptions, WATCH_HELP } from "./watch/watch-options.js";
import { watchReportTable } from "./watch/watch-report.js";

/** How much of everything: within six minutes, and within one. */
const DEFAULT_EFFORT = {
  pace: { rounds: 5, roundMs: 800, warmUpMs: 800 },
  keys: 1_000_000,
  starts: 5,
} as const;
const QUICK_EFFORT = {
  pace: { rounds: 3, roundMs: 200, warmUpMs: 200 },
  keys: 50_000,
  starts: 2,
} as const;

interface Effort {
  readonly pace: Pace;
  readonly keys: number;
  readonly starts: number;
}

function progress(text: string): void {
  process.stderr.write(`measuring: ${text}\n`);
}

async function groups(options: BenchOptions, directory: string, effort: Effort): Promise<FigureGroup[]> {
  const { parts } = options;
  const measured: FigureGroup[] = [];
  if (parts.has("durable")) {
    progress("durable writes");
    measured.push(await durableWrites(options, directory, effort.pace));
  }
  if (parts.has("million")) {
    progress(`a store of ${effort.keys} keys`);
    measured.push(await millionKeys(options, directory, effort.keys, effort.pace));
  }
  if (parts.has("start")) {
    progress("start");
    measured.push(await startTime(options, directory, effort.starts));
  }
  return measured;
}

async function measureEngine(
  options: BenchOptions,
  directory: string,
  effort: Effort,
): Promise<Pick<Report, "comparisons" | "groups" | "database">> {
  if (options.engine === "mongodb") return compareMongodb(options, directory, effort.pace, progress);
  const wanted = COMPARISONS.filter(({ part }) => options.parts.has(part));
  const comparisons = await compare(wanted, options, directory, effort.pace, progress);
  return { comparisons, groups: await groups(options, directory, effort), database: undefined };
}

async function measure(options: BenchOptions): Promise<Report> {
  const started = new Date();
  const machine = machineOf(options.directory);
  const directory = temporaryDirectory(options.directory);
  const effort = options.quick ? QUICK_EFFORT : DEFAULT_EFFORT;
  const measured = await measureEngine(options, directory, effort);
  return {
    startedAt: started.toISOString(),
    seconds: (Date.now() - started.getTime()) / 1000,
    engine: options.engine,
    quick: options.quick,
    machine,
    ...measured,
  };
}

/** Rather now than after five minutes. */
function checkWritable(file: string): void {
  try {
    closeSync(openSync(file, "a"));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`--json ${file} cannot be written: ${reason}`);
  }
}

/** Rather now than at the end. */
function check({ server, directory, json }: Pick<BenchOptions, "server" | "directory" | "json">): void {
  if (!existsSync(server)) {
    throw new UsageError(`${server} does not exist; build the server first, or name another with --server`);
  }
  if (!existsSync(directory)) throw new UsageError(`--dir ${directory} does not exist`);
  if (json !== undefined) checkWritable(json);
}

function publish(table: string, report: object, json: string | undefined): void {
  process.stdout.write(`${table}\n`);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, undefined, 2)}\n`);
}

async function main(args: readonly string[]): Promise<void> {
  const options = parseOptions(args);
  if (options === undefined) {
    process.stdout.write(HELP);
    return;
  }
  check(options);
  const report = await measure(options);
  publish(reportTable(report), report, options.json);
}

async function watchMain(args: readonly string[]): Promise<void> {
  const options = parseWatchOptions(args);
  if (options === undefined) {
    process.stdout.write(WATCH_HELP);
    return;
  }
  check(options);
  const report = await watchBench(options, progress);
  publish(watchReportTable(report), report, options.json);
}

async function clientsMain(args: readonly string[]): Promise<void> {
  const options = parseClientsOptions(args);
  if (options === undefined) {
    process.stdout.write(CLIENTS_HELP);
    return;
  }
  check(options);
  const report = await clientsBench(options, progress);
  publish(clientsReportTable(report), report, options.json);
}

try {
  const [first, ...rest] = process.argv.slice(2);
  if (first === "watch") await watchMain(rest);
  else if (first === "clients") await clientsMain(rest);
  else await main(process.argv.slice(2));
} catch (error) {
  const text = error instanceof Error ? error.message : String(error);
  process.stderr.write(`bench: ${text}\n`);
  process.exit(error instanceof UsageError ? 2 : 1);
}
