import { tmpdir } from "node:os";
import { COMMON_OPTIONS, type EngineName, oneOf, parseArguments } from "../options.js";

/** What can be measured of watches, by the name that `--only` takes. */
export const WATCH_PARTS = [
  "distinct",
  "fan-out",
  "saturation",
  "idle",
  "expiry",
  "history",
  "peers",
] as const;

/** One of the things that can be measured. */
export type WatchPart = (typeof WATCH_PARTS)[number];

const OPTIONS = { ...COMMON_OPTIONS, profile: { type: "string" } } as const;
const ENGINES: readonly EngineName[] = ["lmdb", "mongodb"];

/** What to measure, and how long. */
export interface WatchBenchOptions {
  readonly engines: readonly EngineName[];
  readonly parts: ReadonlySet<WatchPart>;
  readonly quick: boolean;
  /** Where to write the report as JSON. */
  readonly json: string | undefined;
  /** An existing directory for profiles of the server's processor time. */
  readonly profiles: string | undefined;
  /** An existing directory; the databases are made below it. */
  readonly directory: string;
  /** The built command line of the server. */
  readonly server: string;
}

/** The text of `watch --help`. */
export const WATCH_HELP = `Usage: npm run bench -- watch [options]

Measures the watches of the built server: how long events take from a write to all who watch its key, how many a second
are delivered, what idle watchers cost, how late expiries are told, how long snapshots and the reading of history take.
Over LMDB beside etcd, over MongoDB beside FiftyOne's notification service on the same database. Server, writer and
watchers are processes of their own. It is a measurement, not a test: targets that are missed are shown.

MongoDB and FiftyOne are found as the tests find them, by the same environment variables. etcd is the one on the PATH, or
Debian's, which is fetched once into the user's cache. What cannot be had is left out.

  --quick          a third of the time, with fewer watchers and keys
  --engine NAME    one storage engine: ${ENGINES.join(" or ")} (default: both)
  --only NAME      measure this only; may be repeated
                   (${WATCH_PARTS.join(", ")})
  --json FILE      write everything to FILE as JSON
  --profile DIRECTORY
                   write profiles of the server's processor time there, which costs some of it
  --dir DIRECTORY  make the databases below it; they are removed at the end (default: ${tmpdir()})
  --server FILE    measure another build (default: dist/src/main.js)
  --help           show this text
`;

/** Reads the command line behind `watch`. Undefined: help was asked for. Throws UsageError. */
export function parseWatchOptions(args: readonly string[]): WatchBenchOptions | undefined {
  const { quick, engine, only, json, profile, dir, server, help } = parseArguments(args, OPTIONS);
  if (help) return undefined;
  const parts = only.map((name) => oneOf("--only", name, WATCH_PARTS));
  return {
    engines: engine === undefined ? ENGINES : [oneOf("--engine", engine, ENGINES)],
    parts: new Set(parts.length === 0 ? WATCH_PARTS : parts),
    quick,
    json,
    profiles: profile,
    directory: dir,
    server,
  };
}
