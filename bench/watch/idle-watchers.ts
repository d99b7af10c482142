import { setTimeout as delay } from "node:timers/promises";
import { cpuMs } from "../process-figures.js";
import type { FigureGroup } from "../report.js";
import type { Deployment } from "./deployment.js";
import type { Effort } from "./effort.js";
import { storeWatches } from "./store-watches.js";
import { watchClients } from "./watch-clients.js";
import { places } from "./watch-load.js";

/** So many come and go first: code that was never run, and connections, are no part of a watcher. */
const FIRST = 100;
const KILOBYTES = 1000;

/** What watchers of different keys cost that are told nothing but progress, on a server of their own. */
export async function idleWatchers(
  deployment: Deployment,
  { idleWatchers: count, idleMs }: Effort,
): Promise<FigureGroup> {
  const server = await deployment.start();
  const clients = watchClients(storeWatches("idle", server), deployment.watchProcesses);
  await clients.open(places(FIRST));
  await clients.close();
  const before = await server.memoryAfterCollection();

  const start = performance.now();
  await clients.open(places(count));
  const openedMs = performance.now() - start;
  const cpuBefore = cpuMs(server.pid);
  await delay(idleMs);
  const cpuAfter = cpuMs(server.pid);
  const after = await server.memoryAfterCollection();
  await clients.close();
  await server.stop();

  const grown = before === undefined || after === undefined ? undefined : after - before;
  const spent = cpuBefore === undefined || cpuAfter === undefined ? undefined : cpuAfter - cpuBefore;
  return {
    name: "idle",
    title: `${count.toLocaleString("en-US")} idle watchers of a key each, 100 on a connection`,
    figures: [
      {
        name: "memory of a watcher (RssAnon, garbage collected)",
        value: grown === undefined ? undefined : (KILOBYTES * grown) / count,
        unit: "kB",
        target: { atMost: 25 },
      },
      { name: "memory without any", value: before, unit: "MB" },
      { name: "processor time of all of them together", value: spent && spent / idleMs, unit: "cores" },
      { name: "to open them", value: (1000 * count) / openedMs, unit: "watches/s" },
    ],
  };
}
