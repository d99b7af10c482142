import { Decimal128 } from "bson";
import { BSON, readDouble, readInt32 } from "./bson-bytes.js";

/** Whether a BSON type is a number. */
export function isNumber(type: number): boolean {
  return type === BSON.INT32 || type === BSON.DOUBLE || type === BSON.INT64 || type === BSON.DECIMAL128;
}

/**
 * Whether two BSON numbers have exactly the same mathematical value, whatever their types: nothing is rounded, so
 * the decimal 0.1 is not the double 0.1. NaN equals NaN, -0 equals 0.
 */
export function sameNumber(
  bufA: Buffer,
  typeA: number,
  a: number,
  bufB: Buffer,
  typeB: number,
  b: number,
): boolean {
  if (typeA === BSON.DECIMAL128 || typeB === BSON.DECIMAL128) {
    return sameDecimal(decimalOf(bufA, typeA, a), decimalOf(bufB, typeB, b));
  }
  if (typeA === BSON.INT64 && typeB === BSON.INT64) {
    return readInt32(bufA, a) === readInt32(bufB, b) && readInt32(bufA, a + 4) === readInt32(bufB, b + 4);
  }
  if (typeA === BSON.INT64) return sameAsInt64(readSmall(bufB, typeB, b), bufA, a);
  if (typeB === BSON.INT64) return sameAsInt64(readSmall(bufA, typeA, a), bufB, b);
  const numberA = readSmall(bufA, typeA, a);
  const numberB = readSmall(bufB, typeB, b);
  return numberA === numberB || (Number.isNaN(numberA) && Number.isNaN(numberB));
}

/** An int32 or a double. */
function readSmall(buf: Buffer, type: number, at: number): number {
  return type === BSON.INT32 ? readInt32(buf, at) : readDouble(buf, at);
}

function sameAsInt64(number: number, buf: Buffer, at: number): boolean {
  return Number.isInteger(number) && BigInt(number) === buf.readBigInt64LE(at);
}

/**
 * A number as sign × coefficient × 10^exponent with a coefficient that 10 does not divide, which makes it unique;
 * or a name for what has no such form. `undefined` is a double whose value no decimal128 can have.
 */
type Decimal = { readonly coefficient: bigint; readonly exponent: number } | string | undefined;

function sameDecimal(a: Decimal, b: Decimal): boolean {
  if (a === undefined || b === undefined) return false;
  if (typeof a === "string" || typeof b === "string") return a === b;
  return a.exponent === b.exponent && a.coefficient === b.coefficient;
}

function decimalOf(buf: Buffer, type: number, at: number): Decimal {
  switch (type) {
    case BSON.INT32:
      return normalized(BigInt(readInt32(buf, at)), 0);
    case BSON.INT64:
      return normalized(buf.readBigInt64LE(at), 0);
    case BSON.DOUBLE:
      return decimalOfDouble(readDouble(buf, at));
    default:
      return decimalOfText(new Decimal128(Buffer.from(buf.subarray(at, at + 16))).toString());
  }
}

/** Reads what Decimal128 writes, which is exact: digits, a point, an exponent, or the name of a special value. */
function decimalOfText(text: string): Decimal {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:E([+-]?\d+))?$/.exec(text);
  if (match === null) return text;
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = match;
  return normalized(BigInt(`${sign}${whole}${fraction}`), Number(exponent) - fraction.length);
}

/** The most binary places of a fraction that a decimal128 holds: each takes a factor 5, and 5^49 has over 34 digits. */
const MAX_FRACTION_BITS = 48;

function decimalOfDouble(value: number): Decimal {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value)) return normalized(BigInt(value), 0);
  let scaled = value;
  let bits = 0;
  // Doubling is exact. m/2^bits is m·5^bits/10^bits.
  while (!Number.isInteger(scaled)) {
    if (++bits > MAX_FRACTION_BITS) return undefined;
    scaled *= 2;
  }
  return normalized(BigInt(scaled) * 5n ** BigInt(bits), -bits);
}

function normalized(coefficient: bigint, exponent: number): Decimal {
  if (coefficient === 0n) return { coefficient, exponent: 0 };
  while (coefficient % 10n === 0n) {
    coefficient /= 10n;
    exponent++;
  }
  return { coefficient, exponent };
}
