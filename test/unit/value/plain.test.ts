import { createContext, runInContext } from "node:vm";
import {
  Binary,
  BSONRegExp,
  BSONSymbol,
  Code,
  DBRef,
  Decimal128,
  Double,
  deserialize,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  serialize,
  Timestamp,
  UUID,
} from "bson";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_METADATA_BYTES, MAX_VALUE_BYTES } from "../../../src/store/limits.js";
import { checkValueBson } from "../../../src/value/check-bson.js";
import { DistantDate } from "../../../src/value/distant-date.js";
import { equalValues } from "../../../src/value/equal.js";
import { fromDocumentBson, fromValueBson, toDocumentBson, toValueBson } from "../../../src/value/plain.js";
import { bsonValue, documentOf } from "./arbitraries.js";
import { CASES, document, raw, rawDate } from "./cases.js";
import { errorOf } from "./errors.js";

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function nested(levels: number, inner: unknown): unknown {
  let value = inner;
  for (let i = 0; i < levels; i++) value = i % 2 === 0 ? { a: value } : [value];
  return value;
}

describe("toValueBson", () => {
  const oid = new ObjectId();
  const WRITTEN: readonly (readonly [string, unknown, Uint8Array])[] = [
    ["null", null, document(null)],
    ["true", true, document(true)],
    ["text", "grüße \u{1f600} \0", document("grüße \u{1f600} \0")],
    ["long text", "ä€\u{1f600}".repeat(500), document("ä€\u{1f600}".repeat(500))],
    ["an int32", -(2 ** 31), document(new Int32(-(2 ** 31)))],
    ["0", 0, document(new Int32(0))],
    ["an int64", 2 ** 31, document(Long.fromNumber(2 ** 31))],
    ["a negative int64", -(2 ** 31) - 1, document(Long.fromNumber(-(2 ** 31) - 1))],
    ["2^53", 2 ** 53, document(Long.fromBigInt(2n ** 53n))],
    ["-2^53", -(2 ** 53), document(Long.fromBigInt(-(2n ** 53n)))],
    ["a larger number", 2 ** 53 + 2, document(new Double(2 ** 53 + 2))],
    ["-0", -0, document(new Double(-0))],
    ["a fraction", 0.1, document(new Double(0.1))],
    ["Infinity", Number.POSITIVE_INFINITY, document(new Double(Number.POSITIVE_INFINITY))],
    ["a small bigint", 5n, document(Long.fromNumber(5))],
    ["the largest bigint", 2n ** 63n - 1n, document(2n ** 63n - 1n)],
    ["the smallest bigint", -(2n ** 63n), document(-(2n ** 63n))],
    ["a Date", new Date(-5), document(new Date(-5))],
    ["a DistantDate", new DistantDate(2n ** 62n), rawDate(2n ** 62n)],
    ["a Uint8Array", Uint8Array.of(1, 2), document(new Binary(Uint8Array.of(1, 2)))],
    ["a Buffer", Buffer.from("ab"), document(new Binary(Buffer.from("ab")))],
    ["an ObjectId", oid, document(oid)],
    [
      "a UUID",
      new UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff"),
      document(new UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")),
    ],
    ["a Binary", new Binary(Buffer.from("abc"), 128), document(new Binary(Buffer.from("abc"), 128))],
    ["a Binary of subtype 2", new Binary(Buffer.from("abc"), 2), document(new Binary(Buffer.from("abc"), 2))],
    ["an Int32", new Int32(5), document(new Int32(5))],
    ["a Double", new Double(5), document(new Double(5))],
    ["a Long", Long.fromNumber(5), document(Long.fromNumber(5))],
    ["a Decimal128", Decimal128.fromString("1.50"), document(Decimal128.fromString("1.50"))],
    [
      "a Timestamp",
      new Timestamp({ t: 2 ** 32 - 1, i: 1 }),
      document(new Timestamp({ t: 2 ** 32 - 1, i: 1 })),
    ],
    ["a BSONRegExp", new BSONRegExp("ä", "xi"), document(new BSONRegExp("ä", "ix"))],
    ["a RegExp", /a\/b/imsu.source === "a\\/b" ? /a\/b/ims : null, raw(0x0b, "615c2f6200 696d7300")],
    ["a symbol class", new BSONSymbol("s"), document(new BSONSymbol("s"))],
    ["code", new Code("f()"), document(new Code("f()"))],
    ["code with scope", new Code("f()", { a: [1] }), document(new Code("f()", { a: [1] }))],
    ["a DBRef", new DBRef("c", oid, "d", { x: 1 }), document(new DBRef("c", oid, "d", { x: 1 }))],
    ["a DBRef without database", new DBRef("c", oid), document(new DBRef("c", oid))],
    ["MinKey", new MinKey(), document(new MinKey())],
    ["MaxKey", new MaxKey(), document(new MaxKey())],
    ["an array", [1, [], "a"], document([1, [], "a"])],
    ["undefined and holes in arrays", Object.assign([undefined], { 2: 1 }), document([null, null, 1])],
    ["undefined members", { a: undefined, b: 1 }, document({ b: 1 })],
    ["an object without prototype", Object.assign(Object.create(null), { a: 1 }), document({ a: 1 })],
    [
      "a Map",
      new Map<string, unknown>([
        ["b", 1],
        ["a", undefined],
        ["1", new Map()],
      ]),
      document(
        new Map<string, unknown>([
          ["b", 1],
          ["1", {}],
        ]),
      ),
    ],
    [
      "awkward names",
      JSON.parse('{"__proto__":{"x":1},"":2,"$x":3,"a.b":4,"constructor":5}'),
      document(
        new Map(Object.entries(JSON.parse('{"__proto__":{"x":1},"":2,"$x":3,"a.b":4,"constructor":5}'))),
      ),
    ],
    [
      "objects of another realm",
      runInContext("({a: [new Date(5), new Map([['b', /x/i]]), new Uint8Array(1)]})", createContext()),
      document({ a: [new Date(5), { b: new BSONRegExp("x", "i") }, new Binary(new Uint8Array(1))] }),
    ],
    [
      "one object in two places",
      (() => {
        const o = { a: 1 };
        return [o, o];
      })(),
      document([{ a: 1 }, { a: 1 }]),
    ],
  ];
  test.each(WRITTEN)("writes %s", (_name, value, bson) => {
    expect(hexOf(toValueBson(value))).toBe(hexOf(bson));
  });

  test("takes a member named _bsontype as data", () => {
    const value = { _bsontype: "ObjectId", id: 1 };
    expect(fromValueBson(toValueBson(value))).toEqual(value);
  });

  class Point {
    readonly x = 1;
  }
  const cycle: Record<string, unknown> = { a: [1] };
  (cycle["a"] as unknown[]).push(cycle);

  const REFUSED: readonly (readonly [string, unknown, string])[] = [
    ["a function", () => 1, "a function cannot be stored"],
    ["a symbol", Symbol("a"), "a symbol cannot be stored"],
    ["a class instance", new Point(), "an instance of Point cannot be stored"],
    [
      "a class instance that says it is one of bson's",
      Object.assign(new Point(), { _bsontype: "Long" }),
      "an instance of Point",
    ],
    ["a Set", new Set([1]), "an instance of Set"],
    ["an Error", new Error("a"), "an instance of Error"],
    ["a boxed number", Object(1), "an instance of Number"],
    ["a Float64Array", new Float64Array(1), "an instance of Float64Array"],
    ["an ArrayBuffer", new ArrayBuffer(1), "an instance of ArrayBuffer"],
    ["an invalid Date", new Date(Number.NaN), "the Date is invalid"],
    ["a large bigint", 2n ** 63n, "more than 64 bits"],
    ["a small bigint", -(2n ** 63n) - 1n, "more than 64 bits"],
    ["a distant DistantDate", new DistantDate(2n ** 63n), "more than 64 bits"],
    ["an unsigned Long", Long.fromString("18446744073709551615", true), "more than 63 bits"],
    ["half a surrogate pair", "a\ud83d", "half of a surrogate pair"],
    ["the other half", "\ude00a", "half of a surrogate pair"],
    ["half a pair in a long text", `${"a".repeat(100)}\ud83d`, "half of a surrogate pair"],
    ["half a pair in a name", { "\ud83d": 1 }, "half of a surrogate pair"],
    ["a NUL in a name", { "a\0b": 1 }, "NUL"],
    ["a NUL in a pattern", Object.assign(new BSONRegExp("a"), { pattern: "a\0b" }), "NUL"],
    ["a Map with another key", new Map([[1, 1]]), "a key that is no string"],
    ["a RegExp with the flag g", /a/g, "flags other than"],
    ["a cycle", cycle, "contains itself"],
  ];
  test.each(REFUSED)("refuses %s and says where", (_name, value, problem) => {
    const error = errorOf(() => toValueBson([{ "b c": value }]));
    expect(error.reason).toBe("VALUE_INVALID");
    expect(error.message).toMatch(/^value is invalid at \[0\]\["b c"\]/);
    expect(error.message).toContain(problem);
  });

  test("refuses undefined", () => {
    const error = errorOf(() => toValueBson(undefined, "expected"));
    expect(error.message).toBe("expected is invalid: undefined is no value; use null, or delete the key");
  });

  test("tells a cycle from depth and size", () => {
    const large: Record<string, unknown> = { text: "x".repeat(1_000_000) };
    large["self"] = { again: large };
    expect(errorOf(() => toValueBson(large)).message).toContain("at self.again: the object contains itself");
  });

  test("writes 100 levels and no more", () => {
    expect(toValueBson(nested(100, 1))).toEqual(document(nested(100, 1)));
    const error = errorOf(() => toValueBson(nested(101, 1)));
    expect(error.reason).toBe("VALUE_TOO_DEEP");
    expect(errorOf(() => toValueBson(nested(100_000, 1))).reason).toBe("VALUE_TOO_DEEP");
  });

  test("writes 15 MiB and no more", () => {
    const overhead = document("").length;
    expect(toValueBson("x".repeat(MAX_VALUE_BYTES - overhead))).toHaveLength(MAX_VALUE_BYTES);
    expect(errorOf(() => toValueBson("x".repeat(MAX_VALUE_BYTES - overhead + 1))).reason).toBe(
      "VALUE_TOO_LARGE",
    );
    const sparse: unknown[] = [];
    sparse.length = 2 ** 32 - 1;
    expect(errorOf(() => toValueBson(sparse)).reason).toBe("VALUE_TOO_LARGE");
  });

  test("one object in very many places ends at the limit", () => {
    let value: unknown = [];
    for (let i = 0; i < 90; i++) value = [value, value];
    expect(errorOf(() => toValueBson(value)).reason).toBe("VALUE_TOO_LARGE");
  });

  test("writes what the checker accepts, and reads back what it wrote", () => {
    fc.assert(
      fc.property(bsonValue(), (value) => {
        const bson = toValueBson(value);
        checkValueBson(bson, "value");
        expect(equalValues(bson, documentOf(value))).toBe(true);
        expect(equalValues(toValueBson(fromValueBson(bson)), bson)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test("plain JavaScript values come back the same", () => {
    const value = fc.anything({
      withNullPrototype: false,
      withUnicodeString: true,
      maxDepth: 5,
      values: [
        fc.string({ unit: "binary" }),
        fc.integer(),
        fc.double(),
        fc.boolean(),
        fc.constant(null),
        fc.bigInt({ min: 2n ** 53n + 1n, max: 2n ** 63n - 1n }),
        fc.date({ noInvalidDate: true }),
        fc.uint8Array({ maxLength: 20 }),
      ],
      key: fc.string({ unit: "grapheme" }).map((name) => name.replaceAll("\0", "")),
    });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(value),
          fc.dictionary(
            fc.string().map((s) => s.replaceAll("\0", "")),
            value,
          ),
        ),
        (x) => {
          expect(fromValueBson(toValueBson(x))).toEqual(x);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe("fromValueBson", () => {
  test.each(CASES)("reads $name, and writing it again gives an equal value", ({ name, bson }) => {
    const value = fromValueBson(bson);
    if (name === "undefined") expect(value).toBeNull();
    else if (name === "DBPointer") expect(value).toBeInstanceOf(DBRef);
    else expect(equalValues(toValueBson(value), bson)).toBe(true);
  });

  test("gives the types that JavaScript has", () => {
    expect(fromValueBson(document(new Double(5)))).toBe(5);
    expect(fromValueBson(document(new Double(-0)))).toBe(-0);
    expect(fromValueBson(document(Long.fromNumber(5)))).toBe(5);
    expect(fromValueBson(document(2n ** 53n))).toBe(2 ** 53);
    expect(fromValueBson(document(2n ** 53n + 1n))).toBe(2n ** 53n + 1n);
    expect(fromValueBson(document(-(2n ** 53n) - 1n))).toBe(-(2n ** 53n) - 1n);
    expect(fromValueBson(document(-(2n ** 53n)))).toBe(-(2 ** 53));
    expect(fromValueBson(document(new Date(5)))).toEqual(new Date(5));
    const bytes = fromValueBson(document(new Binary(Buffer.from("ab"))));
    expect(bytes).toBeInstanceOf(Uint8Array);
    expect(Buffer.isBuffer(bytes)).toBe(false);
    expect(bytes).toEqual(new Uint8Array(Buffer.from("ab")));
    expect(fromValueBson(document(new UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")))).toBeInstanceOf(UUID);
    expect(fromValueBson(raw(0x05, "01000000 04 61"))).toMatchObject({ sub_type: 4, position: 1 });
    expect(fromValueBson(raw(0x05, "06000000 02 02000000 ffff"))).toMatchObject({ sub_type: 2, position: 2 });
    const id = new ObjectId();
    expect(fromValueBson(document(id))).toEqual(id);
  });

  test("keeps dates beyond those of a Date", () => {
    expect(fromValueBson(rawDate(8_640_000_000_000_000n))).toEqual(new Date(8.64e15));
    expect(fromValueBson(rawDate(8_640_000_000_000_001n))).toEqual(new DistantDate(8_640_000_000_000_001n));
    expect(fromValueBson(rawDate(-(2n ** 63n)))).toEqual(new DistantDate(-(2n ** 63n)));
  });

  test("reads regular expressions with options that BSONRegExp refuses", () => {
    expect(fromValueBson(raw(0x0b, "6100 6700"))).toMatchObject({ pattern: "a", options: "g" });
    expect(fromValueBson(raw(0x0b, "2800 00"))).toMatchObject({ pattern: "(", options: "" });
  });

  test("gives __proto__ as a member, without changing the prototype", () => {
    const value = fromValueBson(toValueBson(JSON.parse('{"__proto__":{"x":1}}'))) as object;
    expect(Object.keys(value)).toEqual(["__proto__"]);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect((value as { x?: number }).x).toBeUndefined();
  });

  test("keeps similar names apart", () => {
    const names = Array.from({ length: 20_000 }, (_, i) => `${"ä".repeat(i % 3)}n${i}`);
    const value = Object.fromEntries(names.map((name, i) => [name, i]));
    expect(fromValueBson(document(value))).toEqual(value);
  });

  test("shares no memory with the bytes", () => {
    const bytes = Buffer.from(
      document({ b: new Binary(Buffer.from("ab")), id: new ObjectId("0123456789abcdef01234567") }),
    );
    const value = fromValueBson(bytes) as { b: Uint8Array; id: ObjectId };
    bytes.fill(0);
    expect(value.b).toEqual(Uint8Array.of(97, 98));
    expect(value.id.toHexString()).toBe("0123456789abcdef01234567");
  });

  test("agrees with the bson package on random documents", () => {
    fc.assert(
      fc.property(bsonValue(), (value) => {
        const bson = documentOf(value);
        const expected = deserialize(bson, { promoteValues: false, bsonRegExp: true })["value"] as unknown;
        expect(equalValues(toValueBson(fromValueBson(bson)), documentOf(expected))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test("refuses an object without its zero byte, and a document of another field", () => {
    expect(errorOf(() => fromValueBson(raw(0x03, "05000000 01"))).reason).toBe("INTERNAL");
    expect(errorOf(() => fromValueBson(serialize({ valuf: 1 }))).reason).toBe("INTERNAL");
  });

  test("ends in INTERNAL on damaged bytes", () => {
    fc.assert(
      fc.property(bsonValue(), fc.nat(), fc.nat(255), (value, at, byte) => {
        const bson = Buffer.from(documentOf(value));
        bson[at % bson.length] = byte;
        try {
          fromValueBson(bson);
        } catch (error) {
          expect(error).toMatchObject({ reason: "INTERNAL" });
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("documents", () => {
  test("are written and read whole", () => {
    const metadata = { a: 1, when: new Date(5), nested: { list: [null, "x"] } };
    expect(toDocumentBson(metadata)).toEqual(Buffer.from(serialize(metadata)));
    expect(fromDocumentBson(toDocumentBson(metadata))).toEqual(metadata);
    expect(fromDocumentBson(toDocumentBson({}))).toEqual({});
  });

  test("hold 30 levels, themselves included, and 1 MiB", () => {
    expect(() => toDocumentBson({ a: nested(29, 1) })).not.toThrow();
    expect(errorOf(() => toDocumentBson({ a: nested(30, 1) }))).toMatchObject({ reason: "METADATA_INVALID" });
    const overhead = serialize({ a: "" }).length;
    expect(toDocumentBson({ a: "x".repeat(MAX_METADATA_BYTES - overhead) })).toHaveLength(MAX_METADATA_BYTES);
    const error = errorOf(() => toDocumentBson({ a: "x".repeat(MAX_METADATA_BYTES - overhead + 1) }));
    expect(error).toMatchObject({ reason: "METADATA_TOO_LARGE", kind: "RESOURCE_EXHAUSTED" });
  });

  test("refuse what is no document, and say where a member is wrong", () => {
    for (const value of [null, 5, [], new Date()]) {
      const error = errorOf(() => toDocumentBson(value as unknown as Record<string, unknown>));
      expect(error.reason).toBe("METADATA_INVALID");
    }
    const error = errorOf(() => toDocumentBson({ a: { b: () => 1 } }));
    expect(error).toMatchObject({ reason: "METADATA_INVALID", violations: [{ field: "metadata" }] });
    expect(error.message).toContain("at a.b");
  });
});
