import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { machineOf } from "../machine.js";
import type { EngineName } from "../options.js";
import type { Pace } from "../rounds.js";
import { temporaryDirectory } from "../temporary-directory.js";
import { measureBesideFiftyOne } from "./beside-fiftyone.js";
import { measureBesideStubs } from "./beside-stubs.js";
import type { ClientsBenchOptions } from "./clients-options.js";
import type { ClientsEngineReport, ClientsReport } from "./clients-report.js";
import { buildGoProgram } from "./programs.js";

const DEFAULT_PACE: Pace = { rounds: 5, roundMs: 500, warmUpMs: 500 };
const QUICK_PACE: Pace = { rounds: 3, roundMs: 250, warmUpMs: 250 };

/** What the measurements of an engine need. */
export interface ClientsBench {
  readonly options: ClientsBenchOptions;
  /** For whatever they leave. */
  readonly directory: string;
  /** Of the Go client: loads servers, and is the empty one. */
  readonly goProgram: string;
  readonly pace: Pace;
  readonly progress: (text: string) => void;
}

const MEASURE: Readonly<Record<EngineName, (bench: ClientsBench) => Promise<ClientsEngineReport>>> = {
  lmdb: measureBesideStubs,
  mongodb: measureBesideFiftyOne,
};

/** Measures the clients of all languages on the built server. */
export async function clientsBench(
  options: ClientsBenchOptions,
  progress: (text: string) => void,
): Promise<ClientsReport> {
  const started = new Date();
  const machine = machineOf(options.directory);
  const parent = temporaryDirectory(options.directory);
  const pace = options.quick ? QUICK_PACE : DEFAULT_PACE;
  progress("nothing yet, building the Go client");
  const goProgram = buildGoProgram(parent);
  const engines: ClientsEngineReport[] = [];
  for (const engine of options.engines) {
    const directory = mkdtempSync(join(parent, `${engine}-`));
    engines.push(await MEASURE[engine]({ options, directory, goProgram, pace, progress }));
  }
  const seconds = (Date.now() - started.getTime()) / 1000;
  return { startedAt: started.toISOString(), seconds, quick: options.quick, machine, engines };
}
