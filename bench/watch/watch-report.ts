import type { Machine } from "../machine.js";
import type { EngineName } from "../options.js";
import {
  busyLines,
  type Figure,
  type FigureGroup,
  figureLine,
  formatNumber,
  targetText,
  verdict,
} from "../report.js";
import type { Delivery } from "./delivery.js";

/** How events came to some watchers of one server. */
export interface DeliveryRow {
  readonly name: string;
  readonly delivery: Delivery;
  /** Those of its figures, or made of them, that should reach something. */
  readonly checks: readonly Figure[];
}

/** Several such rows that belong together. */
export interface DeliveryTable {
  readonly title: string;
  readonly rows: readonly DeliveryRow[];
}

/** All that was measured of one engine. */
export interface EngineReport {
  readonly engine: EngineName;
  /** What it and those beside it are, for people. */
  readonly descriptions: readonly string[];
  readonly tables: readonly DeliveryTable[];
  readonly groups: readonly FigureGroup[];
}

/** Everything that was measured. */
export interface WatchReport {
  readonly startedAt: string;
  readonly seconds: number;
  readonly quick: boolean;
  readonly machine: Machine;
  readonly engines: readonly EngineReport[];
}

const COLUMNS = [36, 9, 10, 8, 8, 8, 8, 8, 7, 8, 7] as const;
const TITLES: Readonly<Record<EngineName, string>> = { lmdb: "LMDB", mongodb: "MongoDB" };
const LEGEND = [
  "Times of events: from just before the write is sent to the arrival of its event in another process, by one clock; so",
  "they hold the write itself with its commit, whose own times are beside them. The same for etcd, with a stream for each",
  "watch, and for FiftyOne, whose callbacks are in the process that reads the change stream; FiftyOne's writes go through",
  "execution-store. Every event is waited for and counted: one that is missing, or comes twice, ends the measurement.",
  "Cores: how busy the server (of MongoDB: without mongod), all watchers and the writer were; they share the machine.",
];

function row(...cells: readonly string[]): string {
  return cells
    .map((cell, index) => (index === 0 ? cell.padEnd(COLUMNS[0]) : cell.padStart(COLUMNS[index] ?? 0)))
    .join(" ")
    .trimEnd();
}

const HEAD = [
  row("", "writes/s", "events/s", "event", "", "ms", "write", "ms", "cores", "", ""),
  row("", "", "", "p50", "p99", "max", "p50", "p99", "server", "watchers", "writer"),
];

function checkLine({ name, value, unit, target }: Figure): string {
  const said = verdict(value, target);
  return `    ${name}: ${formatNumber(value)}${unit === "" ? "" : ` ${unit}`}, wanted ${targetText(target)}: ${said}`;
}

function rowLines({ name, delivery, checks }: DeliveryRow): string[] {
  const { writesPerSecond, eventsPerSecond, delays, writes, cores } = delivery;
  const numbers = [
    writesPerSecond,
    eventsPerSecond,
    delays.p50,
    delays.p99,
    delays.max,
    writes.p50,
    writes.p99,
    cores.server,
    cores.watchers,
    cores.writer,
  ];
  return [row(`  ${name}`, ...numbers.map(formatNumber)), ...checks.map(checkLine)];
}

function engineLines({ engine, descriptions, tables, groups }: EngineReport): string[] {
  const lines = ["", `== ${[TITLES[engine], ...descriptions].join("; ")}`];
  if (tables.length > 0) lines.push("", ...HEAD);
  for (const { title, rows } of tables) lines.push("", title, ...rows.flatMap(rowLines));
  for (const group of groups) lines.push("", group.title, ...group.figures.map(figureLine));
  return lines;
}

/** The report as a table for people. */
export function watchReportTable({ machine, quick, engines, seconds }: WatchReport): string {
  return [
    `Node ${machine.node}, ${machine.cpuCount} × ${machine.cpu}, data in ${machine.directory}${quick ? ", quick" : ""}`,
    ...busyLines(machine),
    ...engines.flatMap(engineLines),
    "",
    ...LEGEND,
    `Took ${formatNumber(seconds)} s.`,
  ].join("\n");
}
