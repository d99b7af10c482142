import { until } from "../../test/support/until.js";
import { cpuMs } from "../process-figures.js";
import type { Histogram } from "./histogram.js";
import type { WatchLoad } from "./watch-load.js";
import type { WatchedServer } from "./watched-server.js";
import type { Watchers } from "./watchers.js";
import { openWriter, type Writer, type Written } from "./writer.js";

/** How long the last events may take after the last write. */
const DRAIN_LIMIT_MS = 60_000;

/** Who is measured. */
export interface Subject {
  /** Takes the writes. */
  readonly server: WatchedServer;
  readonly watchers: Watchers;
}

/** How long to measure, and before that to load without measuring. */
export interface DeliveryPace {
  readonly warmUpMs: number;
  readonly ms: number;
}

/** What half, and all but a hundredth, of them did not exceed, and the longest; in milliseconds. */
export interface Delays {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** How events came to watchers. */
export interface Delivery {
  readonly watchers: number;
  readonly writesPerSecond: number;
  readonly eventsPerSecond: number;
  /** From just before a write was sent to the arrival of its event. */
  readonly delays: Delays;
  /** From sending a write to its answer. */
  readonly writes: Delays;
  /** Cores that were busy on average; undefined where the system does not tell. */
  readonly cores: {
    readonly server: number | undefined;
    readonly watchers: number | undefined;
    readonly writer: number;
  };
}

/** A stretch of load, with what the processes spent on it. */
interface Stretch {
  readonly written: Written;
  readonly delays: Histogram;
  readonly ms: number;
  readonly serverCpuMs: number | undefined;
  readonly watchersCpuMs: number | undefined;
}

function delaysOf(delays: Histogram): Delays {
  const of = (share: number): number => delays.quantile(share) / 1000;
  return { p50: of(0.5), p99: of(0.99), max: delays.max / 1000 };
}

function totalCpuMs(pids: readonly number[]): number | undefined {
  const each = pids.map(cpuMs).filter((ms) => ms !== undefined);
  return each.length < pids.length ? undefined : each.reduce((sum, ms) => sum + ms, 0);
}

function difference(after: number | undefined, before: number | undefined): number | undefined {
  return after === undefined || before === undefined ? undefined : after - before;
}

async function stretch({ server, watchers }: Subject, load: () => Promise<Written>): Promise<Stretch> {
  await watchers.reset();
  const before = [totalCpuMs([server.pid]), totalCpuMs(watchers.pids)];
  const start = performance.now();
  const written = await load();
  const ms = performance.now() - start;
  const after = [totalCpuMs([server.pid]), totalCpuMs(watchers.pids)];
  const delays = await watchers.delays();
  return {
    written,
    delays,
    ms,
    serverCpuMs: difference(after[0], before[0]),
    watchersCpuMs: difference(after[1], before[1]),
  };
}

function deliveryOf({ watched }: WatchLoad, of: Stretch): Delivery {
  const cores = (spentMs: number | undefined) => (spentMs === undefined ? undefined : spentMs / of.ms);
  return {
    watchers: watched.length,
    writesPerSecond: (1000 * of.written.writes) / of.written.ms,
    eventsPerSecond: (1000 * of.delays.count) / of.ms,
    delays: delaysOf(of.delays),
    writes: delaysOf(of.written.delays),
    cores: {
      server: cores(of.serverCpuMs),
      watchers: cores(of.watchersCpuMs),
      writer: of.written.cpuMs / of.ms,
    },
  };
}

/** Waits until everybody got everything, and sees to it that nobody got anything twice. */
async function allDelivered({ watchers }: Subject, expected: number): Promise<void> {
  let events = 0;
  const enough = async (): Promise<boolean> => {
    events = await watchers.count();
    return events >= expected;
  };
  try {
    await until(enough, `${expected} events have come`, DRAIN_LIMIT_MS);
  } catch (error) {
    throw new Error(`${expected - events} of ${expected} events have not come`, { cause: error });
  }
  if (events > expected) throw new Error(`${events} events came where ${expected} were expected`);
}

/** Has the watches open and a writer ready while `work` goes on. */
async function withWatches<T>(
  { server, watchers }: Subject,
  load: WatchLoad,
  work: (writer: Writer) => Promise<T>,
): Promise<T> {
  const writer = await openWriter(server, load.written);
  await watchers.open(load.watched);
  const result = await work(writer);
  await watchers.close();
  writer.close();
  return result;
}

/**
 * Measures how long events take from a write to all who watch its key, at a fixed rate of writes. Fails unless every
 * watcher gets every event exactly once.
 */
export function measureDelivery(
  subject: Subject,
  load: WatchLoad,
  writesPerSecond: number,
  pace: DeliveryPace,
): Promise<Delivery> {
  return withWatches(subject, load, async (writer) => {
    const write = async (ms: number): Promise<Written> => {
      const written = await writer.atRate(writesPerSecond, ms);
      await allDelivered(subject, written.writes * load.eventsPerWrite);
      return written;
    };
    await stretch(subject, () => write(pace.warmUpMs));
    return deliveryOf(load, await stretch(subject, () => write(pace.ms)));
  });
}

/** Measures how many events a second are delivered when there are always more: so many writes are in flight. */
export function measureSaturation(
  subject: Subject,
  load: WatchLoad,
  inFlight: number,
  pace: DeliveryPace,
): Promise<Delivery> {
  return withWatches(subject, load, async (writer) => {
    await writer.atOnce(inFlight, pace.warmUpMs);
    return deliveryOf(load, await stretch(subject, () => writer.atOnce(inFlight, pace.ms)));
  });
}
