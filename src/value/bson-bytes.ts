import { isUtf8 } from "node:buffer";
import { StoreError } from "../store/errors.js";

/** The type bytes of BSON (https://bsonspec.org/spec.html), deprecated ones included. */
export const BSON = {
  DOUBLE: 0x01,
  STRING: 0x02,
  OBJECT: 0x03,
  ARRAY: 0x04,
  BINARY: 0x05,
  UNDEFINED: 0x06,
  OBJECT_ID: 0x07,
  BOOLEAN: 0x08,
  DATE: 0x09,
  NULL: 0x0a,
  REGEX: 0x0b,
  DB_POINTER: 0x0c,
  CODE: 0x0d,
  SYMBOL: 0x0e,
  CODE_WITH_SCOPE: 0x0f,
  INT32: 0x10,
  TIMESTAMP: 0x11,
  INT64: 0x12,
  DECIMAL128: 0x13,
  MAX_KEY: 0x7f,
  MIN_KEY: 0xff,
} as const;

/** Whole numbers up to here, in both directions, are exact as doubles and travel as JSON numbers. */
export const MAX_EXACT_INTEGER = 2 ** 53;

/** Where the value begins in a document `{value: …}`: after length, type and name. */
export const VALUE_AT = 11;

/** Bytes up to which a loop beats the call of a native function. */
const SHORT = 48;

/** The same memory as a Buffer, so that every loop sees one kind of array. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The byte at `at`; 0 beyond the end. */
export function byteAt(buf: Buffer, at: number): number {
  return buf[at] ?? 0;
}

/** A little-endian signed 32-bit number. */
export function readInt32(buf: Buffer, at: number): number {
  return (
    byteAt(buf, at) | (byteAt(buf, at + 1) << 8) | (byteAt(buf, at + 2) << 16) | (byteAt(buf, at + 3) << 24)
  );
}

const eight = Buffer.alloc(8);
const float = new Float64Array(eight.buffer, eight.byteOffset, 1);

/** A little-endian double; quicker than readDoubleLE, which checks its arguments. */
export function readDouble(buf: Buffer, at: number): number {
  for (let i = 0; i < 8; i++) eight[i] = byteAt(buf, at + i);
  return float[0] ?? 0;
}

/** Whether a range holds valid UTF-8: no surrogates, no overlong forms. */
export function isUtf8Range(buf: Buffer, start: number, end: number): boolean {
  return end - start > SHORT ? isUtf8(buf.subarray(start, end)) : isShortUtf8(buf, start, end);
}

/** Table 3-7 of the Unicode standard, https://www.unicode.org/versions/latest/core-spec/chapter-3/#G7404. */
function isShortUtf8(buf: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; ) {
    const lead = byteAt(buf, at++);
    if (lead < 0x80) continue;
    if (lead < 0xc2 || lead > 0xf4 || at >= end) return false;
    const second = byteAt(buf, at++);
    let lowest = 0x80;
    let highest = 0xbf;
    if (lead === 0xe0) lowest = 0xa0;
    else if (lead === 0xed) highest = 0x9f;
    else if (lead === 0xf0) lowest = 0x90;
    else if (lead === 0xf4) highest = 0x8f;
    if (second < lowest || second > highest) return false;
    for (let more = lead < 0xe0 ? 0 : lead < 0xf0 ? 1 : 2; more > 0; more--) {
      if (at >= end || (byteAt(buf, at++) & 0xc0) !== 0x80) return false;
    }
  }
  return true;
}

/** Copies a range; the target must have the room. */
export function copyRange(from: Buffer, start: number, end: number, to: Buffer, at: number): void {
  if (end - start > SHORT) {
    to.set(from.subarray(start, end), at);
    return;
  }
  for (let i = start; i < end; i++) to[at++] = byteAt(from, i);
}

/** Copies text and answers whether it is valid UTF-8; the target must have the room. */
export function copyText(from: Buffer, start: number, end: number, to: Buffer, at: number): boolean {
  if (end - start > SHORT) {
    const text = from.subarray(start, end);
    to.set(text, at);
    return isUtf8(text);
  }
  let bits = 0;
  for (let i = start; i < end; i++) {
    const byte = byteAt(from, i);
    to[at++] = byte;
    bits |= byte;
  }
  return bits < 0x80 || isShortUtf8(from, start, end);
}

/** A view for numbers of several bytes. */
export function viewOf(buf: Buffer): DataView {
  return new DataView(buf.buffer, buf.byteOffset, buf.byteLength);
}

/** The offset of the zero byte that ends the text at `at`; at most `limit`. */
export function cstringEnd(buf: Buffer, at: number, limit: number): number {
  while (at < limit && buf[at] !== 0) at++;
  return at;
}

/** Whether the zero-terminated texts at `a` and `b` are the same bytes. */
export function sameCString(bufA: Buffer, a: number, bufB: Buffer, b: number): boolean {
  for (;;) {
    const byte = bufA[a];
    if (byte !== bufB[b]) return false;
    if (byte === 0 || byte === undefined) return true;
    a++;
    b++;
  }
}

/** What damaged stored BSON is reported as. */
export function damaged(): StoreError {
  return new StoreError(
    "INTERNAL",
    "a stored value is not well-formed BSON; delete the key or set it anew, and check the database's disk",
  );
}

/**
 * The offset after a value of stored BSON, which is taken to be well-formed inside. Throws INTERNAL for an unknown
 * type, or a length that leaves `limit`, so that walks over damaged bytes end.
 */
export function valueEnd(buf: Buffer, type: number, at: number, limit: number): number {
  const end = at + valueSize(buf, type, at, limit);
  if (end > limit || end < at) throw damaged();
  return end;
}

function valueSize(buf: Buffer, type: number, at: number, limit: number): number {
  switch (type) {
    case BSON.INT32:
      return 4;
    case BSON.DOUBLE:
    case BSON.DATE:
    case BSON.TIMESTAMP:
    case BSON.INT64:
      return 8;
    case BSON.STRING:
    case BSON.CODE:
    case BSON.SYMBOL:
      return 4 + atLeast(readInt32(buf, at), 1);
    case BSON.OBJECT:
    case BSON.ARRAY:
      return atLeast(readInt32(buf, at), 5);
    case BSON.CODE_WITH_SCOPE:
      return atLeast(readInt32(buf, at), 14);
    case BSON.BINARY:
      return 5 + atLeast(readInt32(buf, at), 0);
    case BSON.OBJECT_ID:
      return 12;
    case BSON.BOOLEAN:
      return 1;
    case BSON.NULL:
    case BSON.UNDEFINED:
    case BSON.MIN_KEY:
    case BSON.MAX_KEY:
      return 0;
    case BSON.REGEX:
      return cstringEnd(buf, cstringEnd(buf, at, limit) + 1, limit) + 1 - at;
    case BSON.DB_POINTER:
      return 4 + atLeast(readInt32(buf, at), 1) + 12;
    case BSON.DECIMAL128:
      return 16;
    default:
      throw damaged();
  }
}

function atLeast(length: number, least: number): number {
  if (length < least) throw damaged();
  return length;
}
