import { Double } from "bson";
import * as fc from "fast-check";
import type { Policy, Scope } from "../../src/store/document.js";
import type { BatchEntry, ConditionalWrite, Write } from "../../src/store/engine.js";
import { ELSEWHERE, FIRST, NONE, valueOf } from "../conformance/world.js";

/** Where a command on one key goes. */
export interface Place {
  readonly scope: Scope;
  readonly store: string;
  readonly key: string;
}

/** What a compare-and-set or a deletion expects: a value, or the n-th etag seen in the collection. */
export type Expected = { readonly value: ValueName } | { readonly seen: number };

/** One call of an engine, or several at once. Its times are in units, of a length that the runner chooses. */
export type Call =
  | { readonly name: "setKey" | "setKeyIfAbsent"; readonly at: Place; readonly write: Named<Write> }
  | {
      readonly name: "compareAndSetKey";
      readonly at: Place;
      readonly expected: Expected;
      readonly write: Named<ConditionalWrite>;
    }
  | {
      readonly name: "swapCurrent";
      readonly at: Place;
      readonly byEtag: boolean;
      readonly write: Named<ConditionalWrite>;
    }
  | { readonly name: "deleteKey"; readonly at: Place; readonly seen: number | undefined }
  | { readonly name: "updateTtl"; readonly at: Place; readonly ttlMs: number }
  | { readonly name: "updatePolicy"; readonly at: Place; readonly policy: Policy }
  | { readonly name: "batchSetKeys"; readonly at: Place; readonly entries: readonly Named<BatchEntry>[] }
  | { readonly name: "batchDeleteKeys"; readonly at: Place; readonly keys: readonly string[] }
  | { readonly name: "createStore"; readonly at: Place; readonly policy: Policy; readonly large: boolean }
  | { readonly name: "deleteStore" | "clearStoreCache" | "deleteStoreGlobal"; readonly at: Place }
  | { readonly name: "clearCache" | "cleanup"; readonly at: Place }
  | { readonly name: "together"; readonly at: Place; readonly calls: readonly Call[] }
  | { readonly name: "look"; readonly at: Place; readonly prefix: string; readonly limit: number };

/** One step of a history; `ms` is in units, too. */
export type Command =
  | Call
  | { readonly name: "advance"; readonly ms: number }
  | { readonly name: "sweep" }
  | { readonly name: "reopen" };

export const SCOPES = [NONE, FIRST, ELSEWHERE] as const;
export const STORES = ["a", "a\u0001", "ab", "\u{1F600}"] as const;
export const KEYS = ["k", "k\u0001", "kk", "\uFF61", "\u{1F600}"] as const;
/** Times to live and steps of the clock, in units of time, so that steps end just before, at and after expiries. */
const SPANS = [1, 2, 49, 50, 51, 1000] as const;

/** Small and large values by name; some are equal though their bytes differ. */
const VALUES = {
  one: valueOf(1),
  "one as a double": valueOf(new Double(1)),
  half: valueOf(1.5),
  object: valueOf({ a: 1, b: [true] }),
  "object in another order": valueOf({ b: [true], a: 1 }),
  large: valueOf("x".repeat(1100)),
  larger: valueOf("y".repeat(9000)),
};

/** A value by its name, which is what a failure prints. */
export type ValueName = keyof typeof VALUES;

/** The value document of a name. */
export function namedValue(name: ValueName): Uint8Array {
  return VALUES[name];
}

/** A write that names its value. */
export type Named<W extends { readonly value: Uint8Array }> = Omit<W, "value"> & {
  readonly value: ValueName;
};

/** Objects as a failure should print them. */
const READABLE = { noNullPrototype: true } as const;

const place: fc.Arbitrary<Place> = fc.record(
  {
    scope: fc.constantFrom(...SCOPES),
    store: fc.constantFrom(...STORES),
    key: fc.constantFrom(...KEYS),
  },
  READABLE,
);
const policy = fc.constantFrom<Policy>("persist", "evict");
const value = fc.constantFrom<ValueName>(
  "one",
  "one as a double",
  "half",
  "object",
  "object in another order",
  "large",
  "larger",
);
const ttl = fc.constantFrom(...SPANS);
const maybeTtl = fc.option(ttl, { nil: undefined, freq: 2 });
const write: fc.Arbitrary<Named<Write>> = fc.record({ value, ttlMs: maybeTtl, policy }, READABLE);
const conditionalWrite: fc.Arbitrary<Named<ConditionalWrite>> = fc.record(
  {
    value,
    ttlMs: maybeTtl,
    policy: fc.option(policy, { nil: undefined }),
  },
  READABLE,
);
const seen = fc.nat(200);
const keys = fc.uniqueArray(fc.constantFrom(...KEYS), { minLength: 1 });

function command<Name extends Command["name"], Fields extends object>(
  name: Name,
  fields: { [Field in keyof Fields]: fc.Arbitrary<Fields[Field]> },
): fc.Arbitrary<Extract<Command, { name: Name }>> {
  return fc
    .record(fields, READABLE)
    .map((made) => ({ name, ...made }) as unknown as Extract<Command, { name: Name }>);
}

const entries: fc.Arbitrary<Named<BatchEntry>[]> = fc.uniqueArray(
  fc.record({ key: fc.constantFrom(...KEYS), value, ttlMs: maybeTtl, policy }, READABLE),
  { minLength: 1, selector: ({ key }) => key },
);

const single: fc.Arbitrary<Call> = fc.oneof(
  { weight: 6, arbitrary: command("setKey", { at: place, write }) },
  { weight: 2, arbitrary: command("setKeyIfAbsent", { at: place, write }) },
  {
    weight: 2,
    arbitrary: command("compareAndSetKey", {
      at: place,
      expected: fc.oneof(fc.record({ value }, READABLE), fc.record({ seen }, READABLE)),
      write: conditionalWrite,
    }),
  },
  {
    weight: 2,
    arbitrary: command("swapCurrent", { at: place, byEtag: fc.boolean(), write: conditionalWrite }),
  },
  { weight: 2, arbitrary: command("deleteKey", { at: place, seen: fc.option(seen, { nil: undefined }) }) },
  { weight: 2, arbitrary: command("updateTtl", { at: place, ttlMs: ttl }) },
  { weight: 2, arbitrary: command("updatePolicy", { at: place, policy }) },
);

/** Writes that begin in the same moment; each has a key of its own, so that their order does not matter. */
const together = command("together", {
  at: place,
  calls: fc.uniqueArray(single, { minLength: 2, maxLength: 8, selector: ({ at }) => JSON.stringify(at) }),
});

/** One random step. */
const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  { weight: 12, arbitrary: single },
  { weight: 2, arbitrary: together },
  { weight: 2, arbitrary: command("batchSetKeys", { at: place, entries }) },
  { weight: 1, arbitrary: command("batchDeleteKeys", { at: place, keys }) },
  { weight: 2, arbitrary: command("createStore", { at: place, policy, large: fc.boolean() }) },
  { weight: 1, arbitrary: command("deleteStore", { at: place }) },
  { weight: 1, arbitrary: command("clearStoreCache", { at: place }) },
  { weight: 1, arbitrary: command("clearCache", { at: place }) },
  { weight: 1, arbitrary: command("cleanup", { at: place }) },
  { weight: 1, arbitrary: command("deleteStoreGlobal", { at: place }) },
  {
    weight: 5,
    arbitrary: command("look", {
      at: place,
      prefix: fc.constantFrom("", "k", "k\u0001", "\u{1F600}"),
      limit: fc.integer({ min: 1, max: 6 }),
    }),
  },
  { weight: 5, arbitrary: command("advance", { ms: fc.constantFrom(...SPANS, -30) }) },
  { weight: 1, arbitrary: command("sweep", {}) },
  { weight: 1, arbitrary: command("reopen", {}) },
);

/** A random history. */
export const history: fc.Arbitrary<Command[]> = fc.array(anyCommand, {
  minLength: 1,
  maxLength: 80,
  size: "max",
});
