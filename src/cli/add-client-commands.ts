import type { Command } from "commander";
import { ConfigError } from "../config/config-error.js";
import { oneOf, parseFlag } from "../config/options.js";
import { parseDuration } from "../config/units.js";
import { addOptions } from "./add-options.js";
import { CLIENT_OPTIONS } from "./client-options.js";
import { type CommandEnd, EXIT_CODES_HELP } from "./exit-codes.js";
import { once } from "./once.js";
import type { Session } from "./session.js";

type Flags = Readonly<Record<string, unknown>>;
type Finish = (code: CommandEnd) => void;
type Work = (session: Session) => Promise<CommandEnd>;

const TTL = { least: "1ms", most: "36525d" };
const JSON_NOTE = `Numbers: a whole number up to 2^53 is an integer, everything else a double. What JSON has no form for is written
as Extended JSON: {"$date": "2030-01-01T00:00:00Z"}, {"$oid": "…"}, {"$binary": {"base64": "…", "subType": "00"}},
{"$numberLong": "9007199254740993"}, {"$numberDouble": "NaN"}.`;

/**
 * Adds the commands that talk to a server. What they need besides their help texts is loaded when they run, so
 * that `--help` and `serve` do not wait for it.
 */
export function addClientCommands(program: Command, finish: Finish): void {
  const run = async (flags: Flags, work: Work): Promise<void> => {
    const { runSession } = await import("./session.js");
    finish(await runSession(flags, work));
  };
  addGet(program, run);
  addSet(program, run);
  addDelete(program, run);
  addKeys(program, run);
  addWatch(program, run);
  addStores(program, run);
  addInfo(program, run);
  addHealth(program, run);
}

type Run = (flags: Flags, work: Work) => Promise<void>;

function declare(program: Command, syntax: string, summary: string, json: string, more: string): Command {
  const command = program
    .command(syntax)
    .summary(summary)
    .description(summary)
    .option("--json", json)
    .addHelpText("after", `\n${more}\n\nA name that begins with "-" goes behind "--".\n\n${EXIT_CODES_HELP}`);
  const inherited = command.configureOutput();
  return command.configureOutput({
    outputError: (text, write) => inherited.outputError?.(hintAtNames(text), write),
  });
}

/** What is taken for an unknown option may be meant as a name; where a known option is near, it hardly is. */
function hintAtNames(problem: string): string {
  if (!problem.startsWith("error: unknown option") || problem.includes("Did you mean")) return problem;
  return `${problem.trimEnd()}; put names that begin with - behind --`;
}

function addGet(program: Command, run: Run): void {
  const command = declare(
    program,
    "get",
    "Print the value of a key.",
    "Print one line with the value and everything known about the key.",
    `The value is printed as relaxed Extended JSON; one nested deeper than 30 levels as canonical Extended JSON.
${JSON_NOTE}

Examples:
  $ execution-store get jobs last-run
  $ execution-store get jobs last-run --json | jq .updated_at`,
  );
  command.argument("<STORE>", "the store's name").argument("<KEY>", "the key");
  addOptions(command, CLIENT_OPTIONS).action(async (store: string, key: string, flags: Flags) => {
    await run(flags, async (session) => (await import("./get.js")).get(session, store, key));
  });
}

function addSet(program: Command, run: Run): void {
  const command = declare(
    program,
    "set",
    "Set a key to a value; the store need not exist before.",
    "Print one line that says what was done and everything known about the key.",
    `The value is JSON, in an argument or, without one or with "-", on standard input. Setting a key replaces its
value, policy and expiry together: without --ttl it no longer expires.
${JSON_NOTE}

Examples:
  $ execution-store set jobs last-run '{"ok": true}'
  $ execution-store set jobs lease '"worker-1"' --ttl 30s --if-absent || echo "somebody has it"
  $ jq -c .result report.json | execution-store set jobs report --policy evict`,
  );
  command
    .argument("<STORE>", "the store's name")
    .argument("<KEY>", "the key")
    .argument("[JSON]", "the value; from standard input if left out or -")
    .option(
      "--ttl <TIME>",
      "Expire after this time, such as 250ms, 10m or 1h30m; the policy is then evict.",
      once("--ttl"),
    )
    .option(
      "--policy <POLICY>",
      "persist, or evict for what may be cleared as cache. [default: persist]",
      once("--policy"),
    )
    .option("--if-absent", "Set only if the key is not there; exit with 3 if it is.");
  addOptions(command, CLIENT_OPTIONS).action(
    async (store: string, key: string, json: string | undefined, flags: Flags) => {
      const { ttl, policy } = flags;
      const choices = {
        ttlMs: typeof ttl === "string" ? parseFlag("--ttl", () => parseDuration(ttl, TTL)) : undefined,
        policy:
          typeof policy === "string"
            ? parseFlag("--policy", () => oneOf(["persist", "evict"] as const)(policy))
            : undefined,
        ifAbsent: flags["ifAbsent"] === true,
      };
      await run(flags, async (session) => (await import("./set.js")).set(session, store, key, json, choices));
    },
  );
}

function addDelete(program: Command, run: Run): void {
  const command = declare(
    program,
    "delete",
    "Delete keys of a store.",
    "Print one line with the number of keys deleted and of keys named.",
    `It exits with 3 if any of the keys was not there; the others are deleted all the same.

Examples:
  $ execution-store delete jobs last-run
  $ execution-store delete jobs report-1 report-2 -- -odd-name`,
  );
  command.argument("<STORE>", "the store's name").argument("<KEY...>", "the keys");
  addOptions(command, CLIENT_OPTIONS).action(async (store: string, keys: string[], flags: Flags) => {
    await run(flags, async (session) => (await import("./delete.js")).deleteKeys(session, store, keys));
  });
}

function addKeys(program: Command, run: Run): void {
  const command = declare(
    program,
    "keys",
    "List the keys of a store.",
    "Print one JSON object a line for each key.",
    `Keys come in the byte order of UTF-8, one a line. A key with control characters is printed as a JSON string.

Examples:
  $ execution-store keys jobs
  $ execution-store keys jobs --prefix report- --long
  $ execution-store keys jobs --json | jq -r .key`,
  );
  command
    .argument("<STORE>", "the store's name")
    .option("--prefix <TEXT>", "Only keys that begin with it.", once("--prefix"))
    .option("--long", "Print policy and times as well.");
  addOptions(command, CLIENT_OPTIONS).action(async (store: string, flags: Flags) => {
    const choices = { prefix: textFlag(flags["prefix"]), long: flags["long"] === true };
    await run(flags, async (session) => (await import("./keys.js")).keys(session, store, choices));
  });
}

function addWatch(program: Command, run: Run): void {
  const command = declare(
    program,
    "watch",
    "Tell every change of keys as it happens, once and in order, until Ctrl-C.",
    "Print one JSON object a line for each event, with its resume_token.",
    `One line for each change: its time, what happened, the key, and the new value, which on a terminal is cut to the
line. It connects again by itself, and nothing is lost or told twice by that. Ctrl-C ends it and says the token with
which --since goes on. Where the server's history does not reach back to that, it exits with 1; then take a --snapshot.

Types: existing (of a snapshot), created, updated, deleted, expired; with --json also started, snapshot_complete,
progress (keep its token), and reset: what was told before is void, and a new snapshot follows (only with --snapshot).

Examples:
  $ execution-store watch jobs
  $ execution-store watch jobs --prefix report- --snapshot
  $ execution-store watch jobs --key progress --snapshot --json | jq -c .value
  $ execution-store watch jobs --json --since "$(cat last-token)"

Ended by Ctrl-C it exits with 130, by SIGTERM with 143.`,
  );
  command
    .argument("[STORE]", "the store's name; without it, every store")
    .option("--key <KEY>", "Only this key.", once("--key"))
    .option("--prefix <TEXT>", "Only keys that begin with it.", once("--prefix"))
    .option("--all-contexts", "Those of every dataset and of none.")
    .option("--snapshot", "First tell what is there now.")
    .option("--since <TOKEN>", "Tell what came after the event with this token.", once("--since"));
  addOptions(command, CLIENT_OPTIONS).action(async (store: string | undefined, flags: Flags) => {
    refuseBoth(flags, "--all-contexts", "--dataset");
    refuseBoth(flags, "--key", "--prefix");
    refuseBoth(flags, "--snapshot", "--since");
    const choices = {
      storeName: store,
      key: optionalFlag(flags["key"]),
      keyPrefix: optionalFlag(flags["prefix"]),
      allContexts: flags["allContexts"] === true,
      snapshot: flags["snapshot"] === true,
      resumeToken: optionalFlag(flags["since"]),
    };
    if (choices.resumeToken === "") throw new ConfigError("--since is empty; expected the token of an event");
    await run(flags, async (session) => (await import("./watch.js")).watch(session, choices));
  });
}

function addStores(program: Command, run: Run): void {
  const command = declare(
    program,
    "stores",
    "List stores.",
    "Print one JSON object a line for each store.",
    `Stores come in the byte order of UTF-8, one a line; those of all contexts by dataset first.

Examples:
  $ execution-store stores
  $ execution-store stores --dataset 65f0c0ffee65f0c0ffee65f0
  $ execution-store stores --all-contexts --prefix jobs`,
  );
  command
    .option("--prefix <TEXT>", "Only stores whose name begins with it.", once("--prefix"))
    .option("--all-contexts", "Those of every dataset and of none, with their policy and times.");
  addOptions(command, CLIENT_OPTIONS).action(async (flags: Flags) => {
    refuseBoth(flags, "--all-contexts", "--dataset");
    const choices = { prefix: textFlag(flags["prefix"]), allContexts: flags["allContexts"] === true };
    await run(flags, async (session) => (await import("./stores.js")).stores(session, choices));
  });
}

function addInfo(program: Command, run: Run): void {
  const command = declare(
    program,
    "info",
    "Tell about the server, a store or a key.",
    "Print it as one line of JSON.",
    `Examples:
  $ execution-store info
  $ execution-store info jobs
  $ execution-store info jobs last-run --json`,
  );
  command
    .argument("[STORE]", "tell about this store: its number of keys, and its own document if it has one")
    .argument("[KEY]", "tell about this key of it: policy, times and etag, without the value");
  addOptions(command, CLIENT_OPTIONS).action(
    async (store: string | undefined, key: string | undefined, flags: Flags) => {
      await run(flags, async (session) => (await import("./info.js")).info(session, store, key));
    },
  );
}

function addHealth(program: Command, run: Run): void {
  const command = declare(
    program,
    "health",
    "Ask the server for its health; exit with 0 only if it is SERVING.",
    "Print it as one line of JSON.",
    `For container health checks and scripts. It exits with 4 if the server is NOT_SERVING or cannot be reached.

Examples:
  $ execution-store health
  $ until execution-store health --timeout 1s; do sleep 1; done`,
  );
  addOptions(command, CLIENT_OPTIONS).action(async (flags: Flags) => {
    await run(flags, async (session) => (await import("./health.js")).health(session));
  });
}

function textFlag(flag: unknown): string {
  return optionalFlag(flag) ?? "";
}

function optionalFlag(flag: unknown): string | undefined {
  return typeof flag === "string" ? flag : undefined;
}

/** Throws ConfigError if both of two options are given that exclude each other. */
function refuseBoth(flags: Flags, one: string, other: string): void {
  const given = (option: string): boolean => flags[camelCase(option)] !== undefined;
  if (given(one) && given(other))
    throw new ConfigError(`${one} and ${other} exclude each other; expected one of them`);
}

/** Under which name the command line's parser has an option. */
function camelCase(option: string): string {
  return option.slice(2).replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}
