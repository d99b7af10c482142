import { expect } from "vitest";
import { MAX_VALUE_BYTES } from "../../../src/store/limits.js";
import { expiring, FIRST, persist, present, valueOf } from "../world.js";
import { type ChangeCheck, type ChangeWorld, changesOf, seen } from "./change-world.js";

const CHANGE = { value: valueOf("compared"), ttlMs: undefined, policy: undefined };

async function read({ engine }: ChangeWorld) {
  return seen(present(await engine.getKey(FIRST, "jobs", "key", true)));
}

/** What events show of documents. */
export function documents(check: ChangeCheck): void {
  check("shows each version as its writer and its readers see it", async (world) => {
    const { engine } = world;
    const writes = [
      () => engine.setKey(FIRST, "jobs", "key", persist({ text: "first", list: [1, 2.5, null] })),
      () => engine.setKey(FIRST, "jobs", "key", expiring(1_000_000, "x".repeat(200_000))),
      () => engine.updateTtl(FIRST, "jobs", "key", 2_000_000),
      () => engine.updatePolicy(FIRST, "jobs", "key", "persist"),
      () => engine.compareAndSetKey(FIRST, "jobs", "key", { value: valueOf("x".repeat(200_000)) }, CHANGE),
      () => engine.setKeyIfAbsent(FIRST, "jobs", "key", persist("not set")),
      () => engine.batchSetKeys(FIRST, "jobs", [{ key: "key", ...persist("last") }]),
    ];
    const { changes, result: versions } = await changesOf(world, async () => {
      const states = [];
      for (const write of writes) {
        const answer = await write();
        const document = await read(world);
        if (answer !== undefined && "document" in answer) {
          const { value, bytes } = document;
          expect({ ...answer.document, value, bytes }).toEqual(document);
        }
        if (states.at(-1)?.etag !== document.etag) states.push(document);
      }
      return states;
    });
    expect(versions).toHaveLength(writes.length - 1);
    expect(changes.map(({ events }) => events[0]?.document)).toEqual(versions);
    expect(changes.map(({ events }) => events[0]?.previous)).toEqual([undefined, ...versions.slice(0, -1)]);
  });

  check("shows of what is gone only what it was", async (world) => {
    const { engine } = world;
    await engine.setKey(FIRST, "jobs", "key", persist("old"));
    const old = await read(world);
    const { changes } = await changesOf(world, () => engine.deleteKey(FIRST, "jobs", "key", undefined));
    expect(changes.map(({ events }) => events[0])).toMatchObject([{ document: undefined, previous: old }]);
  });

  check("shows documents without their values where nobody asks for them", async (world) => {
    const { engine, source } = world;
    const start = await source.now({ previous: true });
    const value = "x".repeat(5000);
    for (let round = 0; round < 2; round += 1) await engine.setKey(FIRST, "jobs", "key", persist(value));
    const document = await engine.getKey(FIRST, "jobs", "key", false);
    const end = new AbortController();
    let count = 0;
    for await (const { changes } of source.read(start, { previous: true }, end.signal)) {
      for (const { events } of changes) {
        count += 1;
        if (count < 2) continue;
        expect(events[0]?.document?.read(false)).toEqual(document);
        expect(events[0]?.document?.read(false).value).toBeUndefined();
        expect(events[0]?.previous?.read(false)).toMatchObject({ key: "key", value: undefined });
      }
      if (count === 2) break;
    }
    end.abort();
  });

  check("dates what it tells", async (world) => {
    const { engine } = world;
    const { changes, result } = await changesOf(world, async () => {
      const { document } = await engine.setKey(FIRST, "jobs", "key", persist());
      await engine.deleteKey(FIRST, "jobs", "key", undefined);
      return document;
    });
    const times = changes.map(({ events }) => present(events[0]).commitTime);
    expect(Math.abs(present(times[0]) - result.updatedAt)).toBeLessThan(5000);
    expect(times.every(Number.isInteger)).toBe(true);
    expect(present(times[1])).toBeGreaterThanOrEqual(present(times[0]));
  });

  check("shows the largest values that there are", async (world) => {
    const { engine } = world;
    const empty = valueOf("").length;
    const { changes } = await changesOf(world, async () => {
      for (const letter of ["a", "b"])
        await engine.setKey(FIRST, "jobs", "key", persist(letter.repeat(MAX_VALUE_BYTES - empty)));
    });
    expect(changes.map(({ events }) => events[0]?.document?.bytes)).toEqual([
      MAX_VALUE_BYTES,
      MAX_VALUE_BYTES,
    ]);
    expect(changes[1]?.events[0]?.document).toEqual(await read(world));
  });
}
