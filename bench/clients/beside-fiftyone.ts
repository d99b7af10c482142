import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MongoClient } from "mongodb";
import { findPython } from "../../test/fiftyone/python-environment.js";
import { databaseUri } from "../../test/support/mongodb/database-uri.js";
import { findMongodb } from "../../test/support/mongodb/find-mongodb.js";
import { type Child, startChild } from "../children.js";
import { BATCH_KEYS } from "../comparisons.js";
import { type DirectCall, directLoad, directPlan } from "../direct-load.js";
import { startExecutionStore } from "../execution-store-server.js";
import { TTL_SECONDS } from "../mongodb-comparisons.js";
import type { Target } from "../report.js";
import type { ClientsBench } from "./clients-bench.js";
import type { ClientPart } from "./clients-options.js";
import type { ClientsEngineReport } from "./clients-report.js";
import type { ClientCall } from "./load-plan.js";
import { type Comparison, type Contender, type ContenderTable, contend, contender } from "./measure.js";
import { prepare } from "./prepare.js";
import { type Loader, type Manner, startLoaders, warmUp } from "./programs.js";

/** Something that FiftyOne's own store does, too. */
interface Measurement {
  readonly part: ClientPart;
  readonly call: ClientCall;
  readonly title: string;
  readonly unit: string;
  /** What FiftyOne does beside it; undefined where it has nothing that compares. */
  readonly direct: DirectCall | undefined;
  /** Keys that a call stands for. */
  readonly keys?: number;
  /** What a manner of Python has to reach of FiftyOne with as many threads. */
  readonly targets: Readonly<Record<number, Target>>;
}

const MEASUREMENTS: readonly Measurement[] = [
  {
    part: "get",
    call: "get",
    title: "GetKey, 250 B",
    unit: "calls/s",
    direct: "get",
    targets: { 8: { atLeast: 0.5 } },
  },
  {
    part: "set",
    call: "set",
    title: "SetKey, 250 B",
    unit: "calls/s",
    direct: "set",
    targets: { 8: { atLeast: 0.8 } },
  },
  {
    part: "batch-get",
    call: "batch-get",
    title: `BatchGetKeys, ${BATCH_KEYS} keys; FiftyOne a key a call, ratios in keys`,
    unit: "calls/s",
    direct: "get",
    keys: BATCH_KEYS,
    targets: { 1: { atLeast: 10 } },
  },
  {
    part: "mirror",
    call: "mirror",
    title: "Reads of a mirror; FiftyOne's gets",
    unit: "reads/s",
    direct: "get",
    targets: { 1: { atLeast: 100 } },
  },
  {
    part: "watch",
    call: "round-trip",
    title: "SetKey, and its event in the same process",
    unit: "calls/s",
    direct: undefined,
    targets: {},
  },
];

const THREADS = [1, 8];

function fiftyOneName(threads: number): string {
  return threads === 1 ? "FiftyOne, one thread" : `FiftyOne, ${threads} threads`;
}

async function startFiftyOne(uri: string, database: string, directory: string): Promise<Child> {
  const plan = join(directory, "direct-plan.json");
  writeFileSync(plan, JSON.stringify(directPlan(uri, database, TTL_SECONDS)));
  const file = fileURLToPath(new URL("../fiftyone-load.py", import.meta.url));
  return startChild("FiftyOne", [file, plan], await findPython());
}

function besideOf({ direct }: Measurement, fiftyOne: Child): Contender[] {
  if (direct === undefined) return [];
  return THREADS.map((atOnce) => ({
    name: fiftyOneName(atOnce),
    pid: fiftyOne.pid,
    load: (ms: number) => directLoad(fiftyOne, { call: direct, atOnce, ms }),
    told: [],
  }));
}

function comparisonsOf({ direct, keys = 1, targets }: Measurement, manners: readonly Manner[]): Comparison[] {
  if (direct === undefined) return [];
  return manners
    .filter(({ language, asyncio }) => language === "python" && !asyncio)
    .map(({ name, atOnce }) => {
      const target = targets[atOnce];
      const by = fiftyOneName(atOnce);
      const comparison = { name: `${name} ÷ ${by}`, of: name, by, factor: keys };
      return target === undefined ? comparison : { ...comparison, target };
    });
}

async function measure(
  measurement: Measurement,
  loaders: readonly Loader[],
  fiftyOne: Child,
  server: Child,
  { pace }: ClientsBench,
): Promise<ContenderTable> {
  const { call, title, unit } = measurement;
  const takingPart = loaders.filter(
    ({ manner }) => (call !== "mirror" && call !== "round-trip") || manner.watches,
  );
  const clients = takingPart.map(({ manner, child }) =>
    contender(manner.name, child, server, {
      by: "client",
      values: true,
      call,
      atOnce: manner.atOnce,
    }),
  );
  const manners = takingPart.map(({ manner }) => manner);
  return contend(
    { title, unit },
    [...clients, ...besideOf(measurement, fiftyOne)],
    comparisonsOf(measurement, manners),
    pace,
  );
}

function print(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Measures clients over MongoDB, beside FiftyOne's own store on the same documents. */
export async function measureBesideFiftyOne(bench: ClientsBench): Promise<ClientsEngineReport> {
  const { options, directory, goProgram, progress } = bench;
  const found = await findMongodb(process.env, print, options.directory);
  const name = `execution_store_bench_${randomBytes(4).toString("hex")}`;
  const uri = databaseUri(found.uri, name);
  if (!found.temporary) print(`the database is ${name}; it is left if this is interrupted`);
  try {
    const server = await startExecutionStore(options.server, uri);
    const { plan } = await prepare(server, directory, false);
    const loaders = await startLoaders(options.languages, goProgram, plan);
    const fiftyOne = await startFiftyOne(uri, name, directory);
    progress("nothing yet, warming up");
    await warmUp(loaders, server, bench.pace.warmUpMs);
    const tables: ContenderTable[] = [];
    for (const measurement of MEASUREMENTS.filter(({ part }) => options.parts.has(part))) {
      progress(`${measurement.title}, on MongoDB`);
      tables.push(await measure(measurement, loaders, fiftyOne, server, bench));
    }
    const children = [server, fiftyOne, ...new Set(loaders.map(({ child }) => child))];
    await Promise.all(children.map((child) => child.stop()));
    return { engine: "mongodb", database: found.description, tables };
  } finally {
    if (!found.temporary) await drop(uri);
    await found.close();
  }
}

async function drop(uri: string): Promise<void> {
  await using client = new MongoClient(uri);
  await client.db().dropDatabase();
}
