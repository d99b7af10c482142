import { existsSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { machineOf } from "../machine.js";
import { UsageError } from "../options.js";
import { temporaryDirectory } from "../temporary-directory.js";
import { openDeployment } from "./deployment.js";
import { DEFAULT_EFFORT, QUICK_EFFORT } from "./effort.js";
import { measureEngine } from "./measure-engine.js";
import { startWatchProcess } from "./watch-clients.js";
import type { WatchBenchOptions } from "./watch-options.js";
import type { EngineReport, WatchReport } from "./watch-report.js";

/** Processes that hold watches: as many as a machine with two cores can have some use of. */
const WATCH_PROCESSES = 2;

/** Measures the watches of the built server. */
export async function watchBench(
  options: WatchBenchOptions,
  progress: (text: string) => void,
): Promise<WatchReport> {
  if (options.profiles !== undefined && !existsSync(options.profiles)) {
    throw new UsageError(`--profile ${options.profiles} does not exist`);
  }
  const started = new Date();
  const machine = machineOf(options.directory);
  const directory = temporaryDirectory(options.directory);
  const effort = options.quick ? QUICK_EFFORT : DEFAULT_EFFORT;
  const processes = await Promise.all(Array.from({ length: WATCH_PROCESSES }, startWatchProcess));
  const engines: EngineReport[] = [];
  for (const engine of options.engines) {
    const place = mkdtempSync(join(directory, `${engine}-`));
    const deployment = await openDeployment(engine, options, place, processes);
    try {
      engines.push(await measureEngine(deployment, options.parts, effort, progress));
    } finally {
      await deployment.close();
    }
  }
  await Promise.all(processes.map((child) => child.stop()));
  const seconds = (Date.now() - started.getTime()) / 1000;
  return { startedAt: started.toISOString(), seconds, quick: options.quick, machine, engines };
}
