import { realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Command } from "commander";
import { ConfigError } from "../config/config-error.js";
import { type Option, optional, parseFlag, resolveOptions, variableOf } from "../config/options.js";
import { parseStoreUri, type StoreLocation } from "../config/store-uri.js";
import { SERVE_OPTIONS } from "../config.js";
import { DEFAULT_COLLECTION } from "../store/limits.js";
import { addOptions } from "./add-options.js";
import type { CopyRequest } from "./copy.js";
import { ARGUMENT_OF, type Role } from "./copy-problem.js";

/** The options of `copy` that may be set in the environment, too; what a server serves is what is copied. */
export const COPY_OPTIONS = {
  collections: {
    ...SERVE_OPTIONS.collections,
    help: `Collections to copy besides ${DEFAULT_COLLECTION}, with commas between them.`,
  },
};

/** The ends of a copy where no argument names them: variables keep passwords out of the process list. */
export const COPY_URIS = { source: uriOption("source"), target: uriOption("target") };

const HELP = `
Each URI names a store as --store of a server does: lmdb:PATH, or mongodb://… and mongodb+srv://… with the name of the
database. A URI that is left out is taken from the variable ${variableOf(COPY_URIS.source)} or
${variableOf(COPY_URIS.target)}, which keeps its password out of the process list.

Values, times, policies and expiry stay as they are; etags become new ones. A document that the target has
already and that is equal is left alone, so that a copy that was interrupted goes on where it was; one that differs is
left alone and reported, unless --overwrite is given. What only the target has stays. At the end every document of the
source is compared with the target's.

No server is needed. An LMDB directory must not be in use by a server meanwhile; a MongoDB may be, but what changes
there during the copy is reported as different: stop the writers, and run the command again with --overwrite.

Examples:
  $ execution-store copy lmdb:./execution-store.lmdb 'mongodb://db.example.com/execution_store?replicaSet=rs0'
  $ execution-store copy mongodb://127.0.0.1/execution_store lmdb:./copy --collections tenants
  $ ${variableOf(COPY_URIS.target)}=mongodb://user:password@db.example.com/things execution-store copy lmdb:./old

Exit codes:
  0  all that the source has is in the target and equal; but for expired documents, and what is no document of a
     store, which are counted
  1  something is not in the target, or different there; or a fault that the others do not name
  2  wrong usage, configuration or input
  4  a database cannot be reached, or did not answer in time`;

/** Runs a copy to its end. */
export type RunCopy = (request: CopyRequest) => Promise<void>;

/** Adds the command that moves documents from one store to another. */
export function addCopyCommand(program: Command, run: RunCopy): void {
  const command = program
    .command("copy")
    .summary("Copy everything from one store to another, for moving between LMDB and MongoDB.")
    .description("Copy everything from one store to another, for moving between LMDB and MongoDB.")
    .argument("[SOURCE_URI]", `the store to copy from; or in ${variableOf(COPY_URIS.source)}`)
    .argument(
      "[TARGET_URI]",
      `the store to copy to, made if it is missing; or in ${variableOf(COPY_URIS.target)}`,
    )
    .option("--overwrite", "Replace documents of the target that differ from the source's.")
    .addHelpText("after", HELP);
  addOptions(command, COPY_OPTIONS).action(
    async (
      sourceText: string | undefined,
      targetText: string | undefined,
      flags: Readonly<Record<string, unknown>>,
    ) => {
      const { values } = resolveOptions(COPY_OPTIONS, { flags, environment: process.env });
      const source = locationOf("source", sourceText);
      const target = locationOf("target", targetText);
      if (identityOf(source) === identityOf(target)) {
        throw new ConfigError("SOURCE_URI and TARGET_URI name the same store; expected two different ones");
      }
      const collections = [...new Set([DEFAULT_COLLECTION, ...values.collections])];
      await run({ source, target, collections, overwrite: flags["overwrite"] === true });
    },
  );
}

function uriOption(role: Role): Option<StoreLocation | undefined> {
  return optional({
    name: `copy-${role}`,
    placeholder: "URI",
    help: `The store to copy ${role === "source" ? "from" : "to"}.`,
    parse: parseStoreUri,
  });
}

/** What the argument names, else the variable. */
function locationOf(role: Role, text: string | undefined): StoreLocation {
  const argument = ARGUMENT_OF[role];
  if (text !== undefined) return parseFlag(argument, () => parseStoreUri(text));
  const { values } = resolveOptions({ uri: COPY_URIS[role] }, { flags: {}, environment: process.env });
  if (values.uri !== undefined) return values.uri;
  const variable = variableOf(COPY_URIS[role]);
  throw new ConfigError(
    `${argument} is missing; expected the URI of a store as an argument, or in the variable ${variable}`,
  );
}

/** Equal for two locations that are certainly one: whatever links lead to a directory. */
function identityOf(location: StoreLocation): string {
  return location.engine === "lmdb" ? `lmdb:${realPath(location.path)}` : location.uri;
}

/** The path without links, as far as it is there. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(realPath(parent), basename(path));
  }
}
