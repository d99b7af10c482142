import { RawValue } from "../client/raw-value.js";
import type { Policy } from "../store/document.js";
import { jsonToBson } from "../value/json-to-bson.js";
import { jsonLine, keyFields } from "./documents.js";
import { EXIT_CODES, type ExitCode } from "./exit-codes.js";
import { jsonToWire } from "./json-to-wire.js";
import { printName } from "./names.js";
import { readStdin } from "./read-stdin.js";
import type { Session } from "./session.js";

/** How a key is set. */
export interface SetChoices {
  /** Milliseconds. */
  readonly ttlMs: number | undefined;
  readonly policy: Policy | undefined;
  readonly ifAbsent: boolean;
}

/** Sets a key to JSON from the argument, or from stdin if that is missing or "-". Throws ConfigError for bad JSON. */
export async function set(
  session: Session,
  store: string,
  key: string,
  json: string | undefined,
  { ttlMs, policy, ifAbsent }: SetChoices,
): Promise<ExitCode> {
  const text = json === undefined || json === "-" ? await readStdin() : json;
  const value = new RawValue(jsonToBson(jsonToWire(text), "value"));
  const options = { ttl: ttlMs === undefined ? undefined : ttlMs / 1000, policy };
  const { service, output } = session;
  const name = `${printName(store)}/${printName(key)}`;
  if (ifAbsent) {
    const { set: done, document } = await service.setKeyIfAbsent(store, key, value, options);
    if (session.json) await output.line(jsonLine({ set: done, ...keyFields(document) }));
    else output.message(done ? `created ${name}` : `${name} is there already; nothing was written`);
    return done ? EXIT_CODES.success : EXIT_CODES.notFound;
  }
  const { created, document } = await service.setKey(store, key, value, options);
  if (session.json) await output.line(jsonLine({ created, ...keyFields(document) }));
  else output.message(`${created ? "created" : "replaced"} ${name}`);
  return EXIT_CODES.success;
}
