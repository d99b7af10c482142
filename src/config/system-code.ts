/** The system's code of an error, such as ENOENT, or of the one that caused it; undefined if there is none. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return "code" in error && typeof error.code === "string" ? error.code : systemCode(error.cause);
}
