import { CROSS_VALUES, type Read, type Written } from "./cross-values.js";

/** What the table says of one client. */
export interface ClientTypes {
  readonly title: string;
  readonly written: Written;
  /** What it reads of a store that has every value. */
  readonly read: Read;
}

const BEGIN = "<!-- types:begin -->";
const END = "<!-- types:end -->";

/** The Markdown table: which type of a language becomes which stored one, and comes back as what. */
export function typesTable(clients: readonly ClientTypes[]): string {
  const lines = [
    ["stored as", ...clients.map(({ title }) => title)],
    ["---", ...clients.map(() => "---")],
    ...CROSS_VALUES.map(({ name, stored }) => [stored, ...clients.map((client) => cell(client, name))]),
  ];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** The page with the table between its markers. Throws if it has none. */
export function withTable(page: string, table: string): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`the page has no lines ${BEGIN} and ${END}`);
  return `${page.slice(0, begin + BEGIN.length)}\n${table}\n${page.slice(end)}`;
}

function cell({ written, read }: ClientTypes, name: string): string {
  const keys = Object.keys(written).filter((key) => key === name || key.startsWith(`${name}/`));
  const types = [...new Set(keys.map((key) => written[key] ?? ""))].map(code);
  const back = code(read[name]?.type ?? "");
  return `${types.length === 0 ? "–" : types.join(", ")} → ${back}`;
}

function code(type: string): string {
  return `\`${type}\``;
}
