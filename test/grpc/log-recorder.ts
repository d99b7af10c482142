import type { Logger } from "../../src/grpc/logger.js";

/** One line of a log. */
export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: object;
}

/** A logger that keeps what it is given. */
export interface LogRecorder extends Logger {
  readonly lines: readonly LogLine[];
  /** Everything logged, as text, the stacks of errors included. */
  text(): string;
}

/** Errors have no fields that JSON would show. */
function replace(_name: string, value: unknown): unknown {
  return value instanceof Error ? { stack: value.stack, cause: value.cause } : value;
}

/** Records every level. */
export function createLogRecorder(): LogRecorder {
  const lines: LogLine[] = [];
  const at =
    (level: string) =>
    (fields: object, message: string): void => {
      lines.push({ level, message, fields });
    };
  return {
    lines,
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    text: () => JSON.stringify(lines, replace),
  };
}
