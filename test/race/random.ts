import { randomInt } from "node:crypto";

/** The environment's name for a seed, to make a run's choices again. */
const SEED = "EXECUTION_STORE_TEST_SEED";

/** The seed of the environment, or a new one. */
export function readSeed(): number {
  const given = process.env[SEED];
  return given === undefined ? randomInt(2 ** 31) : Number.parseInt(given, 10);
}

/** For the message of a failure. */
export function seedText(seed: number): string {
  return `${SEED}=${seed} makes the same choices again`;
}

/** Choices that a seed decides. */
export class Choices {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** A whole number from 0, below a limit: mulberry32. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  /** One of several. */
  of<T>(list: readonly T[]): T {
    const item = list[this.below(list.length)];
    if (item === undefined) throw new RangeError("there is nothing to choose from");
    return item;
  }
}
