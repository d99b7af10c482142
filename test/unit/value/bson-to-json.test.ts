import { BSON, deserialize, EJSON, ObjectId, serialize } from "bson";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bsonToJson, bsonToStruct } from "../../../src/value/bson-to-json.js";
import { bsonValue, documentOf } from "./arbitraries.js";
import { CASES, document, raw } from "./cases.js";
import { errorOf } from "./errors.js";
import { decodeStruct, decodeValue, fromPlain, type Json, type JsonFields } from "./wire-codec.js";

function toJson(bson: Uint8Array): Json {
  const wire = bsonToJson(bson);
  if (wire === undefined) throw new Error("too deep");
  return decodeValue(wire);
}

/** A value inside of so many arrays. */
export function nested(levels: number, inner: unknown): unknown {
  let value = inner;
  for (let i = 0; i < levels; i++) value = [value];
  return value;
}

describe("bsonToJson", () => {
  test.each(CASES)("writes $name", ({ bson, json }) => {
    expect(toJson(bson)).toStrictEqual(fromPlain(json));
  });

  test("keeps the order of fields", () => {
    const value = toJson(document(new Map(Object.entries({ b: 1, a: 2, c: { z: 1, y: 2 } }))));
    expect([...(value as Map<string, Json>).keys()]).toEqual(["b", "a", "c"]);
  });

  test("takes arrays by position, whatever the names of their elements", () => {
    const odd = raw(0x04, "15000000 10 39 00 01000000 10 78 00 02000000 0a 00 00");
    expect(toJson(odd)).toEqual([1, 2, null]);
  });

  test("replaces what is not UTF-8, in strings and in names", () => {
    const bad = raw(0x03, "10000000 02 61ff00 03000000 c32800 00");
    expect(toJson(bad)).toEqual(new Map([["a\ufffd", "\ufffd("]]));
  });

  test("leaves a field name that occurs twice to the reader, in order", () => {
    const twice = raw(0x03, "13000000 10 6100 01000000 10 6100 02000000 00");
    expect(toJson(twice)).toEqual(new Map([["a", 2]]));
  });

  test("carries 30 levels and no more", () => {
    expect(toJson(document(nested(30, 1)))).toEqual(fromPlain(nested(30, 1)));
    expect(bsonToJson(document(nested(31, 1)))).toBeUndefined();
    expect(bsonToJson(document({ a: nested(30, 1) }))).toBeUndefined();
    expect(bsonToJson(document(nested(180, 1)))).toBeUndefined();
  });

  test("does not count Extended JSON forms as levels, as far as other readers can follow", () => {
    expect(toJson(document(nested(30, new Date(-5))))).toEqual(
      fromPlain(nested(30, { $date: { $numberLong: "-5" } })),
    );
    const pointer = Buffer.from(raw(0x0c, "02000000 6100 0123456789abcdef01234567")).subarray(11, -1);
    expect(bsonToJson(wrapped(29, 0x0c, pointer))).toBeDefined();
    expect(bsonToJson(wrapped(30, 0x0c, pointer))).toBeUndefined();
  });

  test("counts code with scope as two levels", () => {
    expect(bsonToJson(document(nested(28, new BSON.Code("f", { a: 1 }))))).toBeDefined();
    expect(bsonToJson(document(nested(29, new BSON.Code("f", { a: 1 }))))).toBeUndefined();
  });

  test("agrees with EJSON on random documents", () => {
    fc.assert(
      fc.property(bsonValue(), (value) => {
        const bson = documentOf(value);
        const plain = deserialize(bson, { promoteValues: false, bsonRegExp: true });
        // Relaxed EJSON of the package rounds large integers, so the canonical one is relaxed here.
        const canonical = fromPlain(JSON.parse(EJSON.stringify(plain["value"], { relaxed: false })));
        expect(toJson(bson)).toStrictEqual(relaxed(canonical));
      }),
      { numRuns: 500 },
    );
  });

  test("refuses damaged bytes with INTERNAL and never hangs", () => {
    expect(errorOf(() => bsonToJson(new Uint8Array(0))).reason).toBe("INTERNAL");
    expect(errorOf(() => bsonToJson(serialize({ other: 1 }))).reason).toBe("INTERNAL");
    fc.assert(
      fc.property(bsonValue(), fc.nat(), fc.nat(255), (value, at, byte) => {
        const bson = Buffer.from(documentOf(value));
        bson[at % bson.length] = byte;
        try {
          bsonToJson(bson);
        } catch (error) {
          expect(error).toMatchObject({ reason: "INTERNAL" });
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("grows as far as a value needs", () => {
    const big = Array.from({ length: 300_000 }, (_, i) => ({ i, d: new Date(i) }));
    const value = toJson(document(big)) as readonly Json[];
    expect(value).toHaveLength(300_000);
    expect(value[299_999]).toEqual(fromPlain({ i: 299_999, d: { $date: "1970-01-01T00:04:59.999Z" } }));
  });

  test("gives memory of its own", () => {
    const first = bsonToJson(document("first")) ?? new Uint8Array();
    bsonToJson(document("other"));
    expect(decodeValue(first)).toBe("first");
  });
});

describe("bsonToStruct", () => {
  test("writes the document itself", () => {
    const id = new ObjectId();
    const wire = bsonToStruct(serialize({ a: id, list: [1, { b: null }] }));
    expect(decodeStruct(wire)).toEqual(fromPlain({ a: { $oid: id.toHexString() }, list: [1, { b: null }] }));
    expect(bsonToStruct(serialize({}))).toHaveLength(0);
  });

  test("counts the document as a level", () => {
    expect(() => bsonToStruct(serialize({ a: nested(29, 1) }))).not.toThrow();
    expect(errorOf(() => bsonToStruct(serialize({ a: nested(30, 1) }))).reason).toBe(
      "VALUE_TOO_DEEP_FOR_JSON",
    );
  });
});

/** A value given by type and bytes, inside of so many arrays. */
function wrapped(levels: number, type: number, content: Buffer): Uint8Array {
  if (levels === 0) return raw(type, content.toString("hex"));
  const array = Buffer.alloc(4 + 3 + content.length + 1);
  array.writeInt32LE(array.length, 0);
  array[4] = type;
  array.write("0\0", 5, "latin1");
  content.copy(array, 7);
  return wrapped(levels - 1, 0x04, array);
}

/** What relaxed Extended JSON makes of canonical Extended JSON. */
function relaxed(value: Json): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map(relaxed);
  if (!(value instanceof Map)) return value;
  const fields = value as JsonFields;
  const [form, content] = fields.size === 1 ? ([...fields][0] ?? []) : [];
  if (form === "$numberInt" || (form === "$numberLong" && Math.abs(Number(content)) <= 2 ** 53)) {
    if (BigInt(content as string) === BigInt(Number(content))) return Number(content);
  }
  if (form === "$numberDouble" && Number.isFinite(Number(content))) return Number(content);
  if (form === "$date") {
    const ms = Number((content as JsonFields).get("$numberLong"));
    if (ms < 0 || ms >= Date.UTC(10000, 0)) return fields;
    return new Map([["$date", new Date(ms).toISOString().replace(".000Z", "Z")]]);
  }
  return new Map([...fields].map(([name, member]) => [name, relaxed(member)]));
}
