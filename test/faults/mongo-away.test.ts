import { randomUUID } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { MongoEvent } from "../../src/engines/mongo/connection.js";
import { ensureIndexes } from "../../src/engines/mongo/indexes.js";
import { isStoreError } from "../../src/store/errors.js";
import { leavesOut } from "../support/left-out.js";
import { openConnection, type TestConnection } from "../support/mongodb/open-connection.js";
import { startReplicaSet, startStandalone, type TestReplicaSet } from "../support/mongodb/replica-set.js";
import { until } from "../support/until.js";

const WRITERS = 16;

interface Opened extends TestConnection {
  /** Where it counts; its own, so that no test finds what another wrote. */
  readonly collection: string;
}

/** Connects; events are those from then on. */
async function open(uri: string): Promise<Opened> {
  const opened = await openConnection(uri);
  opened.events.length = 0;
  return { ...opened, collection: randomUUID() };
}

/** What health was told, in order. */
function serving(events: readonly MongoEvent[]): boolean[] {
  return events.flatMap((event) => ("serving" in event ? [event.serving] : []));
}

function increment({ connection, collection }: Opened, id: string, signal?: AbortSignal): Promise<unknown> {
  return connection.run(signal === undefined ? {} : { signal }, "write", ({ maxTimeMS }) =>
    connection.db
      .collection<{ _id: string; n: number }>(collection)
      .updateOne({ _id: id }, { $inc: { n: 1 } }, { upsert: true, maxTimeMS }),
  );
}

function read({ connection, collection }: Opened, signal?: AbortSignal): Promise<Map<string, number>> {
  return connection.run(signal === undefined ? {} : { signal }, "read", async ({ maxTimeMS }) => {
    const documents = connection.db.collection<{ _id: string; n: number }>(collection);
    const found = await documents.find({}, { maxTimeMS }).toArray();
    return new Map(found.map(({ _id, n }) => [_id, n]));
  });
}

/** Writers that count, each by itself, until they are stopped. */
class Writers {
  readonly acknowledged = new Map<string, number>();
  readonly unknown = new Map<string, number>();
  readonly errors: unknown[] = [];
  total = 0;
  longestMs = 0;
  #stopped = false;
  readonly #running: Promise<void>[];

  constructor(opened: Opened) {
    this.#running = Array.from({ length: WRITERS }, (_, index) => this.#write(opened, `w${index}`));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  async #write(opened: Opened, id: string): Promise<void> {
    while (!this.#stopped) {
      const startedAt = performance.now();
      try {
        await increment(opened, id);
        this.acknowledged.set(id, (this.acknowledged.get(id) ?? 0) + 1);
        this.total += 1;
      } catch (error) {
        this.errors.push(error);
        const unknown = !isStoreError(error) || error.outcome !== "NOT_APPLIED";
        if (unknown) this.unknown.set(id, (this.unknown.get(id) ?? 0) + 1);
        await setImmediate();
      }
      this.longestMs = Math.max(this.longestMs, performance.now() - startedAt);
    }
  }

  /** Every acknowledged write is there once, and nothing beyond those whose outcome nobody knows. */
  async check(opened: Opened): Promise<void> {
    const found = await read(opened);
    for (const [id, count] of this.acknowledged) {
      expect(found.get(id)).toBeGreaterThanOrEqual(count);
      expect(found.get(id)).toBeLessThanOrEqual(count + (this.unknown.get(id) ?? 0));
    }
  }
}

describe.skipIf(leavesOut("mongodb"))("a replica set of three", { timeout: 90_000 }, () => {
  let set: TestReplicaSet;
  beforeAll(async () => {
    set = await startReplicaSet();
  }, 90_000);
  afterAll(() => set.close());

  /** Runs writers while something happens to the primary, until another one has taken many writes. */
  async function failOver(happen: () => Promise<void>): Promise<Writers> {
    const opened = await open(set.uri);
    const first = await set.waitForPrimary();
    const writers = new Writers(opened);
    onTestFinished(() => writers.stop());
    await until(() => writers.total > 100, "writers write");
    await happen();
    await set.waitForPrimary(first);
    const before = writers.total;
    await until(() => writers.total > before + 100, "writers write to another primary");
    await writers.stop();
    await writers.check(opened);
    return writers;
  }

  it("steps down without any call failing", async () => {
    const writers = await failOver(async () => void (await set.stepDown()));
    expect(writers.errors).toEqual([]);
    expect(writers.longestMs).toBeLessThan(15_000);
    await set.waitForMembers();
  });

  it("loses its primary to SIGKILL, and at most the calls under way have an unknown outcome", async () => {
    const primary = await set.waitForPrimary();
    onTestFinished(async () => {
      await primary.restart();
      await set.waitForMembers();
    });
    const writers = await failOver(() => primary.kill());
    // The driver repeats them, but for those whose connection it had given up already when they failed.
    for (const error of writers.errors) {
      expect(error).toMatchObject({ reason: "DATABASE_UNREACHABLE", outcome: "UNKNOWN" });
    }
    expect(writers.errors.length).toBeLessThanOrEqual(WRITERS);
    expect(writers.longestMs).toBeLessThan(15_000);
  });

  it("has its primary frozen, and calls that waited for it go to the next one", async () => {
    const primary = await set.waitForPrimary();
    onTestFinished(async () => {
      await primary.thaw();
      await set.waitForMembers();
    });
    const writers = await failOver(() => primary.freeze());
    expect(writers.errors).toEqual([]);
    // Four seconds until its monitor gives it up; a secondary that copied from it may take ten more to find out.
    expect(writers.longestMs).toBeLessThan(30_000);
  });

  it("has its indexes made while a member is down", async () => {
    const primary = await set.waitForPrimary();
    const other = set.members.find((member) => member !== primary);
    onTestFinished(async () => {
      await other?.restart();
      await set.waitForMembers();
    });
    const opened = await open(set.uri);
    await increment(opened, "a");
    await other?.kill();
    const ready = await ensureIndexes(opened.connection, opened.collection, () => undefined);
    await until(() => ready.size === 8, "all indexes are there");
  });

  it("is not served through one member alone", async () => {
    const primary = await set.waitForPrimary();
    for (const { uri, host } of set.members) {
      await expect(open(uri)).rejects.toMatchObject({
        reason: "DATABASE_UNUSABLE",
        message: expect.stringMatching(`^the URI of MongoDB at ${host} has directConnection=true, but`),
      });
    }
    expect(set.members).toContain(primary);
  });
});

describe.skipIf(leavesOut("mongodb"))("the only server", { timeout: 60_000 }, () => {
  it("is frozen: calls end in time, health turns, and all goes on when it is thawed", async () => {
    await using set = await startReplicaSet({ members: 1 });
    const opened = await open(set.uri);
    const [member] = set.members;
    await increment(opened, "a");
    await member?.freeze();
    const frozenAt = performance.now();
    const timedOut = [read, (o: Opened, signal: AbortSignal) => increment(o, "a", signal)].map((call) =>
      call(opened, AbortSignal.timeout(1000)),
    );
    for (const outcome of await Promise.allSettled(timedOut)) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { name: "TimeoutError" } });
    }
    expect(performance.now() - frozenAt).toBeLessThan(2000);
    await until(() => serving(opened.events).length > 0, "health turns", 10_000);
    expect(performance.now() - frozenAt).toBeLessThan(6000);
    expect(serving(opened.events)).toEqual([false]);
    const waiting = increment(opened, "b");
    await member?.thaw();
    await waiting;
    await until(() => serving(opened.events).length === 2, "health turns back");
    expect(serving(opened.events)).toEqual([false, true]);
    expect((await read(opened)).get("b")).toBe(1);
  });

  it("is restarted: a call waits for it, and health follows", async () => {
    await using standalone = await startStandalone();
    const opened = await open(standalone.uri);
    await increment(opened, "a");
    await standalone.kill("SIGTERM");
    await until(() => serving(opened.events).length > 0, "health turns");
    expect(opened.events).toContainEqual({
      serving: false,
      message: `MongoDB is away: ${standalone.host} refuses connections`,
    });
    const waiting = [increment(opened, "a"), read(opened)] as const;
    await standalone.restart();
    await Promise.all(waiting);
    expect((await read(opened)).get("a")).toBe(2);
    await until(() => serving(opened.events).length === 2, "health turns back");
    expect(opened.events.at(-1)).toEqual({ serving: true, message: `MongoDB is back at ${standalone.host}` });
  });

  it("is killed for good: calls fail at once after a while, and nothing piles up", async () => {
    await using standalone = await startStandalone();
    const opened = await open(`${standalone.uri}&serverSelectionTimeoutMS=2000`);
    await increment(opened, "a");
    const timers = activeTimers();
    await standalone.kill();
    const patient = Array.from({ length: 500 }, () => increment(opened, "a"));
    for (const outcome of await Promise.allSettled(patient)) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { reason: "DATABASE_UNREACHABLE" } });
    }
    const startedAt = performance.now();
    const late = Array.from({ length: 3000 }, (_, index) =>
      index % 2 === 0 ? increment(opened, "a") : read(opened),
    );
    for (const outcome of await Promise.allSettled(late)) {
      expect(outcome).toMatchObject({ reason: { reason: "DATABASE_UNREACHABLE", retryAfterMs: 1000 } });
    }
    // 64 at a time, they would wait for over a minute if each of them were patient.
    expect(performance.now() - startedAt).toBeLessThan(5000);
    expect(activeTimers()).toBeLessThan(timers + 20);
    // Thousands of calls failed, and the operator has heard of it once or twice.
    expect(opened.events.length).toBeLessThan(4);
    await standalone.restart();
    await until(() => serving(opened.events).at(-1) === true, "it is back");
    await increment(opened, "b");
  });
});

function activeTimers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
}
