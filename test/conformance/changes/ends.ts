import { expect } from "vitest";
import type { ChangeBatch, ChangeSource, HistoryPoint } from "../../../src/store/changes.js";
import { FIRST, persist } from "../world.js";
import { type ChangeCheck, type ChangeWorld, EVERYTHING, NEEDS } from "./change-world.js";

/** A reading that has nothing more to read. */
async function waitingRead({ engine, source }: ChangeWorld, signal: AbortSignal) {
  const start = await source.now(NEEDS);
  await engine.setKey(FIRST, "jobs", "key", persist());
  return readToWait(source, start, signal);
}

/** Reads the one change after a place, and what comes after it. */
async function readToWait(source: ChangeSource, start: HistoryPoint, signal: AbortSignal) {
  const reading = source.read(start, NEEDS, signal);
  let batch: IteratorResult<ChangeBatch, void> | undefined;
  while (batch?.value?.changes.length !== 1) batch = await reading.next();
  return { reading, waiting: reading.next() };
}

/** Several pages. */
async function fill({ engine }: ChangeWorld): Promise<void> {
  for (let index = 0; index < 15; index += 1)
    await engine.setKey(FIRST, "jobs", `key-${index}`, persist("x".repeat(1_000_000)));
}

/** Reads what is left of a snapshot; some pages may have been fetched already. */
async function readOn(pages: AsyncGenerator<readonly unknown[], void>): Promise<void> {
  while ((await pages.next()).done !== true);
}

const SHUTTING_DOWN = { name: "StoreError", kind: "UNAVAILABLE", reason: "SHUTTING_DOWN" };

/** How readings end. */
export function ends(check: ChangeCheck): void {
  check("end with the signal's reason, at once", async (world) => {
    const reason = new Error("the caller is gone");
    const gone = { signal: AbortSignal.abort(reason) };
    const point = await world.source.now(NEEDS);
    await expect(world.source.now(NEEDS, gone)).rejects.toBe(reason);
    await expect(world.source.snapshot(EVERYTHING, true, gone)).rejects.toBe(reason);
    await expect(world.source.read(point, NEEDS, gone.signal).next()).rejects.toBe(reason);
    const controller = new AbortController();
    const { reading, waiting } = await waitingRead(world, controller.signal);
    const rejected = expect(waiting).rejects.toBe(reason);
    const before = performance.now();
    controller.abort(reason);
    await rejected;
    expect(performance.now() - before).toBeLessThan(500);
    expect(await reading.next()).toEqual({ done: true, value: undefined });
  });

  check("leave others alone who read the same", async (world) => {
    const first = new AbortController();
    const second = new AbortController();
    const start = await world.source.now(NEEDS);
    await world.engine.setKey(FIRST, "jobs", "key", persist());
    const one = await readToWait(world.source, start, first.signal);
    const two = await readToWait(world.source, start, second.signal);
    const ended = expect(one.waiting).rejects.toThrow();
    first.abort();
    await ended;
    await world.engine.setKey(FIRST, "jobs", "next", persist());
    expect((await two.waiting).value?.changes.map(({ key }) => key)).toEqual(["next"]);
    second.abort();
  });

  check("end in the middle of a snapshot", async (world) => {
    const { source } = world;
    await fill(world);
    const reason = new Error("the caller is gone");
    const controller = new AbortController();
    const snapshot = await source.snapshot(EVERYTHING, true, { signal: controller.signal });
    const pages = snapshot.pages();
    expect((await pages.next()).done).toBe(false);
    controller.abort(reason);
    await expect(readOn(pages)).rejects.toBe(reason);
    snapshot.close();
    snapshot.close();
  });

  check("end with the engine", async (world) => {
    const { engine, source } = world;
    await fill(world);
    const { waiting } = await waitingRead(world, new AbortController().signal);
    const snapshot = await source.snapshot(EVERYTHING, true);
    const pages = snapshot.pages();
    await pages.next();
    const untouched = await source.snapshot(EVERYTHING, true);
    const point = await source.now(NEEDS);
    const ended = expect(waiting).rejects.toMatchObject(SHUTTING_DOWN);
    await engine.close();
    await ended;
    await expect(readOn(pages)).rejects.toMatchObject(SHUTTING_DOWN);
    await expect(readOn(untouched.pages())).rejects.toMatchObject(SHUTTING_DOWN);
    snapshot.close();
    untouched.close();
    await expect(source.now(NEEDS)).rejects.toMatchObject(SHUTTING_DOWN);
    await expect(source.snapshot(EVERYTHING, true)).rejects.toMatchObject(SHUTTING_DOWN);
    await expect(source.read(point, NEEDS, new AbortController().signal).next()).rejects.toMatchObject(
      SHUTTING_DOWN,
    );
  });
}
