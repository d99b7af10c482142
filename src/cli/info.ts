import { keyNotFound, storeNotFound } from "../store/errors.js";
import { toValueBson } from "../value/plain.js";
import { cells, jsonLine, keyFields, storeFields } from "./documents.js";
import { EXIT_CODES, type ExitCode } from "./exit-codes.js";
import { checkHealth } from "./health.js";
import type { Session } from "./session.js";
import { formatTable } from "./table.js";
import { valueText } from "./value-text.js";

/** Tells about the server, a store or a key. Throws STORE_NOT_FOUND or KEY_NOT_FOUND. */
export async function info(
  session: Session,
  store: string | undefined,
  key: string | undefined,
): Promise<ExitCode> {
  if (store === undefined) return serverInfo(session);
  if (key === undefined) return storeInfo(session, store);
  const document = await session.service.getKey(store, key, { encoding: "none" });
  if (document === undefined) throw keyNotFound(store, key);
  return print(session, keyFields(document));
}

async function serverInfo(session: Session): Promise<ExitCode> {
  const { service, address, timeoutMs } = session;
  // The first call opens the connection; the second tells how long an answer takes.
  const stores = await service.countStores();
  const begun = performance.now();
  const everywhere = await service.countStoresGlobal();
  const answerMs = Math.round((performance.now() - begun) * 10) / 10;
  const health = await checkHealth(address, timeoutMs);
  return print(session, {
    address,
    health,
    answer_ms: answerMs,
    store_count: stores,
    store_count_all_contexts: everywhere,
  });
}

async function storeInfo(session: Session, store: string): Promise<ExitCode> {
  const { service } = session;
  const document = await service.getStore(store);
  if (document === undefined) throw storeNotFound(store);
  const fields = { ...storeFields(document), key_count: await service.countKeys(store) };
  if (document.metadata === undefined) return print(session, { ...fields, metadata: null });
  const metadata = valueText(toValueBson(document.metadata), 0);
  return print(session, fields, { metadata });
}

async function print(
  { output, json }: Session,
  fields: Readonly<Record<string, string | number | null>>,
  raw: Readonly<Record<string, string>> = {},
): Promise<ExitCode> {
  if (json) {
    await output.line(jsonLine(fields, raw));
    return EXIT_CODES.success;
  }
  const texts = Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, value === null ? null : String(value)]),
  );
  const rows = Object.keys(texts).map((name) => [name, ...cells(texts, [name])]);
  await output.line(formatTable([...rows, ...Object.entries(raw)]));
  return EXIT_CODES.success;
}
