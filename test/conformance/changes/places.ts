import { expect } from "vitest";
import { ELSEWHERE, FIRST, OTHER_COLLECTION, persist } from "../world.js";
import {
  type ChangeCheck,
  changesAfter,
  EVERYTHING,
  NEEDS,
  readBatches,
  snapshotPages,
  sourceOf,
  typesOf,
} from "./change-world.js";

/** Where readings start, and where they cannot. */
export function places(check: ChangeCheck): void {
  check("has all that was acknowledged before the call at or before now", async (world) => {
    const { engine, source } = world;
    for (let round = 0; round < 30; round += 1) {
      await engine.setKey(FIRST, "jobs", "before", persist(round));
      const point = await source.now(NEEDS);
      await engine.setKey(FIRST, "jobs", "after", persist(round));
      expect(typesOf(await changesAfter(world, point))).toEqual([
        `after: ${round === 0 ? "created" : "updated"}`,
      ]);
    }
  });

  check("goes on exactly where a reading stopped", async (world) => {
    const { engine, source } = world;
    const start = await source.now(NEEDS);
    await engine.batchSetKeys(
      FIRST,
      "jobs",
      Array.from({ length: 900 }, (_, index) => ({ key: `key-${index}`, ...persist() })),
    );
    const whole = await changesAfter(world, start);
    expect(whole).toHaveLength(900);
    const end = new AbortController();
    const parts = [];
    let point = start;
    while (parts.length < 900) {
      for await (const { changes, position } of readBatches(source, point, end.signal)) {
        parts.push(...changes);
        point = { ...point, position };
        break;
      }
    }
    end.abort();
    expect(parts.slice(0, 900)).toEqual(whole);
  });

  check("tells readers side by side the same, wherever they started", async (world) => {
    const { engine, source } = world;
    const start = await source.now(NEEDS);
    const readings = [];
    const points = [];
    for (let round = 0; round < 20; round += 1) {
      await engine.setKey(FIRST, "jobs", `key-${round}`, persist(round));
      const point = await source.now(NEEDS);
      points.push(point);
      readings.push(changesAfter(world, point));
    }
    const whole = await changesAfter(world, start);
    expect(whole).toHaveLength(20);
    const read = await Promise.all(readings);
    for (const [index, point] of points.entries()) {
      // What came later than its end, each reader has not waited for.
      expect(whole.slice(index + 1)).toEqual(expect.arrayContaining(read[index] ?? []));
      expect(await changesAfter(world, point)).toEqual(whole.slice(index + 1));
    }
  });

  check("moves on over what changes no key", async (world) => {
    const { engine, source } = world;
    const start = await source.now(NEEDS);
    for (let store = 0; store < 300; store += 1)
      await engine.createStore(FIRST, `store-${store}`, undefined, "evict");
    const point = await source.now(NEEDS);
    expect(point.position > start.position).toBe(true);
    await engine.setKey(FIRST, "jobs", "key", persist());
    expect(typesOf(await changesAfter(world, start))).toEqual(["key: created"]);
    expect(typesOf(await changesAfter(world, point))).toEqual(["key: created"]);
  });

  check("keeps the histories of two collections apart", async (world) => {
    const { engine, source } = world;
    const other = engine.changes(OTHER_COLLECTION);
    const start = await source.now(NEEDS);
    const there = await other.now(NEEDS);
    expect(there.history).not.toBe(start.history);
    await engine.setKey(ELSEWHERE, "jobs", "elsewhere", persist());
    await engine.setKey(FIRST, "jobs", "here", persist());
    expect(typesOf(await changesAfter(world, start))).toEqual(["here: created"]);
    await expect(other.read(start, NEEDS, new AbortController().signal).next()).rejects.toMatchObject({
      reason: "HISTORY_LOST",
    });
    const { pages } = await snapshotPages(other, EVERYTHING);
    expect(pages.flat().map(({ key }) => key)).toEqual(["elsewhere"]);
  });

  check("is lost, in words, where there is no such place", async (world) => {
    const { engine, source, ahead } = world;
    await engine.setKey(FIRST, "jobs", "key", persist());
    const now = await source.now(NEEDS);
    expect(now.history).toMatch(/^[\x20-\x7e]{1,64}$/);
    for (const point of [
      { ...now, history: "another" },
      { ...now, history: "" },
      ahead(now),
      ...["", "x", "garbage", "0", "-1", "!".repeat(300)].map((position) => ({ ...now, position })),
    ]) {
      const reading = source.read(point, NEEDS, new AbortController().signal).next();
      await expect(reading, JSON.stringify(point)).rejects.toMatchObject({
        name: "StoreError",
        kind: "OUT_OF_RANGE",
        reason: "HISTORY_LOST",
        message: expect.stringMatching(/snapshot/) as string,
      });
    }
  });

  check(
    "resumes after the engine was closed and opened",
    async (world) => {
      const start = await world.source.now(NEEDS);
      await world.engine.setKey(FIRST, "jobs", "before", persist("x".repeat(50_000)));
      const between = await world.source.now(NEEDS);
      await world.engine.setKey(FIRST, "jobs", "between", persist());
      const before = await changesAfter(world, start);
      await world.reopen();
      expect((await world.source.now(NEEDS)).history).toBe(start.history);
      await world.engine.setKey(FIRST, "jobs", "after", persist());
      const whole = await changesAfter(world, start);
      expect(whole.slice(0, -1)).toEqual(before);
      expect(typesOf(whole)).toEqual(["before: created", "between: created", "after: created"]);
      expect(await changesAfter(world, between)).toEqual(whole.slice(1));
      expect(sourceOf(world.engine)).toBe(world.source);
    },
    "durability",
  );
}
