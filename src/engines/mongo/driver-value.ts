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
  Timestamp,
} from "bson";
import { asBuffer, BSON, byteAt, cstringEnd, readInt32, VALUE_AT, valueEnd } from "../../value/bson-bytes.js";

/** The largest value document that is decoded to save a round trip. */
const DECODED_BYTES = 256 * 1024;
/** Thrown for what the driver's serializer would not write as the same bytes. */
const UNFAITHFUL = Symbol("unfaithful");
const MAX_DATE = 8_640_000_000_000_000n;
const NOT_A_NUMBER = 0x7ff8000000000000n;
/** The driver writes the first in another form, and the second only if it is a vector as it knows them. */
const UNFAITHFUL_SUBTYPES: ReadonlySet<number> = new Set([Binary.SUBTYPE_BYTE_ARRAY, Binary.SUBTYPE_VECTOR]);

/**
 * A value document as what the driver serializes to the same bytes: objects as Maps, which keep their order and every
 * name, numbers in classes that keep their types. Undefined where that cannot be: deprecated types, dates that no Date
 * holds, and the like.
 *
 * @param document a well-formed `{value: …}`
 */
export function driverValueOf(document: Uint8Array): { readonly value: unknown } | undefined {
  const buf = asBuffer(document);
  try {
    return { value: valueAt(buf, byteAt(buf, 4), VALUE_AT, buf.length - 1) };
  } catch (error) {
    if (error === UNFAITHFUL) return undefined;
    throw error;
  }
}

/** The same for values that are worth it: what is larger goes as it is, which takes one round trip more. */
export function decodedForDriver(document: Uint8Array): { readonly value: unknown } | undefined {
  return document.length <= DECODED_BYTES ? driverValueOf(document) : undefined;
}

function unfaithful(): never {
  // A signal within this file, which never leaves it.
  // oxlint-disable-next-line no-throw-literal
  throw UNFAITHFUL;
}

function objectAt(buf: Buffer, at: number, end: number): Map<string, unknown> {
  const object = new Map<string, unknown>();
  for (let pos = at + 4; pos < end - 1; ) {
    const nameEnd = cstringEnd(buf, pos + 1, end);
    const next = valueEnd(buf, byteAt(buf, pos), nameEnd + 1, end);
    object.set(buf.toString("utf8", pos + 1, nameEnd), valueAt(buf, byteAt(buf, pos), nameEnd + 1, next));
    pos = next;
  }
  return object;
}

function arrayAt(buf: Buffer, at: number, end: number): unknown[] {
  const array: unknown[] = [];
  for (let pos = at + 4; pos < end - 1; ) {
    const nameEnd = cstringEnd(buf, pos + 1, end);
    // Some writers number the elements otherwise.
    if (buf.toString("latin1", pos + 1, nameEnd) !== String(array.length)) unfaithful();
    const next = valueEnd(buf, byteAt(buf, pos), nameEnd + 1, end);
    array.push(valueAt(buf, byteAt(buf, pos), nameEnd + 1, next));
    pos = next;
  }
  return array;
}

function valueAt(buf: Buffer, type: number, at: number, end: number): unknown {
  switch (type) {
    case BSON.STRING:
      return textAt(buf, at, end);
    case BSON.INT32:
      return new Int32(readInt32(buf, at));
    case BSON.DOUBLE:
      return doubleAt(buf, at);
    case BSON.OBJECT:
      return objectAt(buf, at, end);
    case BSON.ARRAY:
      return arrayAt(buf, at, end);
    case BSON.BOOLEAN:
      return buf[at] !== 0;
    case BSON.NULL:
      return null;
    case BSON.INT64:
      return Long.fromBits(readInt32(buf, at), readInt32(buf, at + 4));
    case BSON.DATE:
      return dateAt(buf, at);
    case BSON.BINARY:
      return binaryAt(buf, at, end);
    default:
      return rareAt(buf, type, at, end);
  }
}

function rareAt(buf: Buffer, type: number, at: number, end: number): unknown {
  switch (type) {
    case BSON.OBJECT_ID:
      return new ObjectId(new Uint8Array(buf.subarray(at, end)));
    case BSON.DECIMAL128:
      return new Decimal128(new Uint8Array(buf.subarray(at, end)));
    case BSON.TIMESTAMP:
      return new Timestamp({ t: readInt32(buf, at + 4) >>> 0, i: readInt32(buf, at) >>> 0 });
    case BSON.REGEX:
      return regexAt(buf, at, end);
    case BSON.SYMBOL:
      return new BSONSymbol(textAt(buf, at, end));
    case BSON.CODE:
      return new Code(textAt(buf, at, end));
    case BSON.MIN_KEY:
      return new MinKey();
    case BSON.MAX_KEY:
      return new MaxKey();
    default:
      return unfaithful();
  }
}

function textAt(buf: Buffer, at: number, end: number): string {
  return buf.toString("utf8", at + 4, end - 1);
}

function doubleAt(buf: Buffer, at: number): Double {
  const value = buf.readDoubleLE(at);
  if (Number.isNaN(value) && buf.readBigUInt64LE(at) !== NOT_A_NUMBER) unfaithful();
  return new Double(value);
}

function dateAt(buf: Buffer, at: number): Date {
  const ms = buf.readBigInt64LE(at);
  if (ms > MAX_DATE || ms < -MAX_DATE) unfaithful();
  return new Date(Number(ms));
}

function binaryAt(buf: Buffer, at: number, end: number): Binary {
  const subType = byteAt(buf, at + 4);
  if (UNFAITHFUL_SUBTYPES.has(subType)) unfaithful();
  return new Binary(new Uint8Array(buf.subarray(at + 5, end)), subType);
}

function regexAt(buf: Buffer, at: number, end: number): BSONRegExp {
  const patternEnd = cstringEnd(buf, at, end);
  const options = buf.toString("latin1", patternEnd + 1, end - 1);
  if (!/^i?l?m?s?u?x?$/.test(options)) unfaithful();
  return new BSONRegExp(buf.toString("utf8", at, patternEnd), options);
}

/**
 * Whether a value has an array whose elements are not named 0, 1, 2, as some writers leave them: the database numbers
 * them anew wherever an expression computes with the value.
 */
export function hasOddArrays(document: Uint8Array): boolean {
  const buf = asBuffer(document);
  return isOdd(buf, 0, document.length, false);
}

function isOdd(buf: Buffer, at: number, end: number, isArray: boolean): boolean {
  let index = 0;
  for (let pos = at + 4; pos < end - 1; index++) {
    const type = byteAt(buf, pos);
    const nameEnd = cstringEnd(buf, pos + 1, end);
    if (isArray && buf.toString("latin1", pos + 1, nameEnd) !== String(index)) return true;
    const next = valueEnd(buf, type, nameEnd + 1, end);
    const nested = type === BSON.OBJECT || type === BSON.ARRAY;
    if (nested && isOdd(buf, nameEnd + 1, next, type === BSON.ARRAY)) return true;
    pos = next;
  }
  return false;
}
