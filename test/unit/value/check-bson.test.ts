import { serialize } from "bson";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_VALUE_BYTES } from "../../../src/store/limits.js";
import { checkValueBson } from "../../../src/value/check-bson.js";
import { bsonValue, documentOf } from "./arbitraries.js";
import { CASES, document, raw } from "./cases.js";
import { errorOf, onlyStoreErrors } from "./errors.js";

function nested(levels: number, inner: unknown): unknown {
  let value = inner;
  for (let i = 0; i < levels; i++) value = i % 2 === 0 ? { a: value } : [value];
  return value;
}

function check(bytes: Uint8Array): void {
  checkValueBson(bytes, "value_bson");
}

/** An object's bytes from the hex of its elements. */
function object(elements: string): string {
  const content = elements.replaceAll(" ", "");
  const length = Buffer.alloc(4);
  length.writeInt32LE(content.length / 2 + 5);
  return `${length.toString("hex")}${content}00`;
}

function tolerant(bytes: Uint8Array): void {
  onlyStoreErrors(() => check(bytes));
}

describe("checkValueBson", () => {
  test.each(CASES)("accepts $name", ({ bson }) => {
    check(bson);
  });

  test("accepts bytes that begin anywhere in their memory", () => {
    const memory = new Uint8Array(200);
    memory.set(document({ a: "text" }), 13);
    check(memory.subarray(13, 13 + document({ a: "text" }).length));
  });

  test("accepts arrays whose names are not 0, 1, 2", () => {
    check(raw(0x04, object("0a 39 00 0a 78 00 0a 00 0a 78 00")));
  });

  test("accepts names that only look alike", () => {
    check(raw(0x03, object("0a 00 0a 61 00 0a 6161 00 0a c3a4 00 0a 61cc88 00")));
    const many = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, i]));
    check(document(many));
  });

  test("accepts 100 levels, refuses 101", () => {
    check(document(nested(100, 1)));
    for (const value of [nested(101, 1), nested(100, {}), nested(100, []), nested(3000, 1)]) {
      const error = errorOf(() => check(document(value)));
      expect(error.reason).toBe("VALUE_TOO_DEEP");
      expect(error.message).toContain("100 levels");
      expect(error.message.length).toBeLessThan(300);
    }
  });

  test("accepts 15 MiB, refuses a byte more", () => {
    const overhead = document("").length;
    check(document("x".repeat(MAX_VALUE_BYTES - overhead)));
    const error = errorOf(() => check(document("x".repeat(MAX_VALUE_BYTES - overhead + 1))));
    expect(error).toMatchObject({ reason: "VALUE_TOO_LARGE", kind: "RESOURCE_EXHAUSTED" });
    expect(error.message).toContain("15728641 bytes");
  });

  const ROOTS: readonly (readonly [string, Uint8Array, string])[] = [
    ["nothing", new Uint8Array(0), "one field named value"],
    ["an empty document", serialize({}), "one field named value"],
    ["another name", serialize({ valuf: 1 }), "one field named value"],
    ["a longer name", serialize({ values: 1 }), "one field named value"],
    ["a second field", serialize({ value: 1, more: 1 }), "more than the one field"],
    [
      "the field twice",
      Buffer.from(`1b000000${"1076616c756500 01000000".repeat(2)}00`.replaceAll(" ", ""), "hex"),
      "more than the one field",
    ],
    ["bytes after it", Buffer.concat([document(1), Buffer.alloc(1)]), "length at its start"],
    ["a cut document", document("text").subarray(0, -1), "length at its start"],
    ["no zero byte at the end", Buffer.concat([document(1).subarray(0, -1), Buffer.from([1])]), "zero byte"],
  ];
  test.each(ROOTS)("refuses %s", (_name, bytes, problem) => {
    const error = errorOf(() => check(bytes));
    expect(error.reason).toBe("VALUE_INVALID");
    expect(error.message).toMatch(/^value_bson is invalid: /);
    expect(error.message).toContain(problem);
  });

  const BROKEN: readonly (readonly [string, number, string, string])[] = [
    ["an unknown type", 0x14, "", "0x14 is no BSON type"],
    ["type 0", 0x00, "", "0x00 is no BSON type"],
    ["a cut int32", 0x10, "010000", "cut off"],
    ["a cut double", 0x01, "00000000 000000", "cut off"],
    ["a cut ObjectId", 0x07, "00000000 00000000 000000", "cut off"],
    ["a cut decimal", 0x13, "00", "cut off"],
    ["a boolean of 2", 0x08, "02", "neither 0 nor 1"],
    ["a cut boolean", 0x08, "", "cut off"],
    ["a string of length 0", 0x02, "00000000", "length of a string"],
    ["a string of negative length", 0x02, "ffffffff 00", "length of a string"],
    ["a string that is too long", 0x02, "04000000 616200", "length of a string"],
    ["a string whose length is cut", 0x02, "0100", "length of a string"],
    ["a string without zero byte", 0x02, "02000000 6162", "zero byte"],
    ["invalid UTF-8", 0x02, "02000000 ff00", "not valid UTF-8"],
    ["a surrogate", 0x02, "04000000 eda08000", "not valid UTF-8"],
    ["invalid UTF-8 in a long string", 0x02, `65000000 ${"61".repeat(99)}ff 00`, "not valid UTF-8"],
    ["invalid UTF-8 in code", 0x0d, "02000000 ff00", "not valid UTF-8"],
    ["invalid UTF-8 in a symbol", 0x0e, "02000000 ff00", "not valid UTF-8"],
    ["invalid UTF-8 in a pattern", 0x0b, "ff00 00", "not valid UTF-8"],
    ["invalid UTF-8 in options", 0x0b, "00 ff00", "not valid UTF-8"],
    ["invalid UTF-8 in a DBPointer", 0x0c, `02000000 ff00 ${"00".repeat(12)}`, "not valid UTF-8"],
    ["a cut DBPointer", 0x0c, `02000000 6100 ${"00".repeat(11)}`, "cut off"],
    ["a cut pattern", 0x0b, "6161", "cut off"],
    ["cut options", 0x0b, "00 6161", "cut off"],
    ["a binary of negative length", 0x05, "ffffffff 00", "length of binary"],
    ["a binary that is too long", 0x05, "03000000 00 0000", "length of binary"],
    ["a binary whose length is cut", 0x05, "00000000", "length of binary"],
    ["subtype 2 without inner length", 0x05, "03000000 02 000000", "inner length"],
    ["subtype 2 with a wrong inner length", 0x05, "05000000 02 02000000 ff", "inner length"],
    ["an object of length 4", 0x03, "04000000 00", "length of an object"],
    ["an object of negative length", 0x03, "ffffffff 00", "length of an object"],
    ["an object that is too long", 0x03, "06000000 00", "length of an object"],
    ["an object without zero byte", 0x03, "05000000 01", "zero byte"],
    ["an object that ends in a name", 0x03, "07000000 0a61 00", "cut off"],
    ["an element that leaves its object", 0x03, "0b000000 10 6100 010000 00", "cut off"],
    ["a name of invalid UTF-8", 0x03, object("0a ff 00"), "field name is not valid UTF-8"],
    ["an index of invalid UTF-8", 0x04, object("0a ff 00"), "field name is not valid UTF-8"],
    ["a name twice", 0x03, object("0a 61 00 10 62 00 01000000 0a 61 00"), "occurs twice"],
    ["an empty name twice", 0x03, object("0a 00 0a 00"), "occurs twice"],
    [
      "a scope with a name twice",
      0x0f,
      `15000000 02000000 6100 ${object("0a 61 00 0a 61 00")}`,
      "occurs twice",
    ],
    ["code with scope that is too short", 0x0f, "0d000000 01000000 00 05000000", "code with scope"],
    ["code with scope that is too long", 0x0f, "0f000000 01000000 00 05000000 00", "code with scope"],
    ["code with scope with a gap", 0x0f, "0f000000 01000000 00 05000000 00 00", "code with scope"],
    ["code that covers its scope", 0x0f, "0e000000 0a000000 00 05000000 00", "string"],
  ];
  test.each(BROKEN)("refuses %s", (_name, type, hex, problem) => {
    const error = errorOf(() => check(raw(type, hex)));
    expect(error.reason).toBe("VALUE_INVALID");
    expect(error.message).toContain(problem);
    expect(error.violations).toEqual([
      { field: "value_bson", description: error.message.slice("value_bson ".length) },
    ]);
  });

  test("says where", () => {
    const bytes = Buffer.from(document({ a: [0, { "b c": { ok: true } }] }));
    bytes[bytes.indexOf("ok\0") + 3] = 7;
    const error = errorOf(() => checkValueBson(bytes, "entries[2].value_bson"));
    expect(error.message).toBe(
      'entries[2].value_bson is invalid at value.a[1]["b c"].ok: a boolean is neither 0 nor 1',
    );
  });

  test("finds a name that occurs twice, among few and among many", () => {
    for (const count of [2, 16, 17, 64, 20_000]) {
      const names = Array.from({ length: count }, (_, i) => `n${i}`);
      for (const twice of [0, count >> 1, count - 1]) {
        const elements = [...names, `n${twice}`].map(
          (name) => `0a${Buffer.from(`${name}\0`).toString("hex")}`,
        );
        const error = errorOf(() => check(raw(0x03, object(elements.join("")))));
        expect(error.message).toContain(`at value.n${twice}: the field name occurs twice`);
      }
    }
  });

  test("forgets the names of objects that it has left", () => {
    check(
      document([
        { a: { b: 1 }, b: 1 },
        { a: 1, b: { a: 1, b: { a: 1 } } },
      ]),
    );
  });

  test("accepts all that the bson package writes", () => {
    fc.assert(
      fc.property(bsonValue(), (value) => check(documentOf(value))),
      { numRuns: 1000 },
    );
  });

  test("throws nothing but StoreError on random and on damaged bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), tolerant), { numRuns: 2000 });
    fc.assert(
      fc.property(
        bsonValue(),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
        (value, changes) => {
          const bson = Buffer.from(documentOf(value));
          for (const [at, byte] of changes) bson[at % bson.length] = byte;
          tolerant(bson);
        },
      ),
      { numRuns: 3000 },
    );
  });
});
