import { tmpdir } from "node:os";
import { COMMON_OPTIONS, type EngineName, oneOf, parseArguments } from "../options.js";

/** What can be measured of clients, by the name that `--only` takes. */
export const CLIENT_PARTS = ["get", "set", "batch-get", "mirror", "watch"] as const;

/** One of the things that can be measured. */
export type ClientPart = (typeof CLIENT_PARTS)[number];

/** The languages that have a client, by the name that `--language` takes. */
export const LANGUAGES = ["typescript", "python", "go"] as const;

/** One of the languages. */
export type Language = (typeof LANGUAGES)[number];

const OPTIONS = {
  ...COMMON_OPTIONS,
  language: { type: "string", multiple: true, default: [] as string[] },
} as const;
const ENGINES: readonly EngineName[] = ["lmdb", "mongodb"];

/** What to measure, and how long. */
export interface ClientsBenchOptions {
  readonly engines: readonly EngineName[];
  readonly languages: readonly Language[];
  readonly parts: ReadonlySet<ClientPart>;
  readonly quick: boolean;
  /** Where to write the report as JSON. */
  readonly json: string | undefined;
  /** An existing directory; the databases are made below it. */
  readonly directory: string;
  /** The built command line of the server. */
  readonly server: string;
}

/** The text of `clients --help`. */
export const CLIENTS_HELP = `Usage: npm run bench -- clients [options]

Measures the clients of all languages, each in one process, in alternating rounds: over LMDB beside the bare generated stub
of their language, which calls an empty server that answers the same bytes; over MongoDB beside FiftyOne's own store,
which works on the same documents. It is a measurement, not a test: targets that are missed are shown.

The empty server is written in Go, so that it is not what limits a client, and Go is needed in any case. Python's packages
are those that the client's tests use. MongoDB and FiftyOne are found as the tests find them.

  --quick          a third of the time
  --engine NAME    one storage engine: ${ENGINES.join(" or ")} (default: both)
  --language NAME  the client of this language only; may be repeated
                   (${LANGUAGES.join(", ")})
  --only NAME      measure this only; may be repeated
                   (${CLIENT_PARTS.join(", ")})
  --json FILE      write everything to FILE as JSON
  --dir DIRECTORY  make the databases below it; they are removed at the end (default: ${tmpdir()})
  --server FILE    measure another build (default: dist/src/main.js)
  --help           show this text
`;

/** Reads the command line behind `clients`. Undefined: help was asked for. Throws UsageError. */
export function parseClientsOptions(args: readonly string[]): ClientsBenchOptions | undefined {
  const { quick, engine, only, language, json, dir, server, help } = parseArguments(args, OPTIONS);
  if (help) return undefined;
  const parts = only.map((name) => oneOf("--only", name, CLIENT_PARTS));
  const languages = language.map((name) => oneOf("--language", name, LANGUAGES));
  return {
    engines: engine === undefined ? ENGINES : [oneOf("--engine", engine, ENGINES)],
    languages: languages.length === 0 ? LANGUAGES : LANGUAGES.filter((each) => languages.includes(each)),
    parts: new Set(parts.length === 0 ? CLIENT_PARTS : parts),
    quick,
    json,
    directory: dir,
    server,
  };
}
