import { ExecutionStoreService } from "../client/service.js";
import { resolveOptions } from "../config/options.js";
import { isStoreError, type StoreError } from "../store/errors.js";
import { CLIENT_OPTIONS } from "./client-options.js";
import { type CommandEnd, EXIT_CODE_OF } from "./exit-codes.js";
import { createOutput, type Output } from "./output.js";

/** A command says at once that no server is there. */
const NO_WAIT = { waitForServerMs: 0 };

/** What a client command works with. */
export interface Session {
  readonly service: ExecutionStoreService;
  /** The server's address as the user gave it. */
  readonly address: string;
  /** Milliseconds that each answer may take. */
  readonly timeoutMs: number;
  /** Whether the user asked for JSON. */
  readonly json: boolean;
  readonly output: Output;
}

/**
 * Connects, does the work and closes. A StoreError becomes a sentence on stderr and its exit code. Throws
 * ConfigError for wrong options.
 */
export async function runSession(
  flags: Readonly<Record<string, unknown>>,
  work: (session: Session) => Promise<CommandEnd>,
): Promise<CommandEnd> {
  const { values } = resolveOptions(CLIENT_OPTIONS, { flags, environment: process.env });
  const output = createOutput();
  try {
    await using service = new ExecutionStoreService({ ...values, retry: NO_WAIT });
    const { address, timeoutMs } = values;
    return await work({ service, address, timeoutMs, json: flags["json"] === true, output });
  } catch (error) {
    if (!isStoreError(error)) throw error;
    output.message(sentence(error));
    return EXIT_CODE_OF[error.kind];
  }
}

function sentence(error: StoreError): string {
  return error.outcome === "UNKNOWN"
    ? `${error.message} (whether it was written is not known)`
    : error.message;
}
