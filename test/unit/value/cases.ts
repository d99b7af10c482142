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
  UUID,
} from "bson";

/** A value in BSON and the JSON that it comes as. */
export interface Case {
  readonly name: string;
  readonly bson: Uint8Array;
  readonly json: unknown;
  /** What the JSON becomes when it is written, where that is not the same BSON. */
  readonly written?: Uint8Array;
}

/** A document `{value: …}` made by the bson package. */
export function document(value: unknown): Uint8Array {
  return serialize({ value }, { ignoreUndefined: false });
}

/** A document `{value: …}` with a value of this type, from hex. */
export function raw(type: number, hex: string): Uint8Array {
  const content = Buffer.from(hex.replaceAll(" ", ""), "hex");
  const bytes = Buffer.alloc(4 + 7 + content.length + 1);
  bytes.writeInt32LE(bytes.length, 0);
  bytes[4] = type;
  bytes.write("value\0", 5, "latin1");
  content.copy(bytes, 11);
  return bytes;
}

const oid = new ObjectId("0123456789abcdef01234567");
const oidHex = "0123456789abcdef01234567";
const TWO_53 = 2 ** 53;

/** A date by its milliseconds, which may be beyond those of a Date. */
export function rawDate(ms: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(ms);
  return raw(0x09, bytes.toString("hex"));
}

/** A value of every BSON type, with the awkward ones of each. */
export const CASES: readonly Case[] = [
  { name: "null", bson: document(null), json: null },
  { name: "true", bson: document(true), json: true },
  { name: "false", bson: document(false), json: false },
  { name: "empty string", bson: document(""), json: "" },
  { name: "text", bson: document("grüße \u{1f600} \0 end"), json: "grüße \u{1f600} \0 end" },
  { name: "long text", bson: document("ä".repeat(500)), json: "ä".repeat(500) },
  { name: "int32 0", bson: document(new Int32(0)), json: 0 },
  { name: "int32 max", bson: document(new Int32(2 ** 31 - 1)), json: 2 ** 31 - 1 },
  { name: "int32 min", bson: document(new Int32(-(2 ** 31))), json: -(2 ** 31) },
  { name: "int64 over int32", bson: document(Long.fromNumber(2 ** 31)), json: 2 ** 31 },
  { name: "int64 under int32", bson: document(Long.fromNumber(-(2 ** 31) - 1)), json: -(2 ** 31) - 1 },
  { name: "small int64", bson: document(Long.fromNumber(5)), json: 5, written: document(new Int32(5)) },
  { name: "2^53", bson: document(Long.fromBigInt(2n ** 53n)), json: TWO_53 },
  { name: "-2^53", bson: document(Long.fromBigInt(-(2n ** 53n))), json: -TWO_53 },
  { name: "2^53 + 1", bson: document(2n ** 53n + 1n), json: { $numberLong: "9007199254740993" } },
  { name: "-2^53 - 1", bson: document(-(2n ** 53n) - 1n), json: { $numberLong: "-9007199254740993" } },
  { name: "int64 max", bson: document(2n ** 63n - 1n), json: { $numberLong: "9223372036854775807" } },
  { name: "int64 min", bson: document(-(2n ** 63n)), json: { $numberLong: "-9223372036854775808" } },
  { name: "fraction", bson: document(0.1), json: 0.1 },
  { name: "whole double", bson: document(new Double(5)), json: 5, written: document(new Int32(5)) },
  { name: "-0", bson: document(new Double(-0)), json: -0 },
  { name: "double over 2^53", bson: document(new Double(TWO_53 + 2)), json: TWO_53 + 2 },
  { name: "largest double", bson: document(Number.MAX_VALUE), json: Number.MAX_VALUE },
  { name: "smallest double", bson: document(5e-324), json: 5e-324 },
  { name: "NaN", bson: document(Number.NaN), json: { $numberDouble: "NaN" } },
  { name: "Infinity", bson: document(Number.POSITIVE_INFINITY), json: { $numberDouble: "Infinity" } },
  { name: "-Infinity", bson: document(Number.NEGATIVE_INFINITY), json: { $numberDouble: "-Infinity" } },
  { name: "decimal", bson: document(Decimal128.fromString("1.50")), json: { $numberDecimal: "1.50" } },
  { name: "decimal NaN", bson: document(Decimal128.fromString("NaN")), json: { $numberDecimal: "NaN" } },
  {
    name: "largest decimal",
    bson: document(Decimal128.fromString(`${"9".repeat(34)}E+6111`)),
    json: { $numberDecimal: `9.${"9".repeat(33)}E+6144` },
  },
  { name: "ObjectId", bson: document(oid), json: { $oid: oidHex } },
  { name: "date", bson: document(new Date(1577836800123)), json: { $date: "2020-01-01T00:00:00.123Z" } },
  { name: "date of whole seconds", bson: document(new Date(0)), json: { $date: "1970-01-01T00:00:00Z" } },
  { name: "date before 1970", bson: document(new Date(-1)), json: { $date: { $numberLong: "-1" } } },
  {
    name: "last date of 9999",
    bson: document(new Date(253402300799999)),
    json: { $date: "9999-12-31T23:59:59.999Z" },
  },
  {
    name: "first date of 10000",
    bson: document(new Date(253402300800000)),
    json: { $date: { $numberLong: "253402300800000" } },
  },
  {
    name: "date no Date can hold",
    bson: rawDate(-(2n ** 63n)),
    json: { $date: { $numberLong: "-9223372036854775808" } },
  },
  {
    name: "binary",
    bson: document(new Binary(Buffer.from([255, 0, 1]))),
    json: { $binary: { base64: "/wAB", subType: "00" } },
  },
  { name: "empty binary", bson: raw(0x05, "00000000 80"), json: { $binary: { base64: "", subType: "80" } } },
  {
    name: "long binary",
    bson: document(new Binary(Buffer.alloc(1000, 7), 5)),
    json: { $binary: { base64: Buffer.alloc(1000, 7).toString("base64"), subType: "05" } },
  },
  {
    name: "binary of subtype 2",
    bson: raw(0x05, "06000000 02 02000000 ffff"),
    json: { $binary: { base64: "//8=", subType: "02" } },
  },
  {
    name: "UUID",
    bson: document(new UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")),
    json: { $binary: { base64: "b5YZ/4uG0BG0LQDAT8lk/w==", subType: "04" } },
  },
  {
    name: "timestamp",
    bson: document(new Timestamp({ t: 4294967295, i: 2147483648 })),
    json: { $timestamp: { t: 4294967295, i: 2147483648 } },
  },
  {
    name: "regular expression",
    bson: document(new BSONRegExp("^ä/\\d", "ix")),
    json: { $regularExpression: { pattern: "^ä/\\d", options: "ix" } },
  },
  { name: "code", bson: document(new Code("f(ä)")), json: { $code: "f(ä)" } },
  {
    name: "code with scope",
    bson: document(new Code("f()", { a: oid })),
    json: { $code: "f()", $scope: { a: { $oid: oidHex } } },
    written: document({ $code: "f()", $scope: { a: oid } }),
  },
  { name: "symbol", bson: document(new BSONSymbol("sym")), json: { $symbol: "sym" } },
  {
    name: "DBPointer",
    bson: raw(0x0c, `04000000 61c3a400 ${oidHex}`),
    json: { $dbPointer: { $ref: "aä", $id: { $oid: oidHex } } },
  },
  { name: "MinKey", bson: document(new MinKey()), json: { $minKey: 1 } },
  { name: "MaxKey", bson: document(new MaxKey()), json: { $maxKey: 1 } },
  { name: "undefined", bson: raw(0x06, ""), json: { $undefined: true } },
  { name: "empty object", bson: document({}), json: {} },
  { name: "empty array", bson: document([]), json: [] },
  { name: "array", bson: document([1, [null, "a"], {}]), json: [1, [null, "a"], {}] },
  {
    name: "array of more than 10",
    bson: document(Array.from({ length: 1234 }, (_, i) => i)),
    json: Array.from({ length: 1234 }, (_, i) => i),
  },
  {
    name: "awkward names",
    bson: document(
      new Map<string, unknown>(Object.entries(JSON.parse('{"":1,"__proto__":{"a":2},"$x":3,"a.b":4,"ö":5}'))),
    ),
    json: JSON.parse('{"":1,"__proto__":{"a":2},"$x":3,"a.b":4,"ö":5}'),
  },
  {
    name: "forms inside of data",
    bson: document({ when: new Date(1), ids: [oid, oid], n: 2n ** 60n }),
    json: {
      when: { $date: "1970-01-01T00:00:00.001Z" },
      ids: [{ $oid: oidHex }, { $oid: oidHex }],
      n: { $numberLong: "1152921504606846976" },
    },
  },
];
