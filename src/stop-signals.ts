/** The signals that stop a server, with what a shell reports for a process that they ended. */
export const STOP_SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

/** One of STOP_SIGNALS. */
export type StopSignal = keyof typeof STOP_SIGNALS;

/** What a signal asks for. */
export type StopRequest = "drain" | "exit" | "ignore";

/** One Ctrl-C reaches a process twice where a parent such as npm passes it on: from the terminal and from there. */
const ECHO_MS = 300;

/**
 * Tells what each signal asks for, in the order of their arrival: the first to drain, a later one to exit at once,
 * but for a Ctrl-C that closely follows the first.
 *
 * @param now milliseconds on any clock that never goes back
 */
export function createStopRequests(now: () => number): (signal: StopSignal) => StopRequest {
  let first: { readonly signal: StopSignal; readonly at: number } | undefined;
  return (signal) => {
    if (first === undefined) {
      first = { signal, at: now() };
      return "drain";
    }
    const echo = signal === "SIGINT" && first.signal === signal && now() - first.at < ECHO_MS;
    return echo ? "ignore" : "exit";
  };
}
