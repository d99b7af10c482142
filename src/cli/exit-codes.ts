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

/** The table for help texts. */
export const EXIT_CODES_HELP = `Exit codes:
  0  done
  1  a fault that the others do not name
  2  wrong usage, configuration or input
  3  the key or store is not there, or the condition of a set did not hold
  4  the server cannot be reached, is stopping, or did not answer in time`;
