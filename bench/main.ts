import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { arch, cpus, loadavg, platform, release, totalmem } from "node:os";
import { join } from "node:path";
import { killChildren } from "./children.js";
import { compare } from "./compare.js";
import { compareMongodb } from "./compare-mongodb.js";
import { COMPARISONS } from "./comparisons.js";
import { durableWrites } from "./durable-writes.js";
import { millionKeys } from "./million-keys.js";
import { type BenchOptions, HELP, parseOptions, UsageError } from "./options.js";
import { type FigureGroup, type Report, reportTable } from "./report.js";
import type { Pace } from "./rounds.js";
import { startTime } from "./start-time.js";

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

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

function progress(text: string): void {
  process.stderr.write(`measuring: ${text}\n`);
}

/** A directory for the databases that goes, with every server, when this process ends in whatever way it can notice. */
function temporaryDirectory(parent: string): string {
  const directory = mkdtempSync(join(parent, "execution-store-bench-"));
  process.on("exit", () => {
    killChildren();
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  });
  for (const [signal, code] of Object.entries(SIGNALS)) process.on(signal, () => process.exit(code));
  return directory;
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
  const [loadAverage = 0] = loadavg();
  const directory = temporaryDirectory(options.directory);
  const effort = options.quick ? QUICK_EFFORT : DEFAULT_EFFORT;
  const measured = await measureEngine(options, directory, effort);
  return {
    startedAt: started.toISOString(),
    seconds: (Date.now() - started.getTime()) / 1000,
    engine: options.engine,
    quick: options.quick,
    machine: {
      node: process.version,
      platform: `${platform()} ${release()} ${arch()}`,
      cpu: cpus()[0]?.model ?? "unknown",
      cpuCount: cpus().length,
      memoryMegabytes: Math.round(totalmem() / 1e6),
      directory: options.directory,
      loadAverage,
    },
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

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(HELP);
    return;
  }
  if (!existsSync(options.server)) {
    throw new UsageError(
      `${options.server} does not exist; build the server first, or name another with --server`,
    );
  }
  if (!existsSync(options.directory)) throw new UsageError(`--dir ${options.directory} does not exist`);
  if (options.json !== undefined) checkWritable(options.json);
  const report = await measure(options);
  process.stdout.write(`${reportTable(report)}\n`);
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
}

try {
  await main();
} catch (error) {
  const text = error instanceof Error ? error.message : String(error);
  process.stderr.write(`bench: ${text}\n`);
  process.exit(error instanceof UsageError ? 2 : 1);
}
