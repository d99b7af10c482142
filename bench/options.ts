import { tmpdir } from "node:os";
import { type ParseArgsConfig, parseArgs } from "node:util";

/** Everything that can be measured of each engine, by the name that `--only` takes. */
export const PARTS = {
  lmdb: [
    "get",
    "get-json",
    "set",
    "set-json",
    "batch-get",
    "batch-get-json",
    "batch-set",
    "large-get",
    "large-get-json",
    "large-set",
    "large-set-json",
    "durable",
    "million",
    "start",
  ],
  mongodb: ["get", "get-alone", "set", "set-ttl", "set-alone", "batch-get", "batch-set", "count-stores"],
} as const;

/** A storage engine, by the name that `--engine` takes. */
export type EngineName = keyof typeof PARTS;

/** One of the things that can be measured. */
export type Part = (typeof PARTS)[EngineName][number];

/** What to measure, and how long. */
export interface BenchOptions {
  readonly engine: EngineName;
  readonly quick: boolean;
  readonly parts: ReadonlySet<Part>;
  /** Where to write the report as JSON. */
  readonly json: string | undefined;
  /** An existing directory; the databases are made below it. */
  readonly directory: string;
  /** The built command line of the server. */
  readonly server: string;
}

/** The text of `--help`. */
export const HELP = `Usage: npm run bench -- [options]
       npm run bench -- watch [options]   (see watch --help)
       npm run bench -- clients [options] (see clients --help)

Measures the built server beside others, each in its own process, in alternating rounds, and prints the medians and
their ratios: with LMDB beside bare gRPC servers that store nothing, with MongoDB beside the bare driver and FiftyOne's
own store, which work on the same documents. It is a measurement, not a test: targets that are missed are shown.

MongoDB and FiftyOne are found as the tests find them, by the same environment variables. A MongoDB that runs already
(EXECUTION_STORE_TEST_MONGODB_URI) gets a database of its own, which is dropped at the end.

  --quick          a minute in place of five, with shorter rounds and fewer keys
  --only NAME      measure this only; may be repeated
                   (lmdb: ${PARTS.lmdb.slice(0, 7).join(", ")},
                   ${PARTS.lmdb.slice(7).join(", ")};
                   mongodb: ${PARTS.mongodb.join(", ")})
  --json FILE      write everything, every round included, to FILE as JSON
  --engine NAME    the storage engine: ${Object.keys(PARTS).join(" or ")} (default: lmdb)
  --dir DIRECTORY  make the databases below it; they are removed at the end (default: ${tmpdir()})
  --server FILE    measure another build (default: dist/src/main.js)
  --help           show this text
`;

/** A command line that cannot be understood; its message is one sentence for the user. */
export class UsageError extends Error {}

function isEngine(name: string): name is EngineName {
  return Object.hasOwn(PARTS, name);
}

function partsOf(engine: EngineName, only: readonly string[]): ReadonlySet<Part> {
  const all: readonly Part[] = PARTS[engine];
  const unknown = only.find((name) => !all.some((part) => part === name));
  if (unknown !== undefined) {
    throw new UsageError(
      `--only ${unknown} is not known for the engine ${engine}; expected one of ${all.join(", ")}`,
    );
  }
  return new Set(only.length === 0 ? all : all.filter((part) => only.includes(part)));
}

type NamedOptions = NonNullable<ParseArgsConfig["options"]>;

/** What all measurements take. */
export const COMMON_OPTIONS = {
  quick: { type: "boolean", default: false },
  only: { type: "string", multiple: true, default: [] as string[] },
  json: { type: "string" },
  engine: { type: "string" },
  dir: { type: "string", default: tmpdir() },
  server: { type: "string", default: "dist/src/main.js" },
  help: { type: "boolean", default: false },
} as const satisfies NamedOptions;

/** Takes a command line apart. Throws UsageError. */
export function parseArguments<Options extends NamedOptions>(args: readonly string[], options: Options) {
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** The one of the known names that an option has. Throws UsageError. */
export function oneOf<Name extends string>(option: string, name: string, known: readonly Name[]): Name {
  const found = known.find((each) => each === name);
  if (found === undefined) {
    throw new UsageError(`${option} ${name} is not known; expected one of ${known.join(", ")}`);
  }
  return found;
}

/** Reads the command line. Undefined: help was asked for. Throws UsageError. */
export function parseOptions(args: readonly string[]): BenchOptions | undefined {
  const { quick, only, json, engine = "lmdb", dir, server, help } = parseArguments(args, COMMON_OPTIONS);
  if (help) return undefined;
  if (!isEngine(engine)) {
    throw new UsageError(`--engine ${engine} is not known; expected one of ${Object.keys(PARTS).join(", ")}`);
  }
  return { engine, quick, parts: partsOf(engine, only), json, directory: dir, server };
}
