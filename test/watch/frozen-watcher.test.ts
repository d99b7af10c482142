import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { ExecutionStoreService } from "../../src/client/service.js";
import { buildBeforeTests } from "../cli/cli-process.js";
import { tempDir } from "../support/temp-dir.js";
import { until } from "../support/until.js";
import { EVERYTHING } from "./checkers/everything.js";
import type { StreamEnd } from "./checkers/history.js";
import { liveEvents } from "./checkers/reference.js";
import { RestartableServer } from "./servers.js";
import { openChannel, RecordedStream } from "./traffic/recorded-stream.js";
import { now } from "./traffic/seen.js";

/** Watchers of one key each, beside the one that freezes. */
const OTHERS = 999;
const PER_CONNECTION = 100;
const STORE = "s";
/** With previous documents, each event has two of them. */
const VALUE = "x".repeat(64 * 1024);
/** Keys that are written in one call. */
const BATCH = 10;
const BATCHES_PER_SECOND = 20;
const PHASE_MS = 5000;
const STALL_MS = 4000;
/** What the frozen watcher may add to the server's memory: its queue, its socket, and what a heap varies by. */
const MORE_BYTES = 45 * 1024 * 1024;

buildBeforeTests();

/** A watcher in a process of its own. */
interface WatchingProcess {
  readonly etags: string[];
  readonly started: () => boolean;
  readonly end: () => StreamEnd | undefined;
  kill(signal: NodeJS.Signals): void;
}

function startWatching(address: string): WatchingProcess {
  const program = join(import.meta.dirname, "watching-process.ts");
  const child = spawn(process.execPath, ["--import", "tsx", program, address], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const etags: string[] = [];
  const state: { started: boolean; end: StreamEnd | undefined } = { started: false, end: undefined };
  createInterface({ input: child.stdout }).on("line", (line) => {
    const said = JSON.parse(line) as { kind?: string; etags?: string[]; end?: StreamEnd };
    if (said.kind === "started") state.started = true;
    etags.push(...(said.etags ?? []));
    state.end = said.end;
  });
  return {
    etags,
    started: () => state.started,
    end: () => state.end,
    kill: (signal) => void child.kill(signal),
  };
}

/** The memory that a process has to itself, in bytes. */
async function memoryOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return 1024 * Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]);
}

/** What a time of even writing came to. */
interface Phase {
  readonly etags: readonly string[];
  /** From the call to the arrival at the key's watcher, in ms. */
  readonly latencies: readonly number[];
  readonly bytes: number;
}

/** Writes evenly for a while. */
async function write(
  service: ExecutionStoreService,
  streams: readonly RecordedStream[],
  pid: number,
): Promise<Phase> {
  const begin = now();
  const written: { readonly key: string; readonly etag: string; readonly at: number }[] = [];
  let bytes = 0;
  for (let count = 0; now() < begin + PHASE_MS; count += 1) {
    await delay(begin + (1000 * count) / BATCHES_PER_SECOND - now());
    const entries = Array.from({ length: BATCH }, (_, index) => ({
      key: keyOf(BATCH * count + index),
      value: VALUE,
    }));
    const at = now();
    const results = await service.batchSetKeys(STORE, entries);
    written.push(...results.map(({ document: { key, etag } }) => ({ key, etag, at })));
    bytes = Math.max(bytes, await memoryOf(pid));
  }
  const byKey = new Map(streams.map((stream) => [stream.request.key, stream]));
  const latencies: number[] = [];
  for (const { key, etag, at } of written) latencies.push((await arrivalOf(byKey.get(key), etag)) - at);
  return { etags: written.map(({ etag }) => etag), latencies, bytes };
}

function keyOf(index: number): string {
  return `key-${index % OTHERS}`;
}

/** Waits until a version has arrived; answers when that was. */
async function arrivalOf(stream: RecordedStream | undefined, etag: string): Promise<number> {
  const arrival = (): number | undefined =>
    stream?.messages.find(({ events }) => events.some(({ document }) => document.version?.etag === etag))
      ?.receivedAt;
  await stream?.until(() => arrival() !== undefined);
  return arrival() ?? Number.POSITIVE_INFINITY;
}

function p99(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)] ?? Number.NaN;
}

// https://github.com/etcd-io/etcd/issues/16839, https://github.com/grpc/grpc-node/issues/1332
test(`one frozen watcher holds up none of ${OTHERS} others, costs little memory, and loses nothing`, {
  timeout: 120_000,
}, async () => {
  const server = await RestartableServer.start(`lmdb:${tempDir()}`, "--watch-stall", `${STALL_MS}ms`);
  const service = new ExecutionStoreService({ address: server.address });
  const channels = Array.from({ length: OTHERS / PER_CONNECTION + 1 }, () => openChannel(server.address));
  onTestFinished(async () => {
    for (const channel of channels) channel.close();
    await service.close();
  });
  const streams = channels.flatMap((channel, at) =>
    Array.from({ length: Math.min(PER_CONNECTION, OTHERS - at * PER_CONNECTION) }, (_, index) => {
      const key = keyOf(at * PER_CONNECTION + index);
      const request = { ...EVERYTHING, key, encoding: "none", includePrevious: false } as const;
      return new RecordedStream(channel, key, request, undefined);
    }),
  );
  onTestFinished(() => {
    for (const stream of streams) stream.close();
  });
  for (const stream of streams) await stream.until(({ messages }) => messages.length > 0);
  const frozen = startWatching(server.address);
  await until(frozen.started, "the other process watches");

  const before = await write(service, streams, server.pid);
  frozen.kill("SIGSTOP");
  const during = await write(service, streams, server.pid);
  const figures = JSON.stringify({ before: summary(before), during: summary(during) });
  // Held up, they would wait for the frozen one's time to be over; what runs beside the tests may take some of this.
  expect(p99(during.latencies), figures).toBeLessThan(2 * p99(before.latencies) + STALL_MS / 4);
  expect(during.bytes, figures).toBeLessThan(before.bytes + MORE_BYTES);

  frozen.kill("SIGCONT");
  await until(() => frozen.end() !== undefined, "the frozen watch ends");
  const end = frozen.end();
  expect(end).toMatchObject({ status: "RESOURCE_EXHAUSTED", reason: "WATCH_TOO_SLOW" });
  const all = [...before.etags, ...during.etags];
  const [channel] = channels;
  if (channel === undefined) throw new Error("there is no connection");
  const resumed = new RecordedStream(
    channel,
    "resumed",
    { ...EVERYTHING, resumeToken: end?.token ?? "" },
    undefined,
  );
  await resumed.until((stream) => frozen.etags.length + liveEvents(stream).length >= all.length);
  const rest = liveEvents(resumed).map(({ document }) => document.version?.etag);
  resumed.close();
  expect(rest.length).toBeGreaterThan(0);
  expect([...frozen.etags, ...rest]).toEqual(all);
  expect(streams.filter((stream) => stream.end !== undefined)).toEqual([]);
});

function summary({ latencies, bytes, etags }: Phase): object {
  return { writes: etags.length, p99: Math.round(p99(latencies)), megabytes: Math.round(bytes / 2 ** 20) };
}
