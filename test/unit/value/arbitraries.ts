import {
  Binary,
  BSONRegExp,
  BSONSymbol,
  Code,
  Decimal128,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  serialize,
  Timestamp,
} from "bson";
import * as fc from "fast-check";

const name = fc.oneof(
  fc.constantFrom("", "a", "b", "id", "a.b", "$x", "__proto__", "ö", "value"),
  fc.string({ unit: "grapheme", maxLength: 60 }).map((text) => text.replaceAll("\0", "")),
);

const text = fc.oneof(fc.string({ maxLength: 80 }), fc.string({ unit: "binary", maxLength: 80 }));

const decimal = fc
  .tuple(fc.bigInt({ min: -(10n ** 34n) + 1n, max: 10n ** 34n - 1n }), fc.integer({ min: -6000, max: 6000 }))
  .map(([digits, exponent]) => Decimal128.fromString(`${digits}E${exponent}`));

/** A scalar of any type that the bson package writes. */
export const scalar: fc.Arbitrary<unknown> = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  text,
  fc.integer().map((value) => new Int32(value)),
  fc.double().map((value) => new Double(value)),
  fc.constantFrom(0, -0, 1, 2 ** 31, 2 ** 53, -(2 ** 53), 2 ** 53 + 2).map((value) => new Double(value)),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => Long.fromBigInt(value)),
  fc.bigInt({ min: -(2n ** 54n), max: 2n ** 54n }).map((value) => Long.fromBigInt(value)),
  fc.date({ noInvalidDate: true, min: new Date(-8.64e15), max: new Date(8.64e15) }),
  fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(2e12) }),
  fc.uint8Array({ minLength: 12, maxLength: 12 }).map((bytes) => new ObjectId(bytes)),
  fc
    .tuple(fc.uint8Array({ maxLength: 100 }), fc.constantFrom(0, 1, 2, 3, 5, 6, 8, 128, 255))
    .map(([bytes, subType]) => new Binary(bytes, subType)),
  decimal,
  fc.constantFrom("NaN", "Infinity", "-Infinity", "0", "-0.00").map((value) => Decimal128.fromString(value)),
  fc.tuple(fc.nat(2 ** 32 - 1), fc.nat(2 ** 32 - 1)).map(([t, i]) => new Timestamp({ t, i })),
  fc
    .tuple(name, fc.subarray(["i", "l", "m", "s", "u", "x"]))
    .map(([pattern, options]) => new BSONRegExp(pattern, options.join(""))),
  text.map((value) => new Code(value)),
  text.map((value) => new BSONSymbol(value)),
  fc.constantFrom(new MinKey(), new MaxKey()),
);

/** A value of any shape for the bson package; objects are Maps, which keep names and order. */
export function bsonValue(): fc.Arbitrary<unknown> {
  return fc.letrec((tie) => ({
    value: fc.oneof({ depthSize: "small", withCrossShrink: true }, scalar, tie("array"), tie("object")),
    array: fc.array(tie("value"), { maxLength: 12 }),
    object: fc
      .uniqueArray(fc.tuple(name, tie("value")), { selector: ([key]) => key, maxLength: 24 })
      .map((entries) => new Map(entries)),
  })).value;
}

/** The document `{value: …}` of such a value. */
export function documentOf(value: unknown): Uint8Array {
  return serialize(new Map([["value", value]]));
}
