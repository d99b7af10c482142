import { readFile } from "node:fs/promises";
import { ConfigError } from "./config-error.js";
import { nearest } from "./nearest.js";
import type { FileValues, Option, Options } from "./options.js";
import { quote } from "./quote.js";
import { systemCode } from "./system-code.js";

/**
 * Reads a YAML or JSON file that maps option names to values. Throws ConfigError for a file that cannot be read
 * or parsed, for a key that no option has, and for a value of the wrong shape.
 */
export async function readConfigFile(path: string, table: Options): Promise<FileValues> {
  const content = await parseYaml(path, await readText(path));
  const options = new Map(
    Object.values(table)
      .filter((option) => option.name !== "config")
      .map((option) => [option.name, option]),
  );
  const texts = new Map<string, readonly string[]>();
  for (const [key, value] of content) {
    const option = options.get(key);
    if (option === undefined) throw unknownKey(path, key, [...options.keys()]);
    texts.set(key, textsOf(path, option, value));
  }
  return { path, texts };
}

async function readText(path: string): Promise<string> {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path));
  } catch (error) {
    throw new ConfigError(`--config names ${path}, ${reasonOf(error)}; expected a YAML or JSON file`);
  }
}

function reasonOf(error: unknown): string {
  const code = systemCode(error);
  if (code === "ENOENT") return "which does not exist";
  if (code === "EACCES" || code === "EPERM") return "which this user may not read";
  if (code === "EISDIR") return "which is a directory";
  if (code === "ERR_ENCODING_INVALID_ENCODED_DATA") return "which is not UTF-8 text";
  return `which cannot be read (${code ?? String(error)})`;
}

async function parseYaml(path: string, text: string): Promise<ReadonlyMap<string, unknown>> {
  // Loaded only where a file is named, to keep every other start quick.
  const { LineCounter, parseDocument } = await import("yaml");
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [problem] = document.errors;
  if (problem !== undefined) {
    const { line, col } = lines.linePos(problem.pos[0]);
    throw new ConfigError(
      `${path} is neither YAML nor JSON: line ${line}, column ${col}: ${problem.message}`,
    );
  }
  const content = plain(path, () => document.toJS({ mapAsMap: true }));
  if (content === null) return new Map();
  if (!(content instanceof Map)) {
    throw new ConfigError(`${path} holds no options; expected lines such as "store: lmdb:./data"`);
  }
  return new Map([...content].map(([key, value]) => [String(key), value]));
}

/** Aliases that lead nowhere, or to too much, come to light only here. */
function plain(path: string, convert: () => unknown): unknown {
  try {
    return convert();
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`${path} is neither YAML nor JSON: ${problem}`);
  }
}

function unknownKey(path: string, key: string, known: readonly string[]): ConfigError {
  const guess = nearest(key, known);
  const hint = guess === undefined ? `expected one of ${known.join(", ")}` : `did you mean ${guess}?`;
  return new ConfigError(`${quote(key)} in ${path} is no option; ${hint}`);
}

function textsOf(path: string, option: Option<unknown>, value: unknown): readonly string[] {
  const items: readonly unknown[] = Array.isArray(value) ? value : [value];
  const wanted = option.repeatable ? "text or a list of texts" : "a single value";
  if (Array.isArray(value) && !option.repeatable) {
    throw new ConfigError(`in ${path}, ${option.name} is a list; expected ${wanted}`);
  }
  return items.map((item) => {
    if (typeof item === "string" || typeof item === "number" || typeof item === "boolean") {
      return String(item);
    }
    const shape = item === null ? "has no value" : "is not a plain value";
    throw new ConfigError(`in ${path}, ${option.name} ${shape}; expected ${wanted}`);
  });
}
