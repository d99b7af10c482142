import { describe, expect, test } from "vitest";
import {
  type Answer,
  type KeyCall,
  keyModel,
  type Request,
  timeProblems,
  type Version,
} from "./key-model.js";
import { checkLinearizable, type SequentialModel, type TimedCall } from "./linearizability.js";
import { withGuesses } from "./problems.js";

const NEVER = Number.POSITIVE_INFINITY;

interface RegisterCall extends TimedCall {
  readonly write?: number;
  readonly read?: number;
}

const register: SequentialModel<RegisterCall, number> = {
  initial: 0,
  step: (state, { write, read }) => (write !== undefined ? [write] : read === state ? [state] : []),
  isIdle: ({ read }) => read !== undefined,
  describe: String,
};

function isLinear(...history: readonly RegisterCall[]): boolean {
  return checkLinearizable(history, register).linearizable;
}

/** Two readers that look twice at the same times. */
function twoReaders(first: number, second: number, third: number, fourth: number): RegisterCall[] {
  return [
    { called: 11, returned: 12, read: first },
    { called: 13, returned: 14, read: second },
    { called: 11, returned: 12, read: third },
    { called: 13, returned: 14, read: fourth },
  ];
}

describe("the search", () => {
  test("takes calls one after another in their order", () => {
    const history = [
      { called: 0, returned: 1, write: 1 },
      { called: 2, returned: 3, read: 1 },
    ];
    expect(isLinear(...history)).toBe(true);
    expect(isLinear(...history, { called: 4, returned: 5, read: 0 })).toBe(false);
  });

  test("takes calls at the same time in any order, but every reader in the same", () => {
    const writes = [
      { called: 0, returned: 10, write: 1 },
      { called: 0, returned: 10, write: 2 },
    ];
    expect(isLinear(...writes, ...twoReaders(2, 2, 2, 2))).toBe(true);
    expect(isLinear(...writes, ...twoReaders(1, 1, 1, 1))).toBe(true);
    expect(isLinear(...writes, ...twoReaders(1, 1, 2, 2))).toBe(false);
    expect(isLinear(...writes, ...twoReaders(1, 2, 1, 1))).toBe(false);
  });

  test("refuses a read of what was overwritten before it began", () => {
    const writes = [
      { called: 0, returned: 1, write: 1 },
      { called: 2, returned: 9, write: 2 },
    ];
    expect(isLinear(...writes, { called: 5, returned: 6, read: 1 })).toBe(true);
    expect(isLinear(...writes, { called: 5, returned: 6, read: 2 })).toBe(true);
    expect(isLinear(...writes, { called: 10, returned: 11, read: 1 })).toBe(false);
    const overtaken = [
      { called: 5, returned: 6, read: 2 },
      { called: 7, returned: 8, read: 1 },
    ];
    expect(isLinear(...writes, ...overtaken)).toBe(false);
  });

  test("lets a call without an answer happen late, or never, but not twice and not early", () => {
    const lost = { called: 5, returned: NEVER, write: 7 };
    expect(isLinear(lost, { called: 6, returned: 7, read: 0 })).toBe(true);
    const seen = [
      { called: 6, returned: 7, read: 0 },
      { called: 90, returned: 91, read: 7 },
    ];
    expect(isLinear(lost, ...seen)).toBe(true);
    expect(isLinear(lost, { called: 1, returned: 2, read: 7 })).toBe(false);
    const again = [...seen, { called: 92, returned: 93, write: 0 }, { called: 94, returned: 95, read: 7 }];
    expect(isLinear(lost, ...again)).toBe(false);
  });

  test("finds its way among many calls at once, and says where it ends", () => {
    const writes = Array.from({ length: 25 }, (_, index) => ({
      called: index,
      returned: index + 6,
      write: index,
    }));
    const reads = Array.from({ length: 25 }, (_, index) => ({
      called: index + 2,
      returned: index + 8,
      read: index,
    }));
    expect(isLinear(...writes, ...reads)).toBe(true);
    const wrong = { called: 60, returned: 61, read: 3 };
    const verdict = checkLinearizable([...writes, ...reads, wrong], register);
    expect(verdict).toMatchObject({ linearizable: false, stuck: [wrong] });
  });

  test("is as right as trying every order", () => {
    let seed = 12_345;
    const next = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * below);
    };
    let linear = 0;
    for (let round = 0; round < 3000; round += 1) {
      const history = Array.from({ length: 5 }, (): RegisterCall => {
        const called = next(12);
        const returned = next(6) === 0 ? NEVER : called + 1 + next(6);
        return next(2) === 0 ? { called, returned, write: next(3) } : { called, returned, read: next(3) };
      });
      const expected = anyOrder(0, history);
      expect(isLinear(...history), JSON.stringify(history)).toBe(expected);
      if (expected) linear += 1;
    }
    expect(linear).toBeGreaterThan(300);
    expect(linear).toBeLessThan(2700);
  });
});

/** The definition itself: whether some order of the calls that are left is possible. */
function anyOrder(state: number, left: readonly RegisterCall[]): boolean {
  if (left.every(({ returned }) => returned === NEVER)) return true;
  return left.some((call) => {
    if (left.some((other) => other !== call && other.returned < call.called)) return false;
    return register.step(state, call).some((after) =>
      anyOrder(
        after,
        left.filter((other) => other !== call),
      ),
    );
  });
}

function version(updatedAt: number, createdAt = updatedAt, expiresAt?: number): Version {
  return { etag: `at ${updatedAt}`, createdAt, updatedAt, expiresAt };
}

/** Calls one after another, from 100 on, ten apart. */
function inOrder(...calls: readonly (readonly [Request, Answer | undefined])[]): KeyCall[] {
  return calls.map(([request, answer], index) => ({
    request,
    answer,
    called: 100 + 10 * index,
    calledAt: 100 + 10 * index,
    returned: answer === undefined ? NEVER : 105 + 10 * index,
    returnedAt: answer === undefined ? NEVER : 105 + 10 * index,
  }));
}

function isPossible(...calls: readonly (readonly [Request, Answer | undefined])[]): boolean {
  return checkLinearizable(inOrder(...calls), keyModel).linearizable;
}

function set(value: number): Request {
  return { kind: "set", value, ttl: false };
}

function absent(value: number): Request {
  return { kind: "set-if-absent", value, ttl: false };
}

function swap(expected: number): Request {
  return { kind: "swap", expected, value: 5 };
}

function byEtag(etag: string): Request {
  return { kind: "swap-version", etag, value: 5 };
}

function has(yes: boolean): readonly [Request, Answer] {
  return [{ kind: "has" }, { yes }];
}

function get(value: number, read: Version): readonly [Request, Answer] {
  return [{ kind: "get" }, { yes: true, value, version: read }];
}

const created: readonly [Request, Answer] = [set(1), { yes: true, version: version(101) }];

/** A version that was created, deleted, and created again. */
function createdAgain(at: number): KeyCall[] {
  const made: Version = { etag: "another", createdAt: at, updatedAt: at, expiresAt: undefined };
  return inOrder(created, [{ kind: "delete" }, { yes: true }], [set(2), { yes: true, version: made }]);
}

function between([request, answer]: readonly [Request, Answer], called: number, returned: number): KeyCall {
  return { request, answer, called, returned, calledAt: called, returnedAt: returned };
}

describe("a version that a set answers and nobody else", () => {
  const read = get(1, version(105));
  const history = (deleted: number): KeyCall[] => [
    between([set(1), { yes: true, version: version(109) }], 100, 130),
    between(read, 104, 108),
    between([{ kind: "delete" }, { yes: true }], deleted, deleted + 5),
  ];

  test("is allowed where a deletion may have met the set before it answered, and nowhere else", () => {
    expect(checkLinearizable(history(110), keyModel).linearizable).toBe(false);
    expect(checkLinearizable(withGuesses(history(110)), keyModel).linearizable).toBe(true);
    expect(checkLinearizable(withGuesses(history(140)), keyModel).linearizable).toBe(false);
  });

  test("may as well be true, and be known to who compares with it", () => {
    const swapped = (etag: string): KeyCall[] => [
      between([{ kind: "delete" }, { yes: false }], 90, 95),
      between([set(1), { yes: true, version: version(109) }], 100, 130),
      between([{ kind: "delete" }, { yes: undefined }], 90, 105),
      between(
        [
          { kind: "swap-version", etag, value: 2 },
          { yes: true, version: version(149, 109) },
        ],
        140,
        150,
      ),
    ];
    expect(checkLinearizable(withGuesses(swapped(version(109).etag)), keyModel).linearizable).toBe(true);
    expect(checkLinearizable(withGuesses(swapped("another")), keyModel).linearizable).toBe(false);
  });
});

describe("what is promised of a key", () => {
  test("a set creates once, and a get reads what was set last", () => {
    const second: readonly [Request, Answer] = [set(2), { yes: false, version: version(111, 101) }];
    expect(isPossible(created, second, get(2, version(111, 101)))).toBe(true);
    expect(isPossible(created, second, get(1, version(101)))).toBe(false);
    expect(isPossible(created, second, get(2, version(112, 101)))).toBe(false);
    expect(isPossible(created, [set(2), { yes: true, version: version(111) }])).toBe(false);
    expect(isPossible(created, [{ kind: "get" }, { yes: false }])).toBe(false);
  });

  test("updated_at grows strictly, and created_at stays", () => {
    expect(isPossible(created, [set(2), { yes: false, version: version(101, 101) }])).toBe(false);
    expect(isPossible(created, [set(2), { yes: false, version: version(111, 111) }])).toBe(false);
  });

  test("a re-creation is later than what was deleted before it was called", () => {
    expect(checkLinearizable(createdAgain(121), keyModel).linearizable).toBe(true);
    expect(timeProblems(createdAgain(121))).toEqual([]);
    const [first, , late] = createdAgain(101);
    expect(timeProblems(createdAgain(101))).toEqual([[first, late]]);
    expect(timeProblems(createdAgain(100))).toHaveLength(1);
  });

  test("of two that create if absent, one wins", () => {
    const won: readonly [Request, Answer] = [absent(1), { yes: true, version: version(101) }];
    expect(isPossible(won, [absent(2), { yes: false, version: version(101) }])).toBe(true);
    expect(isPossible(won, [absent(2), { yes: true, version: version(111) }])).toBe(false);
    expect(isPossible(won, [absent(2), { yes: false, version: version(102) }])).toBe(false);
  });

  test("a swap happens exactly when its condition holds", () => {
    const done: Answer = { yes: true, version: version(111, 101) };
    const refused: Answer = { yes: false, version: version(101) };
    expect(isPossible(created, [swap(1), done])).toBe(true);
    expect(isPossible(created, [swap(1), refused])).toBe(false);
    expect(isPossible(created, [swap(9), refused])).toBe(true);
    expect(isPossible(created, [swap(9), done])).toBe(false);
    expect(isPossible([swap(1), { yes: false }])).toBe(true);
    expect(isPossible(created, [byEtag("at 101"), done])).toBe(true);
    expect(isPossible(created, [byEtag("at 101"), refused])).toBe(false);
    expect(isPossible(created, [byEtag("at 100"), done])).toBe(false);
  });

  test("a deletion says what it did, and does it only to its version", () => {
    const gone: readonly [Request, Answer] = [{ kind: "has" }, { yes: false }];
    expect(isPossible(created, [{ kind: "delete" }, { yes: true }], gone)).toBe(true);
    expect(isPossible(created, [{ kind: "delete" }, { yes: false }], gone)).toBe(false);
    expect(isPossible(created, [{ kind: "delete" }, { yes: undefined }], gone)).toBe(true);
    expect(isPossible(created, [{ kind: "delete-version", etag: "at 7" }, { yes: false }], gone)).toBe(false);
    expect(isPossible(created, [{ kind: "delete-version", etag: "at 101" }, { yes: true }], gone)).toBe(true);
  });

  test("a write without an answer may be seen, but not by its neighbours' results alone", () => {
    const lost: readonly [Request, undefined] = [set(2), undefined];
    const read: readonly [Request, Answer] = [
      { kind: "get" },
      { yes: true, value: 2, version: version(111, 101) },
    ];
    expect(isPossible(created, lost, read)).toBe(true);
    expect(isPossible(created, read)).toBe(false);
    expect(isPossible(created, read, lost)).toBe(false);
  });

  test("what has a ttl is there before its time, and gone after", () => {
    const brief: readonly [Request, Answer] = [
      { kind: "set", value: 1, ttl: true },
      { yes: true, version: version(101, 101, 122) },
    ];
    expect(isPossible(brief, has(true), has(true), has(false))).toBe(true);
    expect(isPossible(brief, has(true), has(false), has(false))).toBe(true);
    expect(isPossible(brief, has(false))).toBe(false);
    expect(isPossible(brief, has(true), has(true), has(true))).toBe(false);
    expect(isPossible(brief, has(true), has(false), has(true))).toBe(false);
    const again: readonly [Request, Answer] = [set(2), { yes: true, version: version(131) }];
    expect(isPossible(brief, has(true), has(true), again)).toBe(true);
    expect(isPossible(created, has(true), has(true), again)).toBe(false);
  });
});
