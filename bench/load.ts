import { callHeaders, openHttp2Connection } from "./http2-connection.js";

/** The calls of one measurement. */
export interface Workload {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Encoded requests, taken in turn. */
  readonly messages: readonly Buffer[];
  readonly connections: number;
  /** Calls at once, over all connections together. */
  readonly inFlight: number;
}

/** What one stretch of load came to. */
export interface Load {
  readonly calls: number;
  /** From the first call to the answer of the last. */
  readonly ms: number;
  /** Processor time that this process, the generator, spent. */
  readonly generatorCpuMs: number;
}

// Far beyond what the slowest call takes, so that a server that hangs ends the benchmark with a sentence.
const DRAIN_LIMIT_MS = 60_000;

function deadline(ms: number, path: string): { readonly expired: Promise<never>; clear(): void } {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${path} did not answer within ${ms} ms`)), ms);
  });
  return { expired, clear: () => clearTimeout(timer) };
}

/** The item of a list that goes round. */
function at<T>(items: readonly T[], index: number): T {
  const item = items[index % items.length];
  if (item === undefined) throw new RangeError("there is nothing to choose from");
  return item;
}

/**
 * Keeps `inFlight` calls in flight against a port of 127.0.0.1 for `ms`, then waits for the last answers. Fails
 * with the first call that fails.
 */
export async function load(port: number, workload: Workload, ms: number): Promise<Load> {
  const headers = callHeaders(workload.path);
  const connections = await Promise.all(
    Array.from({ length: Math.min(workload.connections, workload.inFlight) }, () =>
      openHttp2Connection(port),
    ),
  );
  const limit = deadline(ms + DRAIN_LIMIT_MS, workload.path);
  const cpu = process.cpuUsage();
  const start = performance.now();
  const until = start + ms;
  let [calls, next] = [0, 0];
  const callers = Array.from({ length: workload.inFlight }, (_, index) => {
    const connection = at(connections, index);
    return new Promise<void>((resolve, reject) => {
      const again = (): void =>
        connection.call(headers, at(workload.messages, next++), (error) => {
          if (error !== undefined) return reject(error);
          calls++;
          return performance.now() < until ? again() : resolve();
        });
      again();
    });
  });
  try {
    await Promise.race([Promise.all(callers), limit.expired]);
    const spent = process.cpuUsage(cpu);
    return { calls, ms: performance.now() - start, generatorCpuMs: (spent.user + spent.system) / 1000 };
  } finally {
    limit.clear();
    for (const connection of connections) connection.close();
  }
}
