import { setTimeout as delay } from "node:timers/promises";

const STEP_MS = 20;

/** Asks again and again until the answer is true. Throws after `limitMs`, naming what it waited for. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  limitMs = 20_000,
): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited ${limitMs} ms in vain until ${what}`);
    await delay(STEP_MS);
  }
}
