import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { Double, deserialize, Int32, Long, serialize } from "bson";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_VALUE_BYTES } from "../../../src/store/limits.js";
import { bsonToJson } from "../../../src/value/bson-to-json.js";
import { checkValueBson } from "../../../src/value/check-bson.js";
import { equalValues } from "../../../src/value/equal.js";
import { jsonToBson, structToBson } from "../../../src/value/json-to-bson.js";
import { bsonValue, documentOf } from "./arbitraries.js";
import { CASES, document, raw, rawDate } from "./cases.js";
import { errorOf, onlyStoreErrors } from "./errors.js";
import { encodeStruct, encodeValue, fromPlain, type Json } from "./wire-codec.js";

function write(json: unknown): Uint8Array {
  return jsonToBson(encodeValue(fromPlain(json)), "value");
}

function nested(levels: number, inner: unknown): unknown {
  let value = inner;
  for (let i = 0; i < levels; i++) value = i % 2 === 0 ? [value] : { a: value };
  return value;
}

/** Bytes from hex; blanks only help to read. */
function hex(text: string): Uint8Array {
  return Buffer.from(text.replaceAll(" ", ""), "hex");
}

function tolerant(bytes: Uint8Array): void {
  onlyStoreErrors(() => checkValueBson(jsonToBson(bytes, "value"), "value"));
}

describe("jsonToBson", () => {
  test.each(CASES)("reads $name", ({ bson, json, written }) => {
    expect(Buffer.from(write(json)).toString("hex")).toBe(Buffer.from(written ?? bson).toString("hex"));
  });

  test("keeps NaN and infinities that come as numbers", () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      expect(write(value)).toEqual(document(new Double(value)));
    }
  });

  const FORMS: readonly (readonly [unknown, Uint8Array])[] = [
    [{ $numberInt: "-5" }, document(new Int32(-5))],
    [{ $numberInt: "2147483647" }, document(new Int32(2147483647))],
    [{ $numberLong: "5" }, document(Long.fromNumber(5))],
    [{ $numberLong: "-9223372036854775808" }, document(-(2n ** 63n))],
    [{ $numberDouble: "5" }, document(new Double(5))],
    [{ $numberDouble: "-0.0" }, document(new Double(-0))],
    [{ $numberDouble: "1.5e-3" }, document(new Double(0.0015))],
    [{ $date: "2020-01-01T01:00:00+01:00" }, document(new Date(1577836800000))],
    [{ $date: "2019-12-31T19:00:00.5-0500" }, document(new Date(1577836800500))],
    [{ $date: "2020-01-01T00:00Z" }, document(new Date(1577836800000))],
    [{ $date: "1969-12-31T23:59:59.999Z" }, document(new Date(-1))],
    [{ $date: "0001-01-01T00:00:00Z" }, document(new Date(-62135596800000))],
    [{ $date: "2024-02-29T00:00:00Z" }, document(new Date(1709164800000))],
    [{ $date: { $numberLong: "1" } }, document(new Date(1))],
    [{ $date: { $numberLong: "9223372036854775807" } }, rawDate(2n ** 63n - 1n)],
    [
      { $uuid: "6F9619ff-8b86-d011-b42d-00c04fc964ff" },
      raw(0x05, "10000000 04 6f9619ff8b86d011b42d00c04fc964ff"),
    ],
    [{ $binary: { subType: "4", base64: "" } }, raw(0x05, "00000000 04")],
    [{ $regularExpression: { options: "xi", pattern: "" } }, raw(0x0b, "00 697800")],
    [{ $timestamp: { i: 1, t: 2 } }, raw(0x11, "01000000 02000000")],
  ];
  test.each(FORMS)("reads the form %j", (json, bson) => {
    expect(Buffer.from(write(json)).toString("hex")).toBe(Buffer.from(bson).toString("hex"));
  });

  const DATA: readonly unknown[] = [
    { $foo: 1 },
    { $: 1 },
    { $ref: "a" },
    { $scope: {} },
    { $oid: "0123456789abcdef01234567", more: 1 },
    { a: 1, $oid: "no form" },
    { $date: "no date", $x: 1 },
    { $regex: "a", $options: "i" },
    { $regex: "a" },
    { oid: "0123456789abcdef01234567" },
    { $OID: "0123456789abcdef01234567" },
  ];
  test.each(DATA)("takes %j as data", (json) => {
    expect(write(json)).toEqual(document(json));
  });

  const MALFORMED: readonly unknown[] = [
    { $oid: "0123456789abcdef0123456" },
    { $oid: "0123456789abcdef0123456g" },
    { $oid: 5 },
    { $oid: null },
    { $date: "2020-01-01" },
    { $date: "2020-01-01T00:00:00" },
    { $date: "2020-01-01T00:00:00.1234Z" },
    { $date: "2020-02-30T00:00:00Z" },
    { $date: "2023-02-29T00:00:00Z" },
    { $date: "2020-13-01T00:00:00Z" },
    { $date: "2020-01-01T24:00:00Z" },
    { $date: "2020-01-01T00:00:60Z" },
    { $date: "2020-01-01T00:00:00+24:00" },
    { $date: 5 },
    { $date: { $numberLong: 5 } },
    { $date: { $numberLong: "5", a: 1 } },
    { $date: {} },
    { $binary: "AAAA" },
    { $binary: { base64: "AAAA" } },
    { $binary: { base64: "AAA", subType: "00" } },
    { $binary: { base64: "AA=A", subType: "00" } },
    { $binary: { base64: "A===", subType: "00" } },
    { $binary: { base64: "AA-_", subType: "00" } },
    { $binary: { base64: "AAAA", subType: "100" } },
    { $binary: { base64: "AAAA", subType: "" } },
    { $binary: { base64: "AAAA", subType: 0 } },
    { $binary: { base64: "AAAA", subType: "00", more: 1 } },
    { $uuid: "6f9619ff8b86d011b42d00c04fc964ff" },
    { $uuid: 1 },
    { $numberInt: 5 },
    { $numberInt: "2147483648" },
    { $numberInt: "1.0" },
    { $numberInt: "" },
    { $numberLong: "9223372036854775808" },
    { $numberLong: "0x10" },
    { $numberLong: "9".repeat(1000) },
    { $numberLong: 5 },
    { $numberDouble: "nan" },
    { $numberDouble: "" },
    { $numberDouble: " 1" },
    { $numberDouble: "1e999" },
    { $numberDouble: 1 },
    { $numberDecimal: "1.2.3" },
    { $numberDecimal: 1 },
    { $timestamp: { t: 1 } },
    { $timestamp: { t: 1, i: -1 } },
    { $timestamp: { t: 1.5, i: 1 } },
    { $timestamp: { t: 4294967296, i: 1 } },
    { $timestamp: { t: "1", i: 1 } },
    { $regularExpression: { pattern: "a" } },
    { $regularExpression: { pattern: "a\0", options: "" } },
    { $regularExpression: { pattern: 1, options: "" } },
    { $code: 1 },
    { $symbol: null },
    { $dbPointer: { $ref: "a" } },
    { $dbPointer: { $ref: "a", $id: "0123456789abcdef01234567" } },
    { $dbPointer: { $ref: "a", $id: { $oid: "x" } } },
    { $minKey: true },
    { $minKey: 2 },
    { $maxKey: "1" },
    { $undefined: false },
    { $undefined: null },
  ];
  test.each(MALFORMED)("refuses the malformed form %j and says where", (json) => {
    const error = errorOf(() => write({ a: [0, { "b c": json }] }));
    expect(error.reason).toBe("VALUE_INVALID");
    expect(error.message).toMatch(/^value is invalid at a\[1\]\["b c"\]: .*\$[a-zA-Z]+/);
    expect(error.violations).toEqual([{ field: "value", description: error.message.slice("value ".length) }]);
  });

  test("refuses a form with a member twice", () => {
    const members = Buffer.concat([
      encodeStruct(
        new Map([
          ["t", 1],
          ["i", 1],
        ]),
      ),
      encodeStruct(new Map([["t", 1]])),
    ]);
    const inner = new BinaryWriter().uint32(42).bytes(members).finish();
    const entry = new BinaryWriter().uint32(10).string("$timestamp").uint32(18).bytes(inner).finish();
    const struct = new BinaryWriter().uint32(10).bytes(entry).finish();
    const wire = new BinaryWriter().uint32(42).bytes(struct).finish();
    expect(errorOf(() => jsonToBson(wire, "value")).message).toContain("$timestamp needs exactly");
  });

  test("says nothing of the value in its errors", () => {
    const error = errorOf(() => jsonToBson(encodeValue(fromPlain({ $oid: "hunter2" })), "entries[3].value"));
    expect(error.message).toBe("entries[3].value is invalid: $oid needs a string of 24 hex digits");
  });

  test("carries 30 levels and no more, forms not counted", () => {
    expect(write(nested(30, 1))).toEqual(document(nested(30, 1)));
    expect(write(nested(30, { $date: { $numberLong: "1" } }))).toEqual(document(nested(30, new Date(1))));
    for (const value of [
      nested(31, 1),
      nested(30, {}),
      nested(30, []),
      nested(30, { $x: 1 }),
      nested(500, 1),
    ]) {
      const error = errorOf(() => write(value));
      expect(error.reason).toBe("VALUE_TOO_DEEP");
      expect(error.message).toContain("30 levels");
      expect(error.message).toContain("send it as BSON");
    }
  });

  test("refuses values over 15 MiB of BSON and takes the largest", () => {
    const overhead = document("").length;
    expect(write("x".repeat(MAX_VALUE_BYTES - overhead))).toHaveLength(MAX_VALUE_BYTES);
    const error = errorOf(() => write("x".repeat(MAX_VALUE_BYTES - overhead + 1)));
    expect(error).toMatchObject({ reason: "VALUE_TOO_LARGE", kind: "RESOURCE_EXHAUSTED" });
    // Small on the wire, large as BSON.
    const list = new BinaryWriter();
    for (let i = 0; i < 1_900_000; i++) list.uint32(10).bytes(hex("0800"));
    const wire = new BinaryWriter().uint32(50).bytes(list.finish()).finish();
    expect(errorOf(() => jsonToBson(wire, "value")).reason).toBe("VALUE_TOO_LARGE");
  });

  test("gives memory of its own", () => {
    const first = write("first");
    write("other");
    expect(first).toEqual(document("first"));
  });

  test("reads what the library's codec writes in another order, or leaves out", () => {
    // Value before key; no key at all; unknown fields of every wire type, groups included.
    expect(jsonToBson(hex("2a 09 0a07 12 02 0800 0a 0161"), "value")).toEqual(document({ a: null }));
    expect(jsonToBson(hex("2a 06 0a04 12 02 0800"), "value")).toEqual(document({ "": null }));
    const unknown = "3801 3d00000000 41 0000000000000000 4a0161 53 5801 5b 5c 54";
    expect(jsonToBson(hex(`${unknown} 2001`), "value")).toEqual(document(true));
    expect(jsonToBson(hex("20ffffffffffffffffff01"), "value")).toEqual(document(true));
    // Lengths in more bytes than they need.
    expect(jsonToBson(hex("1a 8180808000 61"), "value")).toEqual(document("a"));
  });

  const BROKEN: readonly (readonly [string, string, string])[] = [
    ["no kind", "", "no kind"],
    ["no kind, but an unknown field", "3801", "no kind"],
    ["two kinds", "0800 2001", "more than one kind"],
    ["the same kind twice", "2001 2001", "more than one kind"],
    ["an entry without a value", "2a 05 0a03 0a0161", "no value"],
    ["an entry with two values", "2a 0d 0a0b 0a0161 1202 0800 1202 0800", "two values"],
    ["a list element without a kind", "32 02 0a00", "no kind"],
    ["a cut string", "1a 05 61", "cut off"],
    ["a cut number", "11 00000000", "cut off"],
    ["a cut tag", "80", "cut off"],
    ["a cut varint", "20 ff", "cut off"],
    ["an endless varint", "20 ffffffffffffffffffffff01", "malformed"],
    ["an endless length", "1a ffffffffffffff01", "malformed"],
    ["a length of 33 bits", "1a 8180808010 61", "too long"],
    ["a length of 32 bits", "1a 8180808008 61", "cut off"],
    ["a length beyond its message", "32 04 0a05 0800", "cut off"],
    ["field number 0", "0000 2001", "malformed"],
    ["wire type 6", "3e 2001", "malformed"],
    ["wire type 7", "3f 2001", "malformed"],
    ["an end of group without a start", "54 2001", "malformed"],
    ["another group's end", "53 5c 2001", "malformed"],
    ["an open group", "2001 53", "cut off"],
    ["a cut string whose length begins like its own", `1a 85 ${"61".repeat(133)}`, "cut off"],
    ["a cut value whose length begins so", `2a8d01 0a8a01 0a0161 1285 1a8201${"61".repeat(130)}`, "cut off"],
    ["a cut name whose length begins so", `2a8e01 0a8b01 0a85 ${"61".repeat(133)} 1202 0800`, "cut off"],
    ["a name twice", "2a 16 0a09 0a0161 1204 1a0262 63 0a09 0a0161 1204 1a0262 63", "occurs twice"],
    ["a name without text twice", "2a 0c 0a04 12020800 0a04 12020800", "occurs twice"],
    [
      "a form's name twice",
      "2a 18 0a0a 0a0424 6f6964 1202 0800 0a0a 0a0424 6f6964 1202 0800",
      "occurs twice",
    ],
    ["a NUL in a name", "2a 0b 0a09 0a03610062 1202 0800", "NUL"],
    ["invalid UTF-8 in a name", "2a 09 0a07 0a01ff 1202 0800", "field name is not valid UTF-8"],
    ["a surrogate in a string", "1a 03 eda080", "not valid UTF-8"],
    ["overlong UTF-8", "1a 02 c080", "not valid UTF-8"],
    ["cut UTF-8", "1a 03 6161c3", "not valid UTF-8"],
    ["invalid UTF-8 in a form", "2a 0e 0a0c 0a0524636f6465 1203 1a01ff", "a string is not valid UTF-8"],
  ];
  test.each(BROKEN)("refuses %s", (_name, bytes, problem) => {
    const error = errorOf(() => jsonToBson(hex(bytes), "value"));
    expect(error.reason).toBe("VALUE_INVALID");
    expect(error.message).toContain(problem);
  });

  test("finds a name that occurs twice among few and among many, and only then", () => {
    for (const count of [2, 16, 17, 40, 5000]) {
      const names = Array.from({ length: count }, (_, i) => `name${i * 7919}`);
      const fields = new Map(names.map((name) => [name, 1]));
      expect(jsonToBson(encodeValue(fields), "value")).toEqual(document(fields));
      for (const twice of [names[0], names[count >> 1], names[count - 1]]) {
        const struct = Buffer.concat([encodeStruct(fields), encodeStruct(new Map([[twice ?? "", 2]]))]);
        const wire = new BinaryWriter().uint32(42).bytes(struct).finish();
        const error = errorOf(() => jsonToBson(wire, "value"));
        expect(error.message).toBe(
          `value is invalid at ${twice}: the field name occurs twice in its object; keep one`,
        );
      }
    }
  });

  test("the same name in an object and inside of it is no repetition", () => {
    const value = { a: { a: { a: 1 }, b: { a: 1 } }, b: 1 };
    expect(write(value)).toEqual(document(value));
  });

  test("a value of every type goes out as JSON and comes back equal", () => {
    fc.assert(
      fc.property(bsonValue(), (value) => {
        const bson = documentOf(value);
        const wire = bsonToJson(bson);
        if (wire === undefined) return;
        const back = jsonToBson(wire, "value");
        checkValueBson(back, "value");
        expect(equalValues(back, bson)).toBe(true);
        expect(deserialize(back, { bsonRegExp: true })).toBeDefined();
      }),
      { numRuns: 1000 },
    );
  });

  test("throws nothing but StoreError on random and on damaged bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), tolerant), { numRuns: 3000 });
    fc.assert(
      fc.property(
        bsonValue(),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
        (value, changes) => {
          const wire = Buffer.from(bsonToJson(documentOf(value)) ?? []);
          for (const [at, byte] of changes) if (wire.length > 0) wire[at % wire.length] = byte;
          tolerant(wire);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

function metadata(levels: number): Uint8Array {
  return encodeStruct(new Map([["a", fromPlain(nested(levels, 1))]]));
}

describe("structToBson", () => {
  test("writes a document", () => {
    const id = "0123456789abcdef01234567";
    const wire = encodeStruct(
      fromPlain({ a: { $oid: id }, n: 2 ** 40, l: [1, {}] }) as ReadonlyMap<string, Json>,
    );
    expect(Buffer.from(structToBson(wire, "metadata"))).toEqual(
      Buffer.from(
        serialize({ a: deserialize(write({ $oid: id }))["value"], n: Long.fromNumber(2 ** 40), l: [1, {}] }),
      ),
    );
    expect(structToBson(new Uint8Array(0), "metadata")).toEqual(Buffer.from(serialize({})));
  });

  test("takes a form at the top as data", () => {
    const wire = encodeStruct(new Map([["$oid", "x"]]));
    expect(structToBson(wire, "metadata")).toEqual(Buffer.from(serialize({ $oid: "x" })));
  });

  test("counts itself as a level", () => {
    expect(() => structToBson(metadata(29), "metadata")).not.toThrow();
    const error = errorOf(() => structToBson(metadata(30), "metadata"));
    expect(error.reason).toBe("METADATA_INVALID");
    expect(error.message).toContain("30 levels");
    expect(error.message).not.toContain("BSON");
  });

  test("gives its own reason", () => {
    const error = errorOf(() => structToBson(hex("0a 05 0a03 610062"), "metadata"));
    expect(error).toMatchObject({ reason: "METADATA_INVALID", violations: [{ field: "metadata" }] });
  });
});
