/** Microseconds since the machine was started: one clock for all processes, Python's `time.monotonic()` included. */
export function clockMicros(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000_000 + Math.floor(nanoseconds / 1000);
}
