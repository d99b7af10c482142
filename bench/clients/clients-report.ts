import type { Machine } from "../machine.js";
import type { EngineName } from "../options.js";
import { busyLines, type Figure, formatNumber, targetText, verdict } from "../report.js";
import type { ContenderRow, ContenderTable } from "./measure.js";

/** All that was measured with servers on one engine. */
export interface ClientsEngineReport {
  readonly engine: EngineName;
  /** Which MongoDB, for people; undefined for the embedded engine. */
  readonly database: string | undefined;
  readonly tables: readonly ContenderTable[];
}

/** Everything that was measured. */
export interface ClientsReport {
  readonly startedAt: string;
  readonly seconds: number;
  readonly quick: boolean;
  readonly machine: Machine;
  readonly engines: readonly ClientsEngineReport[];
}

const COLUMNS = [42, 12, 9, 9, 9, 7, 9] as const;
const TITLES: Readonly<Record<EngineName, string>> = { lmdb: "LMDB", mongodb: "MongoDB" };
const LEGEND = [
  "Client: the library of the language, with values as it gives them, or raw, as bytes. Stub: what is generated from the",
  "proto file, and the gRPC library, with values by the language's BSON library; bare, it looks into no value. Server: the",
  "built one. Empty server: answers the same bytes, from memory. Each runs in a process of its own; µs CPU is what a call",
  "takes of the processor in the process that calls, server µs in the one that answers (of MongoDB: without mongod), cores",
  "how busy the first is. Ratios are medians of the rounds' ratios; a server with one core busy is what limits its row.",
];

function row(...cells: readonly string[]): string {
  return cells
    .map((cell, index) => (index === 0 ? cell.padEnd(COLUMNS[0]) : cell.padStart(COLUMNS[index] ?? 0)))
    .join(" ")
    .trimEnd();
}

function told(figure: number | undefined): string {
  return figure === undefined ? "" : formatNumber(figure);
}

function rowLine(contender: ContenderRow): string {
  const { name, medianCallsPerSecond, p50, p99, cpuMicrosPerCall, cores, serverMicrosPerCall } = contender;
  const figures = [medianCallsPerSecond, p50, p99, cpuMicrosPerCall, cores, serverMicrosPerCall];
  return row(`  ${name}`, ...figures.map(told));
}

function checkLine({ name, value, target }: Figure): string {
  const wanted = target === undefined ? "" : `, wanted ${targetText(target)}: ${verdict(value, target)}`;
  return `    ${name}: ${formatNumber(value)}${wanted}`;
}

function tableLines({ title, unit, rows, checks }: ContenderTable): string[] {
  return ["", `${title} (${unit})`, ...rows.map(rowLine), ...checks.map(checkLine)];
}

/** The report as a table for people. */
export function clientsReportTable({ machine, quick, engines, seconds }: ClientsReport): string {
  const lines = [
    `Node ${machine.node}, ${machine.cpuCount} × ${machine.cpu}, data in ${machine.directory}${quick ? ", quick" : ""}`,
    ...busyLines(machine),
  ];
  for (const { engine, database, tables } of engines) {
    lines.push("", `== ${[TITLES[engine], ...(database === undefined ? [] : [database])].join("; ")}`, "");
    lines.push(
      row("", "a second", "p50 ms", "p99 ms", "µs CPU", "cores", "server µs"),
      ...tables.flatMap(tableLines),
    );
  }
  return [...lines, "", ...LEGEND, `Took ${formatNumber(seconds)} s.`].join("\n");
}
