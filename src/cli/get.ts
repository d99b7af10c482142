import { keyNotFound } from "../store/errors.js";
import { jsonLine, keyFields } from "./documents.js";
import { EXIT_CODES, type ExitCode } from "./exit-codes.js";
import type { Session } from "./session.js";
import { valueText } from "./value-text.js";

/** Prints the value of a key. Throws KEY_NOT_FOUND. */
export async function get({ service, output, json }: Session, store: string, key: string): Promise<ExitCode> {
  const document = await service.getKey(store, key, { encoding: "raw" });
  if (document === undefined) throw keyNotFound(store, key);
  const { bytes } = document.value;
  await output.line(
    json ? jsonLine(keyFields(document), { value: valueText(bytes, 0) }) : valueText(bytes, 2),
  );
  return EXIT_CODES.success;
}
