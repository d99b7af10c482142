import { Binary, BSONRegExp, BSONSymbol, Code, Decimal128, Double, Int32, Long, Timestamp } from "bson";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { equalValues } from "../../../src/value/equal.js";
import { bsonValue, documentOf } from "./arbitraries.js";
import { CASES, document, raw } from "./cases.js";
import { errorOf } from "./errors.js";

/** Compares both ways; the answers must agree. */
function equal(a: Uint8Array, b: Uint8Array): boolean {
  const answer = equalValues(a, b);
  expect(equalValues(b, a)).toBe(answer);
  return answer;
}

const decimal = (text: string): Uint8Array => document(Decimal128.fromString(text));
const int32 = (value: number): Uint8Array => document(new Int32(value));
const int64 = (value: bigint): Uint8Array => document(Long.fromBigInt(value));
const double = (value: number): Uint8Array => document(new Double(value));

/** What a decimal128 holds. */
const DECIMAL_DIGITS = 34;

/** An object of int32 fields, in which names may repeat. */
function repeatedFields(...pairs: readonly (readonly [string, number])[]): Uint8Array {
  const content = pairs.map(([name, value]) => {
    const bytes = Buffer.from(`\x10${name}\0\0\0\0\0`, "latin1");
    bytes.writeInt32LE(value, bytes.length - 4);
    return bytes;
  });
  const length = Buffer.alloc(4);
  const body = Buffer.concat(content);
  length.writeInt32LE(body.length + 5);
  return raw(0x03, Buffer.concat([length, body, Buffer.alloc(1)]).toString("hex"));
}

describe("numbers", () => {
  const SAME: readonly (readonly [string, Uint8Array, Uint8Array])[] = [
    ["1 as int32 and int64", int32(1), int64(1n)],
    ["1 as int32 and double", int32(1), double(1)],
    ["1 as int64 and double", int64(1n), double(1)],
    ["1 as int32 and decimal", int32(1), decimal("1.000")],
    ["-1 as int64 and decimal", int64(-1n), decimal("-1E0")],
    ["0 and -0", int32(0), double(-0)],
    ["0 and a decimal -0", int64(0n), decimal("-0.00E+10")],
    ["-0 and a decimal 0", double(-0), decimal("0")],
    ["two decimals of one value", decimal("100"), decimal("1E+2")],
    ["2^53 as int64 and double", int64(2n ** 53n), double(2 ** 53)],
    ["-2^63 as int64 and double", int64(-(2n ** 63n)), double(-(2 ** 63))],
    ["2^62 as int64 and double", int64(2n ** 62n), double(2 ** 62)],
    ["0.5 as double and decimal", double(0.5), decimal("0.5")],
    ["-0.375 as double and decimal", double(-0.375), decimal("-0.37500")],
    ["2^-48 as double and decimal", double(2 ** -48), decimal("3.552713678800500929355621337890625E-15")],
    ["1e22 as double and decimal", double(1e22), decimal("1E+22")],
    ["2^100 as double and decimal", double(2 ** 100), decimal("1267650600228229401496703205376")],
    ["NaN as double and decimal", double(Number.NaN), decimal("NaN")],
    ["two NaNs of other bits", double(Number.NaN), raw(0x01, "010000000000f8ff")],
    ["Infinity as double and decimal", double(Number.POSITIVE_INFINITY), decimal("Infinity")],
    ["-Infinity as double and decimal", double(Number.NEGATIVE_INFINITY), decimal("-Infinity")],
  ];
  test.each(SAME)("%s are equal", (_name, a, b) => expect(equal(a, b)).toBe(true));

  const DIFFERENT: readonly (readonly [string, Uint8Array, Uint8Array])[] = [
    ["2^53 + 1 and the double nearest to it", int64(2n ** 53n + 1n), double(2 ** 53)],
    ["int64 max and the double nearest to it", int64(2n ** 63n - 1n), double(2 ** 63)],
    ["int64 with the same low half", int64(2n ** 32n + 1n), int32(1)],
    ["int64 that differ in the high half", int64(2n ** 32n), int64(2n ** 33n)],
    ["0.1 as double and decimal", double(0.1), decimal("0.1")],
    [
      "0.1 in all its digits, which a decimal lacks",
      double(0.1),
      decimal("0.1000000000000000055511151231257827"),
    ],
    [
      "2^-49, for which a decimal has too few digits",
      double(2 ** -49),
      decimal("1.776356839400250464677810668945312E-15"),
    ],
    ["the smallest double and a decimal", double(5e-324), decimal("5E-324")],
    ["the largest double and a decimal", double(Number.MAX_VALUE), decimal("1.7976931348623157E+308")],
    ["1 and -1 as decimal", int32(1), decimal("-1")],
    ["1 and 10 as decimal", int32(1), decimal("1E+1")],
    ["Infinity and -Infinity", double(Number.POSITIVE_INFINITY), decimal("-Infinity")],
    ["NaN and Infinity", double(Number.NaN), double(Number.POSITIVE_INFINITY)],
    ["NaN and 0", double(Number.NaN), int32(0)],
    ["a decimal NaN and a decimal 0", decimal("NaN"), decimal("0")],
    ["1 and true", int32(1), document(true)],
    ["0 and false", double(0), document(false)],
    ['1 and "1"', int32(1), document("1")],
    ["0 and null", int32(0), document(null)],
    ["a number and a date of it", int64(5n), document(new Date(5))],
  ];
  test.each(DIFFERENT)("%s differ", (_name, a, b) => expect(equal(a, b)).toBe(false));

  test("agree with arithmetic on random integers and doubles", () => {
    const near = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    fc.assert(
      fc.property(near, fc.integer({ min: -2, max: 2 }), (value, change) => {
        const number = Number(value) + change;
        expect(equal(int64(value), double(number))).toBe(BigInt(number) === value);
      }),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        // A double in full, where a decimal128 has the digits for it.
        const text = value.toPrecision(DECIMAL_DIGITS);
        if (!/e[+-]\d{4}/.test(text)) expect(equal(double(value), decimal(text))).toBe(isExact(value, text));
      }),
      { numRuns: 500 },
    );
  });
});

/** Whether a text of 34 digits is exactly the value of a double, by fractions. */
function isExact(value: number, text: string): boolean {
  let [numerator, denominator] = [0n, 1n];
  let scaled = value;
  while (!Number.isInteger(scaled)) {
    scaled *= 2;
    denominator *= 2n;
  }
  numerator = BigInt(scaled);
  const [digits = "", exponent = "0"] = text.split("e");
  const [whole = "", fraction = ""] = digits.split(".");
  const power = Number(exponent) - fraction.length;
  const coefficient = BigInt(`${whole}${fraction}`);
  return power >= 0
    ? coefficient * 10n ** BigInt(power) * denominator === numerator
    : coefficient * denominator === numerator * 10n ** BigInt(-power);
}

describe("other types", () => {
  test.each(CASES)("$name equals itself and no other case but numbers", ({ name, bson }) => {
    expect(equal(bson, Buffer.from(bson))).toBe(true);
    for (const other of CASES) {
      const numbers = isNumeric(bson) && isNumeric(other.bson);
      if (other.name !== name && !numbers) expect(equal(bson, other.bson)).toBe(false);
    }
  });

  const DIFFERENT: readonly (readonly [string, Uint8Array, Uint8Array])[] = [
    ["a string and a symbol", document("a"), document(new BSONSymbol("a"))],
    ["a string and code", document("a"), document(new Code("a"))],
    ["code with and without scope", document(new Code("a")), document(new Code("a", {}))],
    ["code with other scopes", document(new Code("a", { b: 1 })), document(new Code("a", { b: 2 }))],
    ["code with other code", document(new Code("a", { b: 1 })), document(new Code("c", { b: 1 }))],
    ["dates", document(new Date(5)), document(new Date(6))],
    [
      "binary of other subtypes",
      document(new Binary(Buffer.from("a"), 0)),
      document(new Binary(Buffer.from("a"), 5)),
    ],
    ["binary of other bytes", document(new Binary(Buffer.from("a"))), document(new Binary(Buffer.from("b")))],
    ["patterns", document(new BSONRegExp("a")), document(new BSONRegExp("b"))],
    ["options", document(new BSONRegExp("a", "i")), document(new BSONRegExp("a", "m"))],
    ["timestamps", document(new Timestamp({ t: 1, i: 1 })), document(new Timestamp({ t: 1, i: 2 }))],
    ["null and undefined", document(null), raw(0x06, "")],
    ["an object and an array", document({ 0: 1 }), document([1])],
    ["arrays in another order", document([1, 2]), document([2, 1])],
    ["arrays of other lengths", document([1]), document([1, 1])],
    ["objects of other sizes", document({ a: 1 }), document({ a: 1, b: 1 })],
    ["objects with other names", document({ a: 1, b: 2 }), document({ a: 1, c: 2 })],
    ["objects in another order, a value differs", document({ a: 1, b: 2 }), document({ b: 2, a: 2 })],
    ["an empty and another object", document({}), document({ a: null })],
    ["names where one begins the other", document({ a: 1, ab: 1 }), document({ ab: 1, abc: 1 })],
  ];
  test.each(DIFFERENT)("%s differ", (_name, a, b) => expect(equal(a, b)).toBe(false));

  test("objects are equal whatever the order of their fields, deep inside, too", () => {
    const a = { x: 1, list: [{ p: 1, q: { r: 1, s: 2 } }], y: "t" };
    const b = { y: "t", list: [{ q: { s: 2n, r: new Double(1) }, p: 1 }], x: 1 };
    expect(equal(document(a), document(b))).toBe(true);
    expect(equal(document(new Code("f", { a: 1, b: 2 })), document(new Code("f", { b: 2, a: 1 })))).toBe(
      true,
    );
  });

  test("the names of an array's elements do not matter", () => {
    const odd = raw(0x04, "13000000 10 7800 01000000 10 7800 02000000 00");
    expect(equal(odd, document([1, 2]))).toBe(true);
  });

  test("a field name that occurs twice is compared first with first, second with second", () => {
    expect(
      equal(repeatedFields(["a", 1], ["a", 2], ["b", 3]), repeatedFields(["a", 1], ["b", 3], ["a", 2])),
    ).toBe(true);
    expect(
      equal(repeatedFields(["a", 1], ["a", 2], ["b", 3]), repeatedFields(["a", 2], ["b", 3], ["a", 1])),
    ).toBe(false);
    expect(
      equal(repeatedFields(["b", 3], ["a", 1], ["a", 1]), repeatedFields(["a", 1], ["b", 3], ["b", 3])),
    ).toBe(false);
    expect(equal(repeatedFields(["b", 3], ["a", 1], ["a", 1]), repeatedFields(["a", 1], ["b", 3]))).toBe(
      false,
    );
  });

  test("objects with many fields are, too", () => {
    const many = Array.from({ length: 40 }, (_, i) => [`f${i}`, i] as const);
    const other = many.map(([name, value]) => [name, value === 39 ? 40 : value] as const);
    expect(equal(repeatedFields(...many), repeatedFields(...many.toReversed()))).toBe(true);
    expect(equal(repeatedFields(...many), repeatedFields(...other.toReversed()))).toBe(false);
    expect(equal(repeatedFields(...many), repeatedFields(...many.slice(1).toReversed()))).toBe(false);
    const twice = [...many, ["f0", 7] as const, ["f0", 8] as const];
    const first = twice.toSorted(([a], [b]) => (a < b ? -1 : Number(a > b)));
    expect(equal(repeatedFields(...twice), repeatedFields(...first))).toBe(true);
    expect(equal(repeatedFields(...twice), repeatedFields(...twice.toReversed()))).toBe(false);
    expect(equal(repeatedFields(...twice), repeatedFields(...many.toReversed()))).toBe(false);
  });

  test("180 levels are no trouble", () => {
    const deep = (levels: number, inner: unknown): unknown =>
      levels === 0 ? inner : { b: 1, a: deep(levels - 1, inner) };
    const reversed = (levels: number, inner: unknown): unknown =>
      levels === 0 ? inner : { a: reversed(levels - 1, inner), b: 1 };
    expect(equal(document(deep(180, 1)), document(reversed(180, 1n)))).toBe(true);
    expect(equal(document(deep(180, 1)), document(reversed(180, 2)))).toBe(false);
  });

  test("large objects in opposite order take linear time", () => {
    const names = Array.from({ length: 200_000 }, (_, i) => `name${i}`);
    const a = document(new Map(names.map((name, i) => [name, i])));
    const b = document(new Map(names.map((name, i) => [name, i] as const).toReversed()));
    const start = performance.now();
    expect(equalValues(a, b)).toBe(true);
    // Quadratic would be 4e10 comparisons, minutes.
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  test("damaged bytes end in INTERNAL", () => {
    const bad = Buffer.from(document({ a: "text" }));
    bad[bad.indexOf("a\0") + 2] = 0xff;
    expect(errorOf(() => equalValues(bad, document({ a: "text" }))).reason).toBe("INTERNAL");
  });
});

describe("random values", () => {
  test("agree with a slow reference", () => {
    fc.assert(
      fc.property(pair(), ([a, b]) => {
        expect(equal(documentOf(a), documentOf(b))).toBe(reference(a) === reference(b));
      }),
      { numRuns: 2000 },
    );
  });

  test("equal themselves in any order of fields and any type of number", () => {
    fc.assert(
      fc.property(bsonValue(), (value) => {
        expect(equal(documentOf(value), documentOf(disguised(value)))).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});

function isNumeric(bson: Uint8Array): boolean {
  return [0x01, 0x10, 0x12, 0x13].includes(bson[4] ?? 0);
}

/** Small values, so that equal ones are met often. */
function pair(): fc.Arbitrary<readonly [unknown, unknown]> {
  const leaf = fc.constantFrom<unknown>(
    null,
    true,
    new Int32(1),
    new Double(1),
    Long.fromNumber(1),
    Decimal128.fromString("1.0"),
    new Double(0.5),
    Decimal128.fromString("0.5"),
    new Double(Number.NaN),
    "1",
  );
  const value = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 2 }, leaf, tie("array"), tie("object")),
    array: fc.array(tie("value"), { maxLength: 2 }),
    object: fc
      .uniqueArray(fc.tuple(fc.constantFrom("a", "b", "c"), tie("value")), {
        selector: ([key]) => key,
        maxLength: 3,
      })
      .map((entries) => new Map(entries)),
  })).value;
  return fc.tuple(value, value);
}

/** A text that two values share exactly if they are equal. */
function reference(value: unknown): string {
  if (value instanceof Map) {
    const fields = [...(value as Map<string, unknown>)].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `{${fields.map(([name, member]) => `${name}:${reference(member)}`).join()}}`;
  }
  if (Array.isArray(value)) return `[${value.map(reference).join()}]`;
  if (
    value instanceof Int32 ||
    value instanceof Double ||
    value instanceof Long ||
    value instanceof Decimal128
  ) {
    return `number ${Number(value.toString())}`;
  }
  return `${typeof value} ${String(value)}`;
}

/** The same value with fields reversed and whole numbers as int64 or double. */
function disguised(value: unknown): unknown {
  if (value instanceof Map) {
    return new Map(
      [...(value as Map<string, unknown>)].toReversed().map(([name, member]) => [name, disguised(member)]),
    );
  }
  if (Array.isArray(value)) return value.map(disguised);
  if (value instanceof Int32)
    return value.value % 2 === 0 ? Long.fromNumber(value.value) : new Double(value.value);
  if (value instanceof Long && !(value instanceof Timestamp) && value.high === 0)
    return Decimal128.fromString(value.toString());
  return value;
}
