import type { Load } from "./load.js";
import { cpuMs } from "./process-figures.js";

/** A process under load. */
export interface Subject {
  readonly name: string;
  readonly pid: number;
  /** Loads it for so many milliseconds. */
  readonly load: (ms: number) => Promise<Load>;
}

/** How long to load. */
export interface Pace {
  /** Rounds, each of which loads every subject once. */
  readonly rounds: number;
  /** Load on one subject in one round. */
  readonly roundMs: number;
  /** Load on each subject before the first round, which counts for nothing. */
  readonly warmUpMs: number;
}

/** One round of one subject. */
export interface Round extends Load {
  readonly callsPerSecond: number;
  /** Processor time of the subject; undefined where the system does not tell. */
  readonly cpuMs: number | undefined;
}

/** All rounds of one subject. */
export interface SubjectRounds {
  readonly name: string;
  readonly rounds: readonly Round[];
  readonly medianCallsPerSecond: number;
  /** Processor time a call, over all rounds, in microseconds. */
  readonly cpuMicrosPerCall: number | undefined;
  /** Cores that were busy on average: 1 is a full one. */
  readonly cores: number | undefined;
}

/** The middle value, or the mean of the two in the middle. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2;
}

/** The median over the rounds of one subject's rate by another's in the same round, so that slow drifts cancel out. */
export function rateRatio(subject: SubjectRounds, baseline: SubjectRounds): number {
  return median(
    subject.rounds.map(
      (round, index) => round.callsPerSecond / (baseline.rounds[index]?.callsPerSecond ?? Number.NaN),
    ),
  );
}

async function loadOnce(subject: Subject, ms: number): Promise<Round> {
  const before = cpuMs(subject.pid);
  const done = await subject.load(ms);
  const after = cpuMs(subject.pid);
  return {
    ...done,
    callsPerSecond: (1000 * done.calls) / done.ms,
    cpuMs: before === undefined || after === undefined ? undefined : after - before,
  };
}

function summary(name: string, rounds: readonly Round[]): SubjectRounds {
  const sum = (of: (item: Round) => number): number => rounds.reduce((total, item) => total + of(item), 0);
  const cpu = rounds.some((item) => item.cpuMs === undefined) ? undefined : sum((item) => item.cpuMs ?? 0);
  return {
    name,
    rounds,
    medianCallsPerSecond: median(rounds.map((item) => item.callsPerSecond)),
    cpuMicrosPerCall: cpu === undefined ? undefined : (1000 * cpu) / sum((item) => item.calls),
    cores: cpu === undefined ? undefined : cpu / sum((item) => item.ms),
  };
}

/** Loads the subjects in alternation, each round beginning with another one, and answers in their order. */
export async function alternate(subjects: readonly Subject[], pace: Pace): Promise<readonly SubjectRounds[]> {
  for (const subject of subjects) await subject.load(pace.warmUpMs);
  const rounds = subjects.map((): Round[] => []);
  for (let turn = 0; turn < pace.rounds; turn++) {
    for (let step = 0; step < subjects.length; step++) {
      const index = (turn + step) % subjects.length;
      const subject = subjects[index];
      if (subject !== undefined) rounds[index]?.push(await loadOnce(subject, pace.roundMs));
    }
  }
  return subjects.map((subject, index) => summary(subject.name, rounds[index] ?? []));
}
