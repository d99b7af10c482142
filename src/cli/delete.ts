import { jsonLine } from "./documents.js";
import { EXIT_CODES, type ExitCode } from "./exit-codes.js";
import type { Session } from "./session.js";

/** Deletes keys; exits with notFound if any was not there. */
export async function deleteKeys(
  { service, output, json }: Session,
  store: string,
  keys: readonly string[],
): Promise<ExitCode> {
  const named = [...new Set(keys)];
  const deleted = await service.batchDeleteKeys(store, named);
  if (json) await output.line(jsonLine({ deleted_count: deleted, named_count: named.length }));
  else output.message(`deleted ${deleted} of ${named.length} ${named.length === 1 ? "key" : "keys"}`);
  return deleted === named.length ? EXIT_CODES.success : EXIT_CODES.notFound;
}
