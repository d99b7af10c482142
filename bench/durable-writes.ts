import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { methodPath } from "./bench-client.js";
import { startExecutionStore } from "./execution-store-server.js";
import { load } from "./load.js";
import type { BenchOptions } from "./options.js";
import type { Figure, FigureGroup } from "./report.js";
import { median, type Pace } from "./rounds.js";
import { sampleKey, setKeyMessage } from "./sample-requests.js";
import { smallValue } from "./sample-values.js";

const BLOCK = Buffer.alloc(4096, 0x61);
const FILE_BLOCKS = 256;
const MOST_SYNCS = 300;

/** Times of write + fdatasync of one block of a file that has its length already, in milliseconds. */
function syncTimes(file: string, ms: number): readonly number[] {
  const descriptor = openSync(file, "w+");
  try {
    for (let block = 0; block < FILE_BLOCKS; block++) writeSync(descriptor, BLOCK);
    fdatasyncSync(descriptor);
    const times: number[] = [];
    const until = performance.now() + ms;
    while (times.length < MOST_SYNCS && performance.now() < until) {
      const start = performance.now();
      writeSync(descriptor, BLOCK, 0, BLOCK.length, (times.length % FILE_BLOCKS) * BLOCK.length);
      fdatasyncSync(descriptor);
      times.push(performance.now() - start);
    }
    return times;
  } finally {
    closeSync(descriptor);
  }
}

function milliseconds(name: string, values: readonly number[]): Figure {
  return { name, value: median(values), unit: "ms" };
}

/** What a durable write costs beside what the disk itself costs. */
export async function durableWrites(
  options: BenchOptions,
  directory: string,
  pace: Pace,
): Promise<FigureGroup> {
  const server = await startExecutionStore(options.server, `lmdb:${join(directory, "durable")}`);
  const messages = Array.from({ length: 1000 }, (_, index) =>
    setKeyMessage("progress", sampleKey(index), smallValue(index), "bson"),
  );
  const writes = { path: methodPath("SetKey"), messages, connections: 4 };
  const syncs: number[] = [];
  const alone: number[] = [];
  const together: number[] = [];
  await load(server.port, { ...writes, inFlight: 1 }, pace.warmUpMs);
  for (let round = 0; round < pace.rounds; round++) {
    syncs.push(median(syncTimes(join(directory, "sync"), pace.roundMs / 2)));
    const single = await load(server.port, { ...writes, inFlight: 1 }, pace.roundMs);
    alone.push(single.ms / single.calls);
    const many = await load(server.port, { ...writes, inFlight: 64 }, pace.roundMs);
    together.push((1000 * many.calls) / many.ms);
  }
  await server.stop();
  return {
    name: "durable",
    title: "Durable writes (median of the rounds)",
    figures: [
      milliseconds("write and fdatasync of 4 KiB, by this disk", syncs),
      milliseconds("SetKey, one at a time", alone),
      {
        name: "SetKey, one at a time, ÷ write and fdatasync",
        value: median(alone.map((value, round) => value / (syncs[round] ?? Number.NaN))),
        unit: "×",
      },
      { name: "SetKey, 64 in flight", value: median(together), unit: "calls/s" },
    ],
  };
}
