import { cells } from "./documents.js";
import type { Output } from "./output.js";
import { formatTable } from "./table.js";

/** The rows of one page; their header comes with the first one only. Pages keep memory bounded however long a list is. */
export interface TablePage {
  readonly rows: readonly Readonly<Record<string, string | null>>[];
  readonly first: boolean;
}

/** Prints a page of a list as aligned columns under their names. */
export async function printTable(
  output: Output,
  columns: readonly string[],
  { rows, first }: TablePage,
): Promise<void> {
  const header = columns.map((column) => column.toUpperCase().replace(/_AT$/, "").replaceAll("_", " "));
  const body = rows.map((row) => cells(row, columns));
  await output.line(formatTable(first ? [header, ...body] : body));
}
