import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { HasStoreRequest } from "../gen/ts/execution_store/v1/execution_store.js";
import { createBenchClient } from "./bench-client.js";
import type { Child } from "./children.js";
import { startExecutionStore } from "./execution-store-server.js";
import type { BenchOptions } from "./options.js";
import { anonymousMegabytes } from "./process-figures.js";
import type { FigureGroup } from "./report.js";
import { median } from "./rounds.js";

// Long enough for what a server does once after its start.
const SETTLE_MS = 1000;

/** Starts a server and answers how long its first answer took, in milliseconds from the start of its process. */
export async function startToFirstAnswer(
  options: BenchOptions,
  directory: string,
): Promise<{ readonly server: Child; readonly ms: number }> {
  const server = await startExecutionStore(options.server, `lmdb:${directory}`);
  const client = createBenchClient(server.port);
  const request = { datasetId: "", collectionName: "", storeName: "none" };
  await client.call("HasStore", HasStoreRequest.encode(request).finish());
  const ms = performance.now() - server.startedAt;
  client.close();
  return { server, ms };
}

/** Time to the first answer, on new databases, and memory before any load. */
export async function startTime(
  options: BenchOptions,
  directory: string,
  times: number,
): Promise<FigureGroup> {
  const taken: number[] = [];
  const idle: (number | undefined)[] = [];
  for (let index = 0; index < times; index++) {
    const { server, ms } = await startToFirstAnswer(options, join(directory, `start-${index}`));
    taken.push(ms);
    await delay(SETTLE_MS);
    idle.push(anonymousMegabytes(server.pid));
    await server.stop();
  }
  const memory = idle.filter((value) => value !== undefined);
  return {
    name: "start",
    title: `Start on a new database (${times} times)`,
    figures: [
      {
        name: "start of the process to its first answer, median",
        value: median(taken),
        unit: "ms",
        target: { atMost: 1000 },
      },
      { name: "the same, longest", value: Math.max(...taken), unit: "ms" },
      {
        name: "anonymous memory when idle (RssAnon), median",
        value: memory.length === 0 ? undefined : median(memory),
        unit: "MB",
      },
    ],
  };
}
