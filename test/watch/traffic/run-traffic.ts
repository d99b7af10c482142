import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "@grpc/grpc-js";
import { ExecutionStoreService } from "../../../src/client/service.js";
import { Choices } from "../../race/random.js";
import { gapAtStart, gapsBehindStart } from "../checkers/gaps.js";
import type { Allowances, LiveDocument, RecordedHistory, Stream } from "../checkers/history.js";
import { snapshotExact } from "../checkers/snapshot-exact.js";
import { openAudits } from "./audit.js";
import type { Happened } from "./coverage.js";
import { RandomWatcher } from "./random-watcher.js";
import { RandomWriter, type WriterOptions } from "./random-writer.js";
import { openChannel } from "./recorded-stream.js";
import { Recorder } from "./recorder.js";
import { ReferenceWatcher } from "./reference-watcher.js";
import { now, valueText, versionOf } from "./seen.js";
import { CONTEXTS, STORES } from "./world.js";

/** How long a key may still live that is waited for at the end, in ms. */
const SOON_MS = 60_000;
/** How much longer writers may go on until enough has happened, in ms. */
const MORE_MS = 20_000;
/** How long to wait for each of the things that are still to come, in ms. */
const SETTLE_MS = 20_000;
/** How long watchers that still get something may take to get all of it, in ms. */
const CATCH_UP_MS = 90_000;
/** How much longer than its traffic a run may take, in ms. */
export const MOST_EXTRA_MS = MORE_MS + 3 * SETTLE_MS + CATCH_UP_MS;

/** What a run is. */
export interface TrafficOptions {
  /** The addresses of the servers, over one database that has no key. */
  readonly servers: readonly string[];
  readonly seed: number;
  /** How long writers write at least, in ms. */
  readonly durationMs: number;
  /** Whether enough has happened; else writers go on, up to a limit. @default they do not */
  readonly enough?: (happened: Happened) => boolean;
  /** @default 10 */
  readonly writers?: number;
  /** @default 40 */
  readonly watchers?: number;
  /** The longest that a writer waits between two calls, in ms. @default 15 */
  readonly restMs?: number;
  /** Bytes of the largest value. @default 2000 */
  readonly valueBytes?: number;
  /** The longest that a watcher does not read, in ms. @default 1500 */
  readonly pauseMs?: number;
  /** @default none */
  readonly allowed?: Allowances;
  /** Writes besides, until it is told to stop. */
  readonly beside?: (recorder: Recorder, running: () => boolean) => Promise<void>;
  /** Happens during the traffic. */
  readonly disturb?: (recorder: Recorder) => Promise<void>;
}

/** A run, and what it came to. */
export interface Run {
  readonly history: RecordedHistory;
  readonly recorder: Recorder;
}

/** Lets random writers and watchers loose on servers, and records everything until all that was written has arrived. */
export async function runTraffic(options: TrafficOptions): Promise<Run> {
  const { servers, seed, pauseMs = 1500 } = options;
  const recorder = new Recorder();
  const services = servers.map((address) => new ExecutionStoreService({ address, retry: false }));
  const channels: Client[] = [];
  const open = (): Client[] => {
    const opened = servers.map(openChannel);
    channels.push(...opened);
    return opened;
  };
  const state = { running: true };
  const running = (): boolean => state.running;
  const reference = new ReferenceWatcher(recorder, open());
  try {
    await reference.started();
    const watchers = Array.from({ length: options.watchers ?? 40 }, (_, index) => {
      const choices = new Choices(seed + 1000 + index);
      const name = `watcher-${index}`;
      return new RandomWatcher({ name, channels: open(), recorder, choices, pauseMs, running });
    });
    const working = Promise.all([
      ...writersOf(options, { services, recorder, running }).map((writer) => writer.run()),
      ...watchers.map((watcher) => watcher.run()),
      options.beside?.(recorder, running),
    ]);
    const time = Promise.all([pass(options, recorder, reference), options.disturb?.(recorder)]);
    await Promise.race([time, working, reference.run()]).finally(() => (state.running = false));
    await working;
    const history = await finish(options, recorder, services, reference, () => [
      ...watchers.flatMap(({ last }) => last ?? []),
      ...openAudits(recorder, open(), new Choices(seed)),
    ]);
    return { recorder, history };
  } finally {
    state.running = false;
    reference.stop();
    for (const stream of recorder.streams) stream.close();
    for (const channel of channels) channel.close();
    for (const service of services) await service.close();
  }
}

/** Waits until the time is over and enough has happened. */
async function pass(
  { durationMs, enough = () => true }: TrafficOptions,
  { puts, removals, reads, streams }: Recorder,
  { streams: reference }: ReferenceWatcher,
): Promise<void> {
  await delay(durationMs);
  const deadline = now() + MORE_MS;
  while (!enough({ puts, removals, reads, streams, reference }) && now() < deadline) await delay(200);
}

function writersOf(
  { seed, writers = 10, restMs = 15, valueBytes = 2000 }: TrafficOptions,
  shared: Pick<WriterOptions, "services" | "recorder" | "running">,
): RandomWriter[] {
  const heard: WriterOptions["heard"] = new Map();
  return Array.from({ length: writers }, (_, index) => {
    const choices = new Choices(seed + index);
    return new RandomWriter({ ...shared, choices, heard, restMs, valueBytes });
  });
}

/** Waits for what is to come, and reads what is there. What does not come is for the checkers to name. */
async function finish(
  { allowed = {} }: TrafficOptions,
  recorder: Recorder,
  services: readonly ExecutionStoreService[],
  reference: ReferenceWatcher,
  openStreams: () => readonly Stream[],
): Promise<RecordedHistory> {
  const [service] = services;
  if (service === undefined) throw new Error("there is no server");
  await comes(() =>
    reference.documents.every(
      ({ version: { expiresAt } }) => expiresAt === undefined || expiresAt > now() + SOON_MS,
    ),
  );
  const [last] = (await writeLast(recorder, service)) ?? [];
  await comes(() => reference.documents.some(({ version }) => version.etag === last?.version?.etag));
  const remaining = await everything(service);
  const recorded = (streams: readonly Stream[]): RecordedHistory => ({
    puts: recorder.puts,
    removals: recorder.removals,
    reads: recorder.reads,
    streams,
    reference: reference.streams,
    remaining,
    endedAt: now(),
    disturbances: recorder.disturbances,
    allowed,
  });
  const open = openStreams();
  const told = (): number => open.reduce((sum, { messages }) => sum + countEvents(messages), 0);
  await comes(() => haveCaughtUp(recorded(open.filter(({ end }) => end === undefined))), told);
  return recorded(recorder.streams);
}

/** Whether something holds in time; there is more time while a count still grows. */
async function comes(holds: () => boolean, count: () => number = () => 0): Promise<boolean> {
  const latest = now() + SETTLE_MS + CATCH_UP_MS;
  let deadline = now() + SETTLE_MS;
  for (let last = count(); !holds() && now() < Math.min(deadline, latest); ) {
    await delay(100);
    const counted = count();
    if (counted > last) deadline = now() + SETTLE_MS;
    last = counted;
  }
  return holds();
}

function countEvents(messages: Stream["messages"]): number {
  return messages.reduce((sum, { events }) => sum + events.length, 0);
}

/** Writes what nothing comes after. */
function writeLast(recorder: Recorder, service: ExecutionStoreService): ReturnType<Recorder["put"]> {
  const place = { datasetId: "", storeName: "last", key: "last" };
  const value = { number: recorder.nextValue(), text: "the last" };
  return recorder.put([{ ...place, value: valueText(value) }], async () => {
    const { document, created } = await service.setKey(place.storeName, place.key, value);
    return [{ version: versionOf(document), created }];
  });
}

/** Whether all streams, which are open, have got all that they are to get. */
function haveCaughtUp(history: RecordedHistory): boolean {
  if (history.streams.some(({ messages }) => messages.length === 0)) return false;
  const gaps = history.streams.flatMap((stream) =>
    stream.request.snapshot
      ? gapsBehindStart(history, stream)
      : [...gapAtStart(history, stream), ...gapsBehindStart(history, stream)],
  );
  return gaps.length === 0 && snapshotExact(history).length === 0;
}

/** All documents that are there. */
async function everything(service: ExecutionStoreService): Promise<LiveDocument[]> {
  const found: LiveDocument[] = [];
  for (const datasetId of CONTEXTS) {
    const context = service.withContext(datasetId === "" ? {} : { datasetId });
    for (const storeName of [...STORES, "last"]) {
      for await (const document of context.listValues(storeName)) {
        const { key, value } = document;
        found.push({ datasetId, storeName, key, version: versionOf(document), value: valueText(value) });
      }
    }
  }
  return found;
}
