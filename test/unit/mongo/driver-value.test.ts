import { Binary, BSONRegExp, serialize } from "bson";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { driverValueOf } from "../../../src/engines/mongo/driver-value.js";
import { bsonValue, documentOf } from "../value/arbitraries.js";

/** A document `{value: …}` of one type and its bytes. */
function raw(type: number, bytes: readonly number[]): Uint8Array {
  const document = Buffer.from([0, 0, 0, 0, type, ...Buffer.from("value\0"), ...bytes, 0]);
  document.writeInt32LE(document.length);
  return document;
}

/** Whether there is a byte array of the old subtype, which holds its length twice. */
function hasOldBinary(value: unknown): boolean {
  if (value instanceof Binary) return value.sub_type === 2;
  if (value instanceof Map) return [...value.values()].some(hasOldBinary);
  return Array.isArray(value) && value.some(hasOldBinary);
}

test("what the driver gets serializes to the same bytes", () => {
  fc.assert(
    fc.property(bsonValue(), (value) => {
      const document = documentOf(value);
      const decoded = driverValueOf(document);
      if (decoded === undefined) return hasOldBinary(value);
      return Buffer.from(serialize(new Map([["value", decoded.value]]))).equals(document);
    }),
    { numRuns: 500 },
  );
});

test("vectors are not left to the driver, which takes none that is not as it knows them", () => {
  const [length, subtype] = [[4, 0, 0, 0], 9];
  expect(driverValueOf(raw(5, [...length, subtype, 0x10, 7, 0, 255]))).toBeUndefined();
  expect(driverValueOf(raw(5, [...length, subtype, 3, 0, 1, 2]))).toBeUndefined();
});

test("names that look like numbers keep their order", () => {
  const document = documentOf([
    1,
    "a",
    null,
    new Map([
      ["2", 1],
      ["1", 2],
    ]),
    new BSONRegExp("^a", "imx"),
  ]);
  const decoded = driverValueOf(document);
  expect(Buffer.from(serialize(new Map([["value", decoded?.value]]))).equals(document)).toBe(true);
});

const eight = [1, 2, 3, 4, 5, 6, 7, 0x7f];

test.each([
  ["undefined", raw(0x06, [])],
  ["a DBPointer", raw(0x0c, [2, 0, 0, 0, 0x61, 0, ...Array.from({ length: 12 }, () => 7)])],
  ["code with scope", raw(0x0f, [15, 0, 0, 0, 2, 0, 0, 0, 0x61, 0, 5, 0, 0, 0, 0])],
  ["a date that no Date holds", raw(0x09, eight)],
  ["a NaN with a payload", raw(0x01, [1, 0, 0, 0, 0, 0, 0xf8, 0x7f])],
  ["options of a regular expression out of order", raw(0x0b, [0x61, 0, 0x78, 0x69, 0])],
  ["a byte array of the old subtype", raw(0x05, [5, 0, 0, 0, 2, 1, 0, 0, 0, 9])],
  ["an array with other names", raw(0x04, [12, 0, 0, 0, 0x10, 0x37, 0, 1, 0, 0, 0, 0])],
])("%s does not go through the driver", (_name, document) => {
  expect(driverValueOf(document)).toBeUndefined();
});
