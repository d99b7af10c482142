import type { KeyMetadata } from "../client/documents.js";
import { storeNotFound } from "../store/errors.js";
import { jsonLine, keyFields } from "./documents.js";
import { EXIT_CODES, type ExitCode } from "./exit-codes.js";
import { printName } from "./names.js";
import { printTable } from "./print-table.js";
import type { Session } from "./session.js";

const COLUMNS = ["key", "policy", "created_at", "updated_at", "expires_at"] as const;

/** Which keys are listed, and whether with policy and times. */
export interface KeysChoices {
  readonly prefix: string;
  readonly long: boolean;
}

/** Lists the keys of a store, page by page. Throws STORE_NOT_FOUND where there is none to list and no store. */
export async function keys(
  session: Session,
  store: string,
  { prefix, long }: KeysChoices,
): Promise<ExitCode> {
  const { service } = session;
  let first = true;
  if (long) {
    for await (const page of service.listValues(store, { prefix, encoding: "none" }).pages()) {
      await printDocuments(session, page, first);
      first = false;
    }
  } else {
    for await (const page of service.listKeys(store, { prefix }).pages()) {
      const lines = page.map((key) => (session.json ? jsonLine({ key }) : printName(key)));
      await session.output.line(lines.join("\n"));
      first = false;
    }
  }
  if (first && !(await service.hasStore(store))) throw storeNotFound(store);
  return EXIT_CODES.success;
}

async function printDocuments(
  { output, json }: Session,
  page: readonly KeyMetadata[],
  first: boolean,
): Promise<void> {
  const rows = page.map(keyFields);
  if (json) await output.line(rows.map((row) => jsonLine(row)).join("\n"));
  else await printTable(output, COLUMNS, { rows, first });
}
