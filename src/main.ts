#!/usr/bin/env node
import { Command, CommanderError } from "commander";
import { addClientCommands } from "./cli/add-client-commands.js";
import { addCopyCommand, COPY_URIS } from "./cli/add-copy-command.js";
import { addOptions } from "./cli/add-options.js";
import { CLIENT_OPTIONS } from "./cli/client-options.js";
import { EXIT_CODES, EXIT_CODES_HELP } from "./cli/exit-codes.js";
import { exitWhenStdoutFails } from "./cli/output.js";
import { packageVersion } from "./cli/version.js";
import { ConfigError } from "./config/config-error.js";
import { maskUri } from "./config/mask-uri.js";
import { unknownVariables } from "./config/unknown-variables.js";
import { loadServeConfig, SERVE_OPTIONS } from "./config.js";

const EXAMPLES = `
Examples:
  $ execution-store serve
  $ execution-store set jobs last-run '{"ok": true}' --ttl 1h
  $ execution-store get jobs last-run
  $ execution-store keys jobs --long
  $ execution-store watch jobs

Every command explains itself: execution-store help COMMAND

${EXIT_CODES_HELP}`;

const SERVE_HELP = `
An option is taken from its flag, else from its environment variable, else from the config file, else from its
default. Times and sizes need a unit: 250ms, 10m, 1h30m; 256MB, 1GiB. An empty variable counts as unset.

On SIGTERM or SIGINT the server drains and exits with 0; a second signal ends it at once. It exits with 1 if it
cannot start or a fault ends it, and with 2 if the configuration is wrong; the last line on stderr says why.

Examples:
  $ execution-store serve
  $ execution-store serve --store lmdb:/var/lib/execution-store --listen 127.0.0.1:50051
  $ EXECUTION_STORE_STORE=mongodb://user:password@db1,db2,db3/things?replicaSet=rs0 execution-store serve
  $ execution-store serve --listen unix:/run/execution-store.sock --listen 127.0.0.1:0
  $ EXECUTION_STORE_LOG_LEVEL=debug execution-store serve --config server.yaml

A config file:
  store: lmdb:/var/lib/execution-store
  listen:
    - 127.0.0.1:50051
    - unix:/run/execution-store.sock
  history-time: 2h`;

/** Columns of help texts where there is no terminal to tell. */
const HELP_WIDTH = 110;

/** Reports the exit code of a command that has ended. */
type Finish = (code: number) => void;

function buildProgram(finish: Finish): Command {
  const program = new Command("execution-store")
    .description(
      "Keys with values, a time to live and a policy, kept by a server for workers in any language.",
    )
    .version(packageVersion(), "-V, --version", "Print the version.")
    .helpOption("-h, --help", "Explain the command.")
    .helpCommand("help [command]", "Explain a command.")
    .addHelpText("after", EXAMPLES)
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(oneLine(text)),
      getOutHelpWidth: () => process.stdout.columns ?? HELP_WIDTH,
      getErrHelpWidth: () => process.stderr.columns ?? HELP_WIDTH,
    });
  addOptions(program.command("serve"), SERVE_OPTIONS)
    .summary("Run the server.")
    .description("Run the server until SIGTERM or SIGINT.")
    .addHelpText("after", SERVE_HELP)
    .action(async (flags: Record<string, unknown>) => {
      const config = await loadServeConfig({ flags, environment: process.env });
      const { serve } = await import("./serve.js");
      // Everything is closed by now; a handle that a library forgot must not keep the process.
      const unknown = unknownVariables(process.env, [SERVE_OPTIONS, CLIENT_OPTIONS, COPY_URIS]);
      process.exit(await serve(config, unknown));
    });
  addClientCommands(program, finish);
  addCopyCommand(program, async (request) => {
    const { runCopy } = await import("./copy.js");
    finish(await runCopy(request));
  });
  return program;
}

/** Commander's messages in the form of the program's own. */
function oneLine(text: string): string {
  const problem = text
    .trim()
    .replace(/^error: /, "")
    .replaceAll("\n", " ")
    .replace(". Expected", "; expected")
    .replace(/\.$/, "");
  return `execution-store: ${maskUri(problem)}; --help explains the command\n`;
}

/** Runs one command line and resolves to the exit code. */
async function run(args: readonly string[]): Promise<number> {
  let exitCode: number = EXIT_CODES.success;
  const program = buildProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    // Commander has said what was wrong, or printed what was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.success : EXIT_CODES.usage;
    const problem = error instanceof Error ? error.message : String(error);
    process.stderr.write(`execution-store: ${maskUri(problem)}\n`);
    return error instanceof ConfigError ? EXIT_CODES.usage : EXIT_CODES.fault;
  }
}

exitWhenStdoutFails();
process.exitCode = await run(process.argv.slice(2));
