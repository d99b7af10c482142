import { jsonLine, storeFields } from "./documents.js";
import { EXIT_CODES, type ExitCode } from "./exit-codes.js";
import { printName } from "./names.js";
import { printTable } from "./print-table.js";
import type { Session } from "./session.js";

const COLUMNS = ["dataset_id", "store_name", "policy", "created_at", "updated_at", "expires_at"] as const;

/** Which stores are listed. */
export interface StoresChoices {
  readonly prefix: string;
  readonly allContexts: boolean;
}

/** Lists stores, page by page. */
export async function stores(
  { service, output, json }: Session,
  { prefix, allContexts }: StoresChoices,
): Promise<ExitCode> {
  if (!allContexts) {
    for await (const page of service.listStores({ prefix }).pages()) {
      const lines = page.map((name) => (json ? jsonLine({ store_name: name }) : printName(name)));
      await output.line(lines.join("\n"));
    }
    return EXIT_CODES.success;
  }
  let first = true;
  for await (const page of service.listStoresGlobal({ prefix }).pages()) {
    const rows = page.map(storeFields);
    if (json) await output.line(rows.map((row) => jsonLine(row)).join("\n"));
    else await printTable(output, COLUMNS, { rows, first });
    first = false;
  }
  return EXIT_CODES.success;
}
