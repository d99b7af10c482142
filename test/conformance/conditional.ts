import { Decimal128, Double, Int32, Long } from "bson";
import { expect } from "vitest";
import type { ConditionalWrite, Engine, Expectation } from "../../src/store/engine.js";
import {
  type Check,
  ELSEWHERE,
  expiring,
  FIRST,
  NONE,
  persist,
  plain,
  present,
  readValue,
  valueOf,
} from "./world.js";

const NEXT: ConditionalWrite = { value: valueOf("next"), ttlMs: undefined, policy: undefined };

async function swap(engine: Engine, key: string, expected: Expectation): Promise<boolean> {
  return (await engine.compareAndSetKey(FIRST, "jobs", key, expected, NEXT)).set;
}

/** Writes that depend on what is there. */
export function conditional(check: Check): void {
  check("sets what is absent, once", async ({ engine, clock }) => {
    const won = await engine.setKeyIfAbsent(FIRST, "jobs", "lock", expiring(1_000_000, "first"));
    expect(won.set).toBe(true);
    expect(won.document).toMatchObject({
      key: "lock",
      value: undefined,
      createdAt: clock.at(0),
      updatedAt: clock.at(0),
      expiresAt: clock.at(1_000_000),
      policy: "evict",
    });
    clock.advance(10_000);
    const lost = await engine.setKeyIfAbsent(FIRST, "jobs", "lock", persist("second"));
    expect(lost).toEqual({ set: false, document: won.document });
    expect(plain(await readValue(engine, FIRST, "jobs", "lock"))).toEqual(plain(valueOf("first")));
    expect(await engine.countKeys(FIRST, "jobs", "")).toBe(1);
  });

  check("sets what is absent again after a deletion", async ({ engine }) => {
    const first = await engine.setKeyIfAbsent(FIRST, "jobs", "lock", persist(1));
    expect(await engine.deleteKey(FIRST, "jobs", "lock", first.document?.etag)).toBe(true);
    const second = await engine.setKeyIfAbsent(FIRST, "jobs", "lock", persist(2));
    expect(second.set).toBe(true);
    expect(present(second.document).updatedAt).toBeGreaterThan(present(first.document).updatedAt);
    expect(second.document?.etag).not.toBe(first.document?.etag);
  });

  check("swaps an expected value", async ({ engine, clock }) => {
    const { document: before } = await engine.setKey(FIRST, "jobs", "key", persist("old"));
    clock.advance(10_000);
    const swapped = await engine.compareAndSetKey(FIRST, "jobs", "key", { value: valueOf("old") }, NEXT);
    expect(swapped.set).toBe(true);
    expect(swapped.document).toMatchObject({
      value: undefined,
      createdAt: clock.at(0),
      updatedAt: clock.at(10_000),
    });
    expect(swapped.document?.etag).not.toBe(before.etag);
    expect(plain(await readValue(engine, FIRST, "jobs", "key"))).toEqual(plain(NEXT.value));
    expect(await engine.getKey(FIRST, "jobs", "key", false)).toEqual(swapped.document);

    const again = await engine.compareAndSetKey(FIRST, "jobs", "key", { value: valueOf("old") }, NEXT);
    expect(again).toEqual({ set: false, document: swapped.document });
  });

  check("swaps an expected version, which never comes back", async ({ engine }) => {
    const { etag: first } = (await engine.setKey(FIRST, "jobs", "key", persist("a"))).document;
    const { etag: second } = (await engine.setKey(FIRST, "jobs", "key", persist("b"))).document;
    const { etag: third } = (await engine.setKey(FIRST, "jobs", "key", persist("a"))).document;
    expect(await swap(engine, "key", { etag: first })).toBe(false);
    expect(await swap(engine, "key", { etag: second })).toBe(false);
    expect(plain(await readValue(engine, FIRST, "jobs", "key"))).toEqual(plain(valueOf("a")));
    expect(await swap(engine, "key", { etag: third })).toBe(true);
    expect(await swap(engine, "key", { etag: third })).toBe(false);
    await engine.deleteKey(FIRST, "jobs", "key", undefined);
    await engine.setKey(FIRST, "jobs", "key", persist("a"));
    expect(await swap(engine, "key", { etag: third })).toBe(false);
  });

  check("takes no etag of another key, store, context or collection", async ({ engine }) => {
    const { etag } = (await engine.setKey(FIRST, "jobs", "key", persist("same"))).document;
    await engine.setKey(FIRST, "jobs", "other", persist("same"));
    await engine.setKey(FIRST, "jobs2", "key", persist("same"));
    expect(await swap(engine, "other", { etag })).toBe(false);
    expect((await engine.compareAndSetKey(FIRST, "jobs2", "key", { etag }, NEXT)).set).toBe(false);
    for (const scope of [NONE, ELSEWHERE]) {
      // As many changes as in the first context, in case etags count them.
      for (const key of ["key", "other", "third"]) await engine.setKey(scope, "jobs", key, persist("same"));
      expect((await engine.compareAndSetKey(scope, "jobs", "key", { etag }, NEXT)).set).toBe(false);
    }
    expect(await swap(engine, "key", { etag: `${etag}x` })).toBe(false);
    expect(await swap(engine, "key", { etag: "\u{1F600}" })).toBe(false);
    expect(await swap(engine, "key", { etag })).toBe(true);
  });

  check("compares numbers by value, and nothing else across types", async ({ engine }) => {
    const equal: [stored: unknown, expected: unknown][] = [
      [new Int32(5), new Double(5)],
      [new Double(5), Long.fromNumber(5)],
      [new Int32(5), Decimal128.fromString("5.0")],
      [new Double(0), new Double(-0)],
      [new Double(NaN), new Double(NaN)],
      [new Double(0.5), Decimal128.fromString("0.5")],
      [
        { a: 1, b: { c: 2, d: 3 } },
        { b: { d: 3, c: 2 }, a: 1 },
      ],
      [null, null],
      [
        [1, [2]],
        [new Double(1), [Long.fromNumber(2)]],
      ],
    ];
    const different: [stored: unknown, expected: unknown][] = [
      [true, 1],
      [0, false],
      [Long.fromString("9007199254740993"), new Double(9007199254740992)],
      [new Double(0.1), Decimal128.fromString("0.1")],
      [
        [1, 2],
        [2, 1],
      ],
      [{ a: 1 }, { a: 1, b: null }],
      ["1", 1],
      [null, {}],
      [[], {}],
      ["a", "a\u0000"],
    ];
    for (const [index, [stored, expected]] of [...equal, ...different].entries()) {
      await engine.setKey(FIRST, "jobs", "key", persist(stored));
      expect(await swap(engine, "key", { value: valueOf(expected) }), `case ${index}`).toBe(
        index < equal.length,
      );
    }
  });

  check("compares large values to the last byte", async ({ engine }) => {
    for (const length of [1000, 1023, 1024, 1025, 5000, 1_000_000]) {
      const stored = { text: "x".repeat(length), end: 1 };
      await engine.setKey(FIRST, "jobs", "key", persist(stored));
      expect(await swap(engine, "key", { value: valueOf({ ...stored, end: 2 }) })).toBe(false);
      expect(await swap(engine, "key", { value: valueOf({ end: 1, text: stored.text }) })).toBe(true);
      expect(plain(await readValue(engine, FIRST, "jobs", "key"))).toEqual(plain(NEXT.value));
    }
  });

  check("keeps a large value's policy, expiry and version when it loses", async ({ engine, clock }) => {
    const big = "y".repeat(30_000);
    const { document } = await engine.setKey(FIRST, "jobs", "key", expiring(1_000_000, big));
    clock.advance(1000);
    const lost = await engine.compareAndSetKey(
      FIRST,
      "jobs",
      "key",
      { value: valueOf(`${big}z`) },
      { ...persist("small") },
    );
    expect(lost).toEqual({ set: false, document });
    expect(plain(await readValue(engine, FIRST, "jobs", "key"))).toEqual(plain(valueOf(big)));
  });
}
