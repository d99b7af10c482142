import { tmpdir } from "node:os";
import { parseArgs } from "node:util";

/** Everything that can be measured, by the name that `--only` takes. */
export const PARTS = [
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
] as const;

/** One of the things that can be measured. */
export type Part = (typeof PARTS)[number];

/** What to measure, and how long. */
export interface BenchOptions {
  readonly engine: "lmdb";
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

Measures the built server beside bare gRPC servers that store nothing, each in its own process, in alternating
rounds, and prints the medians and their ratios. It is a measurement, not a test: targets that are missed are shown.

  --quick          a minute in place of five, with shorter rounds and fewer keys
  --only NAME      measure this only; may be repeated
                   (${PARTS.slice(0, 7).join(", ")},
                   ${PARTS.slice(7).join(", ")})
  --json FILE      write everything, every round included, to FILE as JSON
  --engine NAME    the storage engine; lmdb is the only one (default: lmdb)
  --dir DIRECTORY  make the databases below it; they are removed at the end (default: ${tmpdir()})
  --server FILE    measure another build (default: dist/src/main.js)
  --help           show this text
`;

/** A command line that cannot be understood; its message is one sentence for the user. */
export class UsageError extends Error {}

function isPart(name: string): name is Part {
  return (PARTS as readonly string[]).includes(name);
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: "boolean", default: false },
        only: { type: "string", multiple: true, default: [] },
        json: { type: "string" },
        engine: { type: "string", default: "lmdb" },
        dir: { type: "string", default: tmpdir() },
        server: { type: "string", default: "dist/src/main.js" },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** Reads the command line. Undefined: help was asked for. Throws UsageError. */
export function parseOptions(args: readonly string[]): BenchOptions | undefined {
  const { quick, only, json, engine, dir, server, help } = parsed(args);
  if (help) return undefined;
  if (engine !== "lmdb") {
    throw new UsageError(`--engine ${engine} is not known; the only engine there is to measure is lmdb`);
  }
  const unknown = only.find((name) => !isPart(name));
  if (unknown !== undefined) {
    throw new UsageError(`--only ${unknown} is not known; expected one of ${PARTS.join(", ")}`);
  }
  const parts = new Set(only.length === 0 ? PARTS : only.filter(isPart));
  return { engine, quick, parts, json, directory: dir, server };
}
