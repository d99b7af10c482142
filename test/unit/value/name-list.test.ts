import * as fc from "fast-check";
import { expect, test } from "vitest";
import { HASH_SEED, hashByte, NameList } from "../../../src/value/name-list.js";

function hashOf(name: string): number {
  let hash = HASH_SEED;
  for (const byte of Buffer.from(name)) hash = hashByte(hash, byte);
  return hash;
}

/** The first name that is there before, as the list finds it; `hash` may be as bad as it likes. */
function repeated(names: readonly string[], hash: (name: string) => number): string | undefined {
  const buf = Buffer.from(names.map((name) => `${name}\0`).join(""));
  const list = new NameList();
  let at = 0;
  for (const name of names) {
    list.add(at, hash(name));
    at += Buffer.byteLength(name) + 1;
  }
  const start = list.repeated(buf, 0);
  return start === -1 ? undefined : buf.toString("utf8", start, buf.indexOf(0, start));
}

test("finds what a Set finds, with a good hash and with the worst", () => {
  const names = fc.array(
    fc.string({ maxLength: 4 }).map((name) => name.replaceAll("\0", "")),
    {
      maxLength: 300,
      size: "max",
    },
  );
  fc.assert(
    fc.property(names, (list) => {
      const expected = list.find((name, i) => list.indexOf(name) < i);
      expect(repeated(list, hashOf)).toBe(expected);
      expect(repeated(list, () => 42)).toBe(expected);
    }),
    { numRuns: 500 },
  );
});

test("stays linear when all hashes collide", () => {
  const names = Array.from({ length: 200_000 }, (_, i) => `n${i}`);
  const start = performance.now();
  expect(repeated(names, () => 7)).toBeUndefined();
  // Quadratic would be 2e10 comparisons, minutes.
  expect(performance.now() - start).toBeLessThan(10_000);
});
