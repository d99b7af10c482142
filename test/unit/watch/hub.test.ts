import { setImmediate as turn } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import type { HistoryPoint, Selector } from "../../../src/store/changes.js";
import { StoreError } from "../../../src/store/errors.js";
import type { WatchStep } from "../../../src/watch/event-queue.js";
import { WatchHub } from "../../../src/watch/hub.js";
import type { WatchLimits } from "../../../src/watch/limits.js";
import type { Watch } from "../../../src/watch/watch.js";
import type { EventForm, WatchRequest } from "../../../src/watch/watcher.js";
import { until } from "../../support/until.js";
import { MemoryHistory, placeOf } from "./memory-history.js";

const ALL: Selector = { datasetId: undefined, storeName: undefined, key: undefined, keyPrefix: "" };
const FORM: EventForm = { values: "bson", previous: false };
const BYTES = 100;

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function make(limits: Partial<WatchLimits> = {}) {
  const history = new MemoryHistory();
  let encoded = 0;
  const hub = new WatchHub({
    source: history,
    stepBytes: 10 * BYTES,
    limits,
    encode: ({ position, events }) => {
      encoded += 1;
      return events.map(({ type }) => Buffer.from(`${position} ${type}`.padEnd(BYTES)));
    },
  });
  const open = async (
    from?: HistoryPoint,
    request: Partial<WatchRequest> = {},
    signal = new AbortController().signal,
  ): Promise<Watch> => {
    const asked = { selector: ALL, types: undefined, form: FORM, progressMs: 1e9, ...request };
    const watch = await hub.open(asked, from, signal);
    cleanups.push(() => watch.close());
    return watch;
  };
  return { history, hub, open, encoded: () => encoded };
}

function at(history: MemoryHistory, number: number): HistoryPoint {
  return { history: history.history, position: placeOf(number) };
}

/** Waits for what is to be told next, and takes it. */
async function nextStep(watch: Watch): Promise<WatchStep> {
  for (;;) {
    const step = watch.take(await watch.ready());
    if (step !== undefined) return step;
  }
}

/** Takes steps until so many payloads are there; answers the numbers of the changes. */
async function take(watch: Watch, count: number): Promise<number[]> {
  const numbers: number[] = [];
  while (numbers.length < count) {
    const { payloads } = await nextStep(watch);
    numbers.push(...payloads.map((payload) => Number(Buffer.from(payload).toString().slice(0, 8))));
  }
  return numbers;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

describe("a hub", () => {
  it("tells what comes after the beginning, and encodes it once for all who want one form", async () => {
    const { history, open, encoded } = make();
    history.append();
    const watches = await Promise.all(range(0, 50).map(() => open()));
    history.append();
    for (const watch of watches) expect(await take(watch, 1)).toEqual([2]);
    expect(encoded()).toBe(1);
    expect(history.reads).toEqual([placeOf(1)]);
  });

  it("goes on at every place, however many changes there were since", async () => {
    const { history, open } = make();
    for (let index = 0; index < 100; index += 1) history.append();
    for (const number of [0, 1, 50, 99, 100]) {
      const watch = await open(at(history, number));
      await watch.begun();
      history.append();
      const end = history.changes.length;
      expect(await take(watch, end - number)).toEqual(range(number + 1, end + 1));
      watch.close();
    }
  });

  it("names with every step the place behind it, not one further on", async () => {
    const { history, open } = make();
    const watch = await open();
    for (let index = 0; index < 64; index += 1) history.append();
    await until(() => history.open > 0, "it reads");
    for (let told = 0; told < 64; ) {
      const { payloads, position } = await nextStep(watch);
      told += payloads.length;
      const again = await open({ history: history.history, position });
      expect(await take(again, 64 - told)).toEqual(range(told + 1, 65));
      again.close();
    }
  });

  it("reads for a crowd that comes back at once a few times, not once for each", async () => {
    const { history, open } = make({ catchUps: 4 });
    await open();
    for (let index = 0; index < 200; index += 1) history.append();
    await turn();
    const before = history.reads.length;
    const watches = await Promise.all(range(0, 300).map((index) => open(at(history, index % 150))));
    for (const [index, watch] of watches.entries()) {
      const start = index % 150;
      expect(await take(watch, 200 - start)).toEqual(range(start + 1, 201));
    }
    expect(history.reads.length - before).toBeLessThanOrEqual(8);
    // All are at the live feed now.
    await until(() => history.open === 1, "only the live feed reads");
  });

  it("ends only those whose place is forgotten", async () => {
    const { history, open } = make({ catchUps: 1 });
    await open();
    for (let index = 0; index < 100; index += 1) history.append();
    await turn();
    history.floor = 50;
    const [lost, kept] = await Promise.all([open(at(history, 10)), open(at(history, 60))]);
    await expect(lost.begun()).rejects.toMatchObject({ reason: "HISTORY_LOST" });
    await kept.begun();
    expect(await take(kept, 40)).toEqual(range(61, 101));
  });

  it("keeps a watch that does not ask within its bounds, and brings it up later", async () => {
    const { history, hub, open } = make({ queueBytes: 10 * BYTES });
    const [slow, quick] = await Promise.all([open(), open()]);
    for (let index = 0; index < 500; index += 1) {
      history.append();
      expect(await take(quick, 1)).toEqual([index + 1]);
      expect(hub.queuedBytes).toBeLessThanOrEqual(10 * BYTES);
    }
    expect(await take(slow, 500)).toEqual(range(1, 501));
    expect(hub.queuedBytes).toBe(0);
    await until(() => history.open === 1, "only the live feed reads");
  });

  it("keeps all watches together within the common bound", async () => {
    const { history, hub, open } = make({ totalBytes: 50 * BYTES });
    const watches = await Promise.all(range(0, 100).map(() => open()));
    for (let index = 0; index < 20; index += 1) history.append();
    await until(() => hub.queuedBytes > 0, "changes wait");
    await turn();
    expect(hub.queuedBytes).toBeLessThanOrEqual(50 * BYTES);
    for (const watch of watches) expect(await take(watch, 20)).toEqual(range(1, 21));
  });

  it("gets on with a change that is larger than a queue", async () => {
    const { history, open } = make({ queueBytes: 1 });
    for (let index = 0; index < 50; index += 1) history.append();
    const watch = await open(at(history, 0));
    expect(await take(watch, 50)).toEqual(range(1, 51));
  });

  it("does not let one who does not ask hold up others that catch up with it", async () => {
    const { history, open } = make({ catchUps: 1, queueBytes: 40 * BYTES, patienceMs: 20 });
    await open();
    for (let index = 0; index < 300; index += 1) history.append();
    await turn();
    const [frozen, quick] = await Promise.all([open(at(history, 0)), open(at(history, 0))]);
    expect(await take(quick, 300)).toEqual(range(1, 301));
    expect(await take(frozen, 300)).toEqual(range(1, 301));
  });

  it("leaves out what is not asked for, and tells the place all the same", async () => {
    const { history, open } = make();
    const watch = await open(undefined, { types: new Set(["deleted"]), progressMs: 10 });
    history.append();
    history.append({ types: ["expired", "created"] });
    let step = await nextStep(watch);
    while (step.position < placeOf(2)) step = await nextStep(watch);
    expect(step).toEqual({ payloads: [], position: placeOf(2) });
    history.append({ types: ["deleted"] });
    expect((await nextStep(watch)).payloads).toHaveLength(1);
  });

  it("hands out both events of one write together", async () => {
    const { history, open } = make();
    const watch = await open();
    for (let index = 0; index < 30; index += 1) history.append({ types: ["expired", "created"] });
    for (let left = 30; left > 0; ) {
      const { payloads } = await nextStep(watch);
      expect(payloads.length % 2).toBe(0);
      left -= payloads.length / 2;
    }
  });

  it("refuses a place ahead of the history, and one of another", async () => {
    const { history, open } = make();
    const ahead = await open(at(history, 1));
    await expect(ahead.begun()).rejects.toMatchObject({ reason: "HISTORY_LOST" });
    await expect(open({ history: "there", position: placeOf(0) })).rejects.toMatchObject({
      reason: "HISTORY_LOST",
    });
  });

  it("ends all watches with their source, after what was told, and begins anew", async () => {
    const { history, hub, open } = make();
    const watches = await Promise.all([open(), open()]);
    history.append();
    await turn();
    history.fail(new StoreError("DATABASE_UNREACHABLE", "away"));
    for (const watch of watches) {
      expect(await take(watch, 1)).toEqual([1]);
      await expect(nextStep(watch)).rejects.toMatchObject({ reason: "DATABASE_UNREACHABLE" });
      watch.close();
    }
    history.failure = undefined;
    expect(hub.size).toBe(0);
    const again = await open(at(history, 0));
    expect(await take(again, 1)).toEqual([1]);
  });

  it("ends all whose places are forgotten with a few readings, however many they are", async () => {
    const { history, open } = make();
    await open();
    for (let index = 0; index < 500; index += 1) history.append();
    await turn();
    history.floor = 400;
    const before = history.reads.length;
    const watches = await Promise.all(range(0, 500).map((number) => open(at(history, number))));
    const ends = await Promise.allSettled(watches.map((watch) => watch.begun()));
    expect(ends.map(({ status }) => status === "fulfilled")).toEqual(
      range(0, 500).map((number) => number >= 400),
    );
    expect(history.reads.length - before).toBeLessThan(60);
  });

  it("tells its place while it waits for history to be read", async () => {
    const { history, open } = make({ catchUps: 1 });
    await open();
    for (let index = 0; index < 100; index += 1) history.append();
    await turn();
    history.stuckAt = placeOf(50);
    await open(at(history, 50));
    await turn();
    const waits = await open(at(history, 0), { progressMs: 10 });
    expect(await nextStep(waits)).toEqual({ payloads: [], position: placeOf(0) });
  });

  it("makes room for those who ask by forgetting what waits for those who sleep", async () => {
    const { history, hub, open } = make({ totalBytes: 20 * BYTES });
    const asleep = await Promise.all([open(), open()]);
    for (let index = 0; index < 10; index += 1) history.append();
    await until(() => hub.queuedBytes === 20 * BYTES, "all is full");
    const awake = await open();
    const before = history.reads.length;
    // By then the others have not asked for over a second.
    await until(async () => {
      history.append();
      await take(awake, 1);
      return hub.queuedBytes < 20 * BYTES;
    }, "there is room");
    const reads = history.reads.length;
    for (let index = 0; index < 50; index += 1) {
      history.append();
      await take(awake, 1);
    }
    expect(history.reads.length).toBe(reads);
    expect(reads).toBeGreaterThan(before);
    for (const watch of asleep)
      expect(await take(watch, history.changes.length)).toEqual(range(1, history.changes.length + 1));
  });

  it("stops reading when nobody watches", async () => {
    const { history, open } = make();
    for (let index = 0; index < 10; index += 1) history.append();
    const watches = await Promise.all([open(), open(at(history, 0))]);
    await Promise.all(watches.map((watch) => watch.begun()));
    for (const watch of watches) watch.close();
    await until(() => history.open === 0, "nobody reads");
  });

  it("stops reading history for those who have gone, and has its place for others", async () => {
    const { history, open } = make({ catchUps: 2 });
    await open();
    for (let index = 0; index < 10_000; index += 1) history.append();
    await turn();
    const gone = await Promise.all(range(0, 4).map((number) => open(at(history, number))));
    await Promise.all(gone.slice(0, 2).map((watch) => watch.begun()));
    for (const watch of gone) watch.close();
    const other = await open(at(history, 5));
    await other.begun();
    expect(await take(other, 9_995)).toHaveLength(9_995);
    await until(() => history.open === 1, "only the live feed reads");
  });

  it("ends a wait by the caller's signal", async () => {
    const { open } = make();
    const controller = new AbortController();
    const watch = await open(undefined, {}, controller.signal);
    const next = nextStep(watch);
    controller.abort(new Error("enough"));
    await expect(next).rejects.toThrow("enough");
  });
});
