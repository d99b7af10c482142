/** Reports the error of a callback that nobody waits for: as a warning of the process, by default on stderr. */
export function warn(what: string, error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.emitWarning(`${what}: ${text}`, "ExecutionStoreWarning");
}
