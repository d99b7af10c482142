import { ConfigError } from "./config-error.js";
import { InvalidValue } from "./invalid-value.js";
import { quote } from "./quote.js";

/** One option: its flag, its environment variable, its key in a file, its default, its text and its parser. */
export interface Option<T> {
  /** `history-time` is the flag `--history-time`, the variable EXECUTION_STORE_HISTORY_TIME and the file's key. */
  readonly name: string;
  /** What stands for the value in help texts; undefined for a switch, which takes none. */
  readonly placeholder: string | undefined;
  /** Whether it takes several values: the flag repeated, a list in the file, or commas between them. */
  readonly repeatable: boolean;
  /** A sentence for help texts, without default and variable. */
  readonly help: string;
  /** The default as a user would write it; undefined if there is none. */
  readonly fallback: readonly string[] | undefined;
  /** Reads what was given, or the default; undefined only where there is neither. Throws InvalidValue. */
  readonly parse: (texts: readonly string[] | undefined) => T;
}

/** A table of options by the name that the program knows them by. */
export type Options = Readonly<Record<string, Option<unknown>>>;

/** What a table of options yields. */
export type Values<Table extends Options> = {
  readonly [Name in keyof Table]: Table[Name] extends Option<infer T> ? T : never;
};

/** Where values come from, the strongest first. */
export interface Sources {
  /** As the command line's parser gives them: by camel-cased name; absent where not given. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly file?: FileValues | undefined;
}

/** The content of a config file: each key's texts, or what is wrong with its value. */
export interface FileValues {
  readonly path: string;
  readonly texts: ReadonlyMap<string, readonly string[]>;
}

/** Every option's value, and the words that name its source in a sentence. */
export interface Resolved<Table extends Options> {
  readonly values: Values<Table>;
  readonly origins: { readonly [Name in keyof Table]: string };
}

interface Spec<T> {
  readonly name: string;
  readonly placeholder: string;
  readonly help: string;
  readonly parse: (text: string) => T;
}

/** An option with a default, which goes through the same parser as any value. */
export function single<T>(spec: Spec<T> & { readonly fallback: string }): Option<T> {
  return {
    ...spec,
    repeatable: false,
    fallback: [spec.fallback],
    parse: (texts) => spec.parse(texts?.[0] ?? spec.fallback),
  };
}

/** An option without a default. */
export function optional<T>(spec: Spec<T>): Option<T | undefined> {
  return {
    ...spec,
    repeatable: false,
    fallback: undefined,
    parse: (texts) => (texts?.[0] === undefined ? undefined : spec.parse(texts[0])),
  };
}

/** An option of several values. */
export function several<T>(spec: Spec<T> & { readonly fallback: readonly string[] }): Option<readonly T[]> {
  return {
    ...spec,
    repeatable: true,
    parse: (texts) => (texts ?? spec.fallback).map((text) => spec.parse(text)),
  };
}

/** An option that is on or off; `true` or `false` in the environment and in a file. */
export function toggle(spec: { readonly name: string; readonly help: string }): Option<boolean> {
  return {
    ...spec,
    placeholder: undefined,
    repeatable: false,
    fallback: ["false"],
    parse: (texts) => parseToggle(texts?.[0] ?? "false"),
  };
}

/** A parser that takes one of the given words. */
export function oneOf<Word extends string>(words: readonly Word[]): (text: string) => Word {
  return (text) => {
    const word = words.find((candidate) => candidate === text);
    if (word !== undefined) return word;
    throw new InvalidValue(`${quote(text)} is not known; expected ${words.join(", ")}`);
  };
}

/** What the environment variables of all options begin with. */
export const VARIABLE_PREFIX = "EXECUTION_STORE_";

/** The environment variable of an option. */
export function variableOf(option: Option<unknown>): string {
  return `${VARIABLE_PREFIX}${option.name.toUpperCase().replaceAll("-", "_")}`;
}

/** The name under which the command line's parser keeps an option. */
export function attributeOf(option: Option<unknown>): string {
  return option.name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * Takes each option from the flag, else the environment, else the file, else the default. An empty variable
 * counts as unset. Throws ConfigError, one sentence that names the source.
 */
export function resolveOptions<Table extends Options>(table: Table, sources: Sources): Resolved<Table> {
  const resolved = Object.entries(table).map(([name, option]) => {
    const { texts, origin } = find(option, sources);
    return { name, origin, value: parseFlag(origin, () => option.parse(texts)) };
  });
  return {
    values: Object.fromEntries(resolved.map(({ name, value }) => [name, value])) as Values<Table>,
    origins: Object.fromEntries(resolved.map(({ name, origin }) => [name, origin])) as {
      [Name in keyof Table]: string;
    },
  };
}

/** Runs a parser and turns its InvalidValue into a ConfigError that begins with where the value came from. */
export function parseFlag<T>(origin: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof InvalidValue) throw new ConfigError(`${origin} ${error.message}`);
    throw error;
  }
}

function find(
  option: Option<unknown>,
  { flags, environment, file }: Sources,
): { texts: readonly string[] | undefined; origin: string } {
  const flag = flags[attributeOf(option)];
  const origin = `--${option.name}`;
  if (flag !== undefined) {
    const texts = (Array.isArray(flag) ? flag : [flag]).map(String);
    return { texts: split(option, texts), origin };
  }
  const variable = environment[variableOf(option)];
  if (variable !== undefined && variable !== "") {
    return { texts: split(option, [variable]), origin: `the variable ${variableOf(option)}` };
  }
  const texts = file?.texts.get(option.name);
  if (texts !== undefined && file !== undefined) {
    return { texts: split(option, texts), origin: `in ${file.path}, ${option.name}` };
  }
  return { texts: undefined, origin };
}

function split(option: Option<unknown>, texts: readonly string[]): readonly string[] {
  if (!option.repeatable) return texts;
  return texts
    .flatMap((text) => text.split(","))
    .map((text) => text.trim())
    .filter((text) => text !== "");
}

function parseToggle(text: string): boolean {
  if (text === "true" || text === "1") return true;
  if (text === "false" || text === "0") return false;
  throw new InvalidValue(`${quote(text)} is neither on nor off; expected true or false`);
}
