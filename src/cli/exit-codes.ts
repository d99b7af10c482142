import type { STOP_SIGNALS, StopSignal } from "../stop-signals.js";
import type { ErrorKind } from "../store/errors.js";

/** What the process reports to the shell. Scripts rely on these: a code never changes its meaning. */
export const EXIT_CODES = {
  /** Done. */
  success: 0,
  /** Anything that the others do not name. */
  fault: 1,
  /** Wrong usage, configuration or input, JSON included. */
  usage: 2,
  /** The key or store is not there, or the condition of a set did not hold. Nothing was written. */
  notFound: 3,
  /** The server cannot be reached, is stopping, or did not answer in time. */
  unavailable: 4,
} as const;

/** One of EXIT_CODES. */
export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];

/** How a command ended: also by a signal, for which shells have codes of their own. */
export type CommandEnd = ExitCode | (typeof STOP_SIGNALS)[StopSignal];

/** The table for help texts. */
export const EXIT_CODES_HELP = `Exit codes:
  0  done
  1  a fault that the others do not name
  2  wrong usage, configuration or input
  3  the key or store is not there, or the condition of a set did not hold
  4  the server cannot be reached, is stopping, or did not answer in time`;

/** The code for an error of each kind. A new kind must be given one here. */
export const EXIT_CODE_OF: Readonly<Record<ErrorKind, ExitCode>> = {
  INVALID_ARGUMENT: EXIT_CODES.usage,
  NOT_FOUND: EXIT_CODES.notFound,
  UNAVAILABLE: EXIT_CODES.unavailable,
  DEADLINE_EXCEEDED: EXIT_CODES.unavailable,
  ALREADY_EXISTS: EXIT_CODES.fault,
  FAILED_PRECONDITION: EXIT_CODES.fault,
  OUT_OF_RANGE: EXIT_CODES.fault,
  PERMISSION_DENIED: EXIT_CODES.fault,
  UNAUTHENTICATED: EXIT_CODES.fault,
  RESOURCE_EXHAUSTED: EXIT_CODES.fault,
  CANCELLED: EXIT_CODES.fault,
  UNIMPLEMENTED: EXIT_CODES.fault,
  INTERNAL: EXIT_CODES.fault,
};
