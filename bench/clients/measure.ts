import type { Child } from "../children.js";
import type { Load } from "../load.js";
import { cpuMs } from "../process-figures.js";
import type { Figure, Target } from "../report.js";
import { alternate, median, type Pace, rateRatio, type Subject, type SubjectRounds } from "../rounds.js";
import { clientLoad, type LoadAnswer, type LoadRequest } from "./load-plan.js";

/** What there is to know of one load. */
interface LoadFigures extends LoadAnswer {
  /** Processor time of the server that was called; undefined where the system does not tell. */
  readonly serverCpuMs: number | undefined;
}

/** Something that makes calls. */
export interface Contender extends Subject {
  /** Of every load so far, where it tells. */
  readonly told: readonly LoadFigures[];
}

/** One contender in a table. */
export interface ContenderRow extends SubjectRounds {
  /** Milliseconds a call, the median over the rounds; undefined where they are not told. */
  readonly p50: number | undefined;
  readonly p99: number | undefined;
  /** Processor time of the server a call, in microseconds; undefined where there is none, or it is not told. */
  readonly serverMicrosPerCall: number | undefined;
}

/** Contenders that did the same, in alternating rounds. */
export interface ContenderTable {
  readonly title: string;
  /** What is counted, such as `calls/s`. */
  readonly unit: string;
  readonly rows: readonly ContenderRow[];
  /** Made of their rates: what should reach something, or is of interest. */
  readonly checks: readonly Figure[];
}

/** One rate of a table by another. */
export interface Comparison {
  readonly name: string;
  /** The names of contenders. */
  readonly of: string;
  readonly by: string;
  /** Where a call of the first stands for several of the second. */
  readonly factor?: number;
  readonly target?: Target;
}

/** A process that loads a server as it is asked to. */
export function contender(
  name: string,
  child: Child,
  server: Child,
  request: Omit<LoadRequest, "ms" | "server">,
): Contender {
  const told: LoadFigures[] = [];
  const load = async (ms: number): Promise<Load> => {
    const before = cpuMs(server.pid);
    const answer = await clientLoad(child, { ...request, server: `127.0.0.1:${server.port}`, ms });
    const after = cpuMs(server.pid);
    const serverCpuMs = before === undefined || after === undefined ? undefined : after - before;
    told.push({ ...answer, serverCpuMs });
    return answer;
  };
  return { name, pid: child.pid, load, told };
}

function rowOf(rounds: SubjectRounds, told: readonly LoadFigures[], timed: boolean): ContenderRow {
  // What comes before the rounds is warming up.
  const counted = told.slice(-rounds.rounds.length);
  const middle = (of: (item: LoadFigures) => number) =>
    timed && counted.length > 0 ? median(counted.map(of)) : undefined;
  const sum = (of: (item: LoadFigures) => number) => counted.reduce((total, item) => total + of(item), 0);
  const serverCpu = sum(({ serverCpuMs }) => serverCpuMs ?? Number.NaN);
  return {
    ...rounds,
    p50: middle(({ p50 }) => p50),
    p99: middle(({ p99 }) => p99),
    serverMicrosPerCall: counted.length === 0 ? undefined : (1000 * serverCpu) / sum(({ calls }) => calls),
  };
}

function checkOf({ name, of, by, factor = 1, target }: Comparison, rows: readonly SubjectRounds[]): Figure {
  const [first, second] = [of, by].map((wanted) => rows.find((row) => row.name === wanted));
  if (first === undefined || second === undefined) throw new Error(`there is no ${of}, or no ${by}`);
  const figure = { name, value: factor * rateRatio(first, second), unit: "" };
  return target === undefined ? figure : { ...figure, target };
}

/** Has contenders do the same in alternation. */
export async function contend(
  table: Pick<ContenderTable, "title" | "unit">,
  contenders: readonly Contender[],
  comparisons: readonly Comparison[],
  pace: Pace,
): Promise<ContenderTable> {
  const results = await alternate(contenders, pace);
  const timed = table.unit === "calls/s";
  const rows = results.map((rounds, index) => rowOf(rounds, contenders[index]?.told ?? [], timed));
  return { ...table, rows, checks: comparisons.map((each) => checkOf(each, rows)) };
}
