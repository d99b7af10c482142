import type { Machine } from "./machine.js";
import type { EngineName } from "./options.js";
import type { SubjectRounds } from "./rounds.js";

/** What a figure should reach. */
export interface Target {
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** One number that stands for itself. */
export interface Figure {
  readonly name: string;
  /** Undefined where the system does not tell. */
  readonly value: number | undefined;
  readonly unit: string;
  readonly target?: Target;
}

/** The rate of the measured server by that of a baseline; where a call of it has many keys, in keys. */
export interface Ratio {
  readonly baseline: string;
  readonly ratio: number;
  readonly target?: Target;
}

/** One kind of call, on the measured server (the first subject) and on the baselines. */
export interface ComparisonResult {
  readonly name: string;
  readonly title: string;
  readonly inFlight: number;
  readonly connections: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly subjects: readonly SubjectRounds[];
  readonly ratios: readonly Ratio[];
  /** What the rate of the measured server comes to: keys or megabytes a second, or the time of a lone call. */
  readonly figure: Figure | undefined;
}

/** Several figures that belong together. */
export interface FigureGroup {
  readonly name: string;
  readonly title: string;
  readonly figures: readonly Figure[];
}

/** Everything that was measured. */
export interface Report {
  readonly startedAt: string;
  readonly seconds: number;
  readonly engine: EngineName;
  readonly quick: boolean;
  readonly machine: Machine;
  /** Which MongoDB, for people; undefined for the embedded engine. */
  readonly database: string | undefined;
  readonly comparisons: readonly ComparisonResult[];
  readonly groups: readonly FigureGroup[];
}

const MISSED = "MISSED";
const COLUMNS = [52, 11, 7, 9, 14, 9, 8] as const;

/** What the rows are. */
const LEGENDS: Readonly<Record<EngineName, readonly string[]>> = {
  lmdb: [
    "execution-store: the built server. nice-grpc echo: takes and answers one field of bytes. nice-grpc, same",
    "messages: decodes and encodes the very messages of the call. grpc-js echo: passes bytes on as they are. All",
    "baselines store nothing and answer the same each time. A ratio is the median of the rounds' ratios; a server",
    "with one core busy is what limits its row, one with less waits for the disk or for the load.",
  ],
  mongodb: [
    "execution-store: the built server, called over gRPC by another process. bare driver: the Node driver in a process",
    "that calls MongoDB itself, as many at once, writes acknowledged by a majority. FiftyOne: its own store in Python.",
    "All work on the same documents of the same MongoDB, with all of FiftyOne's indexes and the server's own. A ratio",
    "is the median of the rounds' ratios; with one core busy a process is what limits its row, or Python's lock is.",
  ],
};

/** The load average a processor above which other work must have been going on. */
const BUSY = 0.25;

/** Says so where the machine was busy before the measurement began. */
export function busyLines({ loadAverage, cpuCount }: Machine): string[] {
  if (loadAverage <= cpuCount * BUSY) return [];
  const load = formatNumber(loadAverage);
  return [
    `The machine was busy with other work (load average ${load}): the figures are not to be relied on.`,
  ];
}

function row(...cells: readonly string[]): string {
  return cells
    .map((cell, index) => (index === 0 ? cell.padEnd(COLUMNS[0]) : cell.padStart(COLUMNS[index] ?? 0)))
    .join(" ")
    .trimEnd();
}

/** A number with three digits or more. */
export function formatNumber(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return "n/a";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** What should be reached, for people. */
export function targetText(target: Target | undefined): string {
  if (target?.atLeast !== undefined) return `≥ ${target.atLeast.toLocaleString("en-US")}`;
  if (target?.atMost !== undefined) return `≤ ${target.atMost.toLocaleString("en-US")}`;
  return "";
}

/** Whether it was reached; empty where there is no target. */
export function verdict(value: number | undefined, target: Target | undefined): string {
  if (target === undefined || value === undefined) return "";
  const { atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY } = target;
  return value >= atLeast && value <= atMost ? "ok" : MISSED;
}

function comparisonLines(result: ComparisonResult): string[] {
  const sizes = `request ${formatNumber(result.requestBytes)} B, response ${formatNumber(result.responseBytes)} B`;
  const lines = [`${result.title} (${result.inFlight} in flight, ${sizes})`];
  for (const subject of result.subjects) {
    const ratio = result.ratios.find((item) => item.baseline === subject.name);
    lines.push(
      row(
        `  ${subject.name}`,
        formatNumber(subject.medianCallsPerSecond),
        formatNumber(subject.cores),
        formatNumber(subject.cpuMicrosPerCall),
        ratio === undefined ? "" : ratio.ratio.toFixed(3),
        targetText(ratio?.target),
        verdict(ratio?.ratio, ratio?.target),
      ),
    );
  }
  if (result.figure !== undefined) lines.push(figureLine(result.figure));
  return lines;
}

/** A figure as a line of a report. */
export function figureLine({ name, value, unit, target }: Figure): string {
  return row(
    `  ${name}`,
    formatNumber(value),
    unit.padEnd(COLUMNS[2]),
    "",
    "",
    targetText(target),
    verdict(value, target),
  );
}

/** The report as a table for people. */
export function reportTable(report: Report): string {
  const { machine } = report;
  const lines = [
    `Node ${machine.node}, ${machine.cpuCount} × ${machine.cpu}, data in ${machine.directory}${report.quick ? ", quick" : ""}`,
    ...(report.database === undefined ? [] : [`MongoDB: ${report.database}`]),
    ...busyLines(machine),
    "",
    row("", "calls/s", "cores", "µs/call", "execution-store", "target", ""),
    row("", "(median)", "busy", "of CPU", "÷ this one", "", ""),
  ];
  for (const result of report.comparisons) lines.push("", ...comparisonLines(result));
  for (const group of report.groups) lines.push("", group.title, ...group.figures.map(figureLine));
  lines.push("", ...LEGENDS[report.engine], `Took ${formatNumber(report.seconds)} s.`);
  return lines.join("\n");
}
