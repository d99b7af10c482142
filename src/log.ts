import { type DestinationStream, type Logger, pino, stdSerializers, stdTimeFunctions } from "pino";
import { maskUri } from "./config/mask-uri.js";

/**
 * What no line may hold, should a caller log it by mistake: what users store, and what lets one in. One level
 * down, too, since errors and requests are logged as objects.
 */
const SECRET = ["value", "valueBson", "metadata", "key", "keys", "password", "token", "authorization"];

/** A logger of JSON lines to stderr, with credentials in URIs masked, and secrets and stored values left out. */
export function createLogger(level: string, destination: DestinationStream = stderr()): Logger {
  return pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET.flatMap((name) => [name, `*.${name}`]), censor: "[redacted]" },
      serializers: { err: serializeError, store: maskUri },
    },
    destination,
  );
}

/** Written at once: the last lines before an exit are those that matter, and there are few at the usual levels. */
function stderr(): DestinationStream {
  return pino.destination({ dest: 2, sync: true });
}

/** Only what is known to be harmless: an error's other fields may name what users store. */
function serializeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: maskUri(String(error)) };
  const { type, message, stack } = stdSerializers.err(error);
  const code = "code" in error ? error.code : undefined;
  const reason = "reason" in error ? error.reason : undefined;
  return { type, code, reason, message: maskUri(message), stack: maskUri(stack) };
}
