import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { EventBuffer } from "../../src/client/event-buffer.js";

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

/** The heap in use, when what nobody holds is gone. */
async function heapUsed(): Promise<number> {
  // What a WeakRef was asked for lives on to the end of the turn.
  await setImmediate();
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

describe("a buffer whose consumer always stays a little behind", () => {
  test("holds no event that was taken", async () => {
    const buffer = new EventBuffer<object>(1000, 1000);
    const taken: WeakRef<object>[] = [];
    buffer.add([{}], 1);
    for (let number = 0; number < 200; number += 1) {
      buffer.add([{}], 1);
      const event = await buffer.take();
      if (event !== undefined) taken.push(new WeakRef(event));
    }
    await heapUsed();
    // The last may still be on the stack.
    expect(taken.slice(0, -1).filter((event) => event.deref() !== undefined)).toEqual([]);
    expect(await buffer.take()).toEqual({});
  });

  test("does not grow, and keeps the order", async () => {
    const buffer = new EventBuffer<number>(1000, 1000);
    const count = 500_000;
    const before = await heapUsed();
    buffer.add([0, 1, 2], 1);
    for (let number = 0; number < count; number += 1) {
      buffer.add([number + 3], 1);
      const event = await buffer.take();
      if (event !== number) throw new Error(`${event} came in the place of ${number}`);
    }
    // Even a place that is empty takes 8 bytes.
    expect((await heapUsed()) - before).toBeLessThan((count * 8) / 2);
    expect(await Promise.all([buffer.take(), buffer.take(), buffer.take()])).toEqual(
      [0, 1, 2].map((number) => count + number),
    );
  });
});

test("has room again when all events were taken, also after messages without events", async () => {
  const buffer = new EventBuffer<string>(10, 100);
  buffer.add(["a", "b"], 1000);
  buffer.add([], 1000);
  let room = false;
  const wait = async (): Promise<void> => {
    await buffer.room();
    room = true;
  };
  const waiting = wait();
  expect(await buffer.take()).toBe("a");
  await setImmediate();
  expect(room).toBe(false);
  expect(await buffer.take()).toBe("b");
  await waiting;
  buffer.add([], 1000);
  await buffer.room();
});
