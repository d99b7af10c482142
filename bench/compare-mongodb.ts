import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MongoClient } from "mongodb";
import { findPython } from "../test/fiftyone/python-environment.js";
import { leavesOut, WITHOUT } from "../test/support/left-out.js";
import { databaseUri } from "../test/support/mongodb/database-uri.js";
import { findMongodb } from "../test/support/mongodb/find-mongodb.js";
import { type BenchClient, createBenchClient, methodPath } from "./bench-client.js";
import { type Child, startChild } from "./children.js";
import { STORES } from "./comparisons.js";
import { directLoad, directPlan } from "./direct-load.js";
import { startExecutionStore } from "./execution-store-server.js";
import { load } from "./load.js";
import { MONGODB_COMPARISONS, type MongodbComparison, TTL_SECONDS } from "./mongodb-comparisons.js";
import type { BenchOptions } from "./options.js";
import type { ComparisonResult, Figure, FigureGroup, Ratio } from "./report.js";
import { alternate, type Pace, rateRatio, type Subject, type SubjectRounds } from "./rounds.js";
import { storeCounts } from "./store-counts.js";
import { writeSmallValues } from "./write-values.js";

const CONNECTIONS = 4;
const SERVER = "execution-store";
const DRIVER_CALLS = { get: "findOne", set: "findOneAndUpdate", "set-ttl": "findOneAndUpdate" } as const;
// Processes that were just started run code that is not compiled yet: the first warm-up is that much longer.
const FIRST_WARM_UP = 4;
const COUNTS_A_ROUND = 3;

/** What was measured over MongoDB. */
export interface MongodbMeasurements {
  readonly comparisons: readonly ComparisonResult[];
  readonly groups: readonly FigureGroup[];
  /** Which MongoDB it was, for people. */
  readonly database: string;
}

/** Everything that works on the one database. */
interface Processes {
  readonly store: Child;
  readonly driver: Child;
  /** Undefined where there is no FiftyOne. */
  readonly fiftyOne: Child | undefined;
}

/** The measured server on its database, and how the others come to work on it. */
interface Deployment {
  readonly store: Child;
  readonly client: BenchClient;
  readonly startOthers: () => Promise<Omit<Processes, "store">>;
}

/** A comparison with what it sends and what the server answers. */
interface Prepared {
  readonly comparison: MongodbComparison;
  readonly messages: readonly Buffer[];
  readonly requestBytes: number;
  readonly responseBytes: number;
}

function print(line: string): void {
  process.stderr.write(`${line}\n`);
}

function pathOf(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}

async function startFiftyOne(plan: string): Promise<Child | undefined> {
  if (leavesOut("fiftyone")) {
    print(`FiftyOne is left out, as ${WITHOUT} says.`);
    return undefined;
  }
  let python: string;
  try {
    python = await findPython();
  } catch (error) {
    print(`FiftyOne is left out. ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
  return startChild("FiftyOne", [pathOf("./fiftyone-load.py"), plan], python);
}

async function prepare(comparison: MongodbComparison, client: BenchClient): Promise<Prepared> {
  const messages = comparison.messages();
  const first = messages[0] ?? Buffer.alloc(0);
  const reply = await client.call(comparison.method, first);
  return { comparison, messages, requestBytes: first.length, responseBytes: reply.length };
}

function subjectsOf({ comparison, messages }: Prepared, { store, driver, fiftyOne }: Processes): Subject[] {
  const { method, inFlight, direct: call, driverInFlight, threads } = comparison;
  const workload = { path: methodPath(method), messages, connections: CONNECTIONS, inFlight };
  const ownLoad = (child: Child, atOnce: number) => (ms: number) => directLoad(child, { call, atOnce, ms });
  return [
    { name: SERVER, pid: store.pid, load: (ms) => load(store.port, workload, ms) },
    {
      name: `bare driver, ${DRIVER_CALLS[call]}`,
      pid: driver.pid,
      load: ownLoad(driver, driverInFlight),
    },
    ...(fiftyOne === undefined
      ? []
      : threads.map((count) => ({
          name: `FiftyOne, ${count === 1 ? "one thread" : `${count} threads`}`,
          pid: fiftyOne.pid,
          load: ownLoad(fiftyOne, count),
        }))),
  ];
}

/** By the bare driver, which comes next to the server itself, and by FiftyOne; in keys a second. */
function ratiosOf({ keys = 1, ratio: target }: MongodbComparison, rounds: readonly SubjectRounds[]): Ratio[] {
  const [store, ...baselines] = rounds;
  if (store === undefined) return [];
  return baselines.map((baseline, index) => {
    const ratio = { baseline: baseline.name, ratio: keys * rateRatio(store, baseline) };
    return index > 0 || target === undefined ? ratio : { ...ratio, target };
  });
}

function figureOf({ keys, inFlight }: MongodbComparison, callsPerSecond: number): Figure | undefined {
  if (keys !== undefined) return { name: "keys", value: callsPerSecond * keys, unit: "keys/s" };
  return inFlight === 1 ? { name: "a call", value: 1000 / callsPerSecond, unit: "ms" } : undefined;
}

async function compareOne(prepared: Prepared, processes: Processes, pace: Pace): Promise<ComparisonResult> {
  const { comparison, requestBytes, responseBytes } = prepared;
  const subjects = await alternate(subjectsOf(prepared, processes), pace);
  return {
    name: comparison.part,
    title: comparison.title,
    inFlight: comparison.inFlight,
    connections: Math.min(CONNECTIONS, comparison.inFlight),
    requestBytes,
    responseBytes,
    subjects,
    ratios: ratiosOf(comparison, subjects),
    figure: figureOf(comparison, subjects[0]?.medianCallsPerSecond ?? Number.NaN),
  };
}

/** Measures the comparisons one after the other, on processes that live for all of them. */
async function compareAll(
  wanted: readonly MongodbComparison[],
  { store, client, startOthers }: Deployment,
  pace: Pace,
  progress: (text: string) => void,
): Promise<readonly ComparisonResult[]> {
  if (wanted.length === 0) return [];
  // Written once before the rounds, so that all of them change what is there.
  for (const name of [STORES.small, STORES.writes, STORES.leases]) await writeSmallValues(client, name);
  const prepared: Prepared[] = [];
  for (const comparison of wanted) prepared.push(await prepare(comparison, client));
  const processes = { store, ...(await startOthers()) };
  progress("nothing yet, warming up");
  for (const first of prepared.slice(0, 1).flatMap((item) => subjectsOf(item, processes))) {
    await first.load(FIRST_WARM_UP * pace.warmUpMs);
  }
  const results: ComparisonResult[] = [];
  for (const item of prepared) {
    progress(item.comparison.title);
    results.push(await compareOne(item, processes, pace));
  }
  await Promise.all([processes.driver.stop(), processes.fiftyOne?.stop()]);
  return results;
}

/** Measures the server on a MongoDB, which is found as the tests find theirs, in a database of its own. */
export async function compareMongodb(
  options: BenchOptions,
  directory: string,
  pace: Pace,
  progress: (text: string) => void,
): Promise<MongodbMeasurements> {
  const found = await findMongodb(process.env, print, options.directory);
  const name = `execution_store_bench_${randomBytes(4).toString("hex")}`;
  const uri = databaseUri(found.uri, name);
  if (!found.temporary) print(`the database is ${name}; it is left if this is interrupted`);
  try {
    const store = await startExecutionStore(options.server, uri);
    const client = createBenchClient(store.port);
    const startOthers = async () => {
      const plan = join(directory, "direct-plan.json");
      writeFileSync(plan, JSON.stringify(directPlan(uri, name, TTL_SECONDS)));
      const driver = await startChild("the bare driver", [
        "--import",
        "tsx",
        pathOf("./driver-load.ts"),
        plan,
      ]);
      return { driver, fiftyOne: await startFiftyOne(plan) };
    };
    const wanted = MONGODB_COMPARISONS.filter(({ part }) => options.parts.has(part));
    const comparisons = await compareAll(wanted, { store, client, startOthers }, pace, progress);
    const groups: FigureGroup[] = [];
    if (options.parts.has("count-stores")) {
      progress("counting stores");
      groups.push(await storeCounts(uri, client, COUNTS_A_ROUND * pace.rounds));
    }
    client.close();
    await store.stop();
    return { comparisons, groups, database: found.description };
  } finally {
    if (!found.temporary) await drop(uri);
    await found.close();
  }
}

async function drop(uri: string): Promise<void> {
  await using client = new MongoClient(uri);
  await client.db().dropDatabase();
}
