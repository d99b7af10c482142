import { join } from "node:path";
import type { Child } from "../children.js";
import { startExecutionStore } from "../execution-store-server.js";
import type { ClientsBench } from "./clients-bench.js";
import type { ClientPart } from "./clients-options.js";
import type { ClientsEngineReport } from "./clients-report.js";
import type { ClientCall } from "./load-plan.js";
import { type Comparison, type ContenderTable, contend, contender } from "./measure.js";
import { prepare } from "./prepare.js";
import { type Loader, type Manner, startEcho, startLoaders, warmUp } from "./programs.js";

/** Who takes part, by name. */
const CONTENDERS = {
  "client, server": { by: "client", values: true, empty: false },
  "client, empty server": { by: "client", values: true, empty: true },
  "stub and BSON library, empty server": { by: "stub", values: true, empty: true },
  "client with raw values, empty server": { by: "client", values: false, empty: true },
  "bare stub, empty server": { by: "stub", values: false, empty: true },
  "stub and BSON library, server": { by: "stub", values: true, empty: false },
} as const;

type Name = keyof typeof CONTENDERS;

/** Of the rate of a stub, that a client has to reach. */
const TARGET = { atLeast: 0.8 };

/** The servers that are called. */
interface Servers {
  readonly store: Child;
  readonly empty: Child;
}

/** Something that is measured beside the stub. */
interface Measurement {
  readonly part: ClientPart;
  readonly call: ClientCall;
  readonly title: string;
  readonly unit: string;
  readonly contenders: readonly Name[];
  readonly comparisons: readonly Comparison[];
  /** Whether every manner of calling is measured, or one for each language. */
  readonly everyManner: boolean;
}

const CALLS = {
  unit: "calls/s",
  contenders: [
    "client, server",
    "client, empty server",
    "stub and BSON library, empty server",
    "client with raw values, empty server",
    "bare stub, empty server",
  ],
  comparisons: [
    {
      name: "client ÷ stub and BSON library, at the empty server",
      of: "client, empty server",
      by: "stub and BSON library, empty server",
      target: TARGET,
    },
    {
      name: "client with raw values ÷ bare stub, at the empty server",
      of: "client with raw values, empty server",
      by: "bare stub, empty server",
      target: TARGET,
    },
    {
      name: "client ÷ bare stub, at the empty server",
      of: "client, empty server",
      by: "bare stub, empty server",
    },
    {
      name: "client at the server ÷ bare stub at the empty one",
      of: "client, server",
      by: "bare stub, empty server",
    },
  ],
  everyManner: true,
} as const;

const MEASUREMENTS: readonly Measurement[] = [
  // First, since the history that is caught up on is bounded, and sets grow it.
  {
    ...CALLS,
    part: "watch",
    call: "catch-up",
    title: "Changes of a watch, 250 B each",
    unit: "events/s",
    everyManner: false,
  },
  {
    part: "watch",
    call: "round-trip",
    title: "SetKey, and its event in the same process",
    unit: "calls/s",
    contenders: ["client, server", "stub and BSON library, server"],
    comparisons: [
      {
        name: "client ÷ stub and BSON library",
        of: "client, server",
        by: "stub and BSON library, server",
        target: TARGET,
      },
    ],
    everyManner: false,
  },
  { ...CALLS, part: "get", call: "get", title: "GetKey, 250 B" },
  { ...CALLS, part: "set", call: "set", title: "SetKey, 250 B" },
  { ...CALLS, part: "batch-get", call: "batch-get", title: "BatchGetKeys, 100 keys" },
  {
    part: "mirror",
    call: "mirror",
    title: "Reads of a mirror",
    unit: "reads/s",
    contenders: ["client, server"],
    comparisons: [],
    everyManner: false,
  },
];

async function measure(
  { title, unit, call, contenders, comparisons, everyManner }: Measurement,
  { manner, child }: Loader,
  { store, empty }: Servers,
  { pace }: ClientsBench,
): Promise<ContenderTable> {
  const all = contenders.map((name) => {
    const { by, values, empty: atEmpty } = CONTENDERS[name];
    const server = atEmpty ? empty : store;
    const atOnce = everyManner ? manner.atOnce : 1;
    return contender(name, child, server, { by, values, call, atOnce });
  });
  return contend({ title: `${title}: ${manner.name}`, unit }, all, comparisons, pace);
}

function takesPart(manner: Manner, { everyManner }: Measurement): boolean {
  return everyManner || manner.watches;
}

/** Measures clients over the embedded engine, beside the stubs of their languages. */
export async function measureBesideStubs(bench: ClientsBench): Promise<ClientsEngineReport> {
  const { options, directory, goProgram, progress } = bench;
  const store = await startExecutionStore(options.server, `lmdb:${join(directory, "store")}`);
  const prepared = await prepare(store, directory, true);
  const empty = await startEcho(goProgram, directory, prepared);
  const loaders = await startLoaders(options.languages, goProgram, prepared.plan);
  progress("nothing yet, warming up");
  await warmUp(loaders, store, bench.pace.warmUpMs);
  const tables: ContenderTable[] = [];
  for (const measurement of MEASUREMENTS.filter(({ part }) => options.parts.has(part))) {
    for (const loader of loaders.filter(({ manner }) => takesPart(manner, measurement))) {
      progress(`${measurement.title}: ${loader.manner.name}`);
      tables.push(await measure(measurement, loader, { store, empty }, bench));
    }
  }
  await Promise.all(
    [store, empty, ...new Set(loaders.map(({ child }) => child))].map((child) => child.stop()),
  );
  return { engine: "lmdb", database: undefined, tables };
}
