import { type Command, Option as CommandOption } from "commander";
import { type Option, type Options, variableOf } from "../config/options.js";
import { once } from "./once.js";

/** Gives a command the flags of a table, each explained with its default and its environment variable. */
export function addOptions(command: Command, table: Options): Command {
  for (const option of Object.values(table)) {
    const flag = `--${option.name}`;
    const syntax = option.placeholder === undefined ? flag : `${flag} <${option.placeholder}>`;
    const declared = new CommandOption(syntax, describe(option));
    if (option.repeatable) {
      declared.argParser<readonly string[]>((text, previous) => [...(previous ?? []), text]);
    } else if (option.placeholder !== undefined) {
      declared.argParser(once(flag));
    }
    command.addOption(declared);
  }
  return command;
}

function describe(option: Option<unknown>): string {
  const fallback = option.fallback?.join(",") ?? "";
  return `${option.help}\nDefault: ${fallback === "" ? "none" : fallback}. Variable: ${variableOf(option)}.`;
}
