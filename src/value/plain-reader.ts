import {
  Binary,
  BSONRegExp,
  BSONSymbol,
  Code,
  DBRef,
  Decimal128,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
  UUID,
} from "bson";
import {
  asBuffer,
  BSON,
  byteAt,
  cstringEnd,
  damaged,
  MAX_EXACT_INTEGER,
  readDouble,
  readInt32,
  VALUE_AT,
  valueEnd,
} from "./bson-bytes.js";
import { DistantDate } from "./distant-date.js";
import { NameCache } from "./name-cache.js";

/** The most milliseconds before or after 1970 that a Date holds. */
const MAX_DATE = 8_640_000_000_000_000;
const SUBTYPE_UUID = 4;

const names = new NameCache();

/** Reads BSON as JavaScript values; see plain.ts for what comes as what. */
export class PlainReader {
  readonly #buf: Buffer;

  constructor(bytes: Uint8Array) {
    this.#buf = asBuffer(bytes);
  }

  /** Reads the value of `{value: …}`. */
  valueDocument(): unknown {
    const last = this.#documentEnd(0, this.#buf.length) - 1;
    if (this.#buf.toString("latin1", 5, VALUE_AT) !== "value\0") throw damaged();
    const type = byteAt(this.#buf, 4);
    return this.#value(type, VALUE_AT, valueEnd(this.#buf, type, VALUE_AT, last));
  }

  /** Reads the whole document. */
  document(): Record<string, unknown> {
    return this.#object(0, this.#buf.length);
  }

  #documentEnd(at: number, limit: number): number {
    const end = valueEnd(this.#buf, BSON.OBJECT, at, limit);
    if (this.#buf[end - 1] !== 0) throw damaged();
    return end;
  }

  #object(at: number, limit: number): Record<string, unknown> {
    const buf = this.#buf;
    const last = this.#documentEnd(at, limit) - 1;
    const object: Record<string, unknown> = {};
    for (let pos = at + 4; pos < last; ) {
      const type = byteAt(buf, pos);
      const end = cstringEnd(buf, pos + 1, last);
      const name = names.read(buf, pos + 1, end);
      pos = valueEnd(buf, type, end + 1, last);
      const value = this.#value(type, end + 1, pos);
      if (name === "__proto__") {
        Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
      } else {
        object[name] = value;
      }
    }
    return object;
  }

  #array(at: number, limit: number): unknown[] {
    const buf = this.#buf;
    const last = this.#documentEnd(at, limit) - 1;
    const array: unknown[] = [];
    for (let pos = at + 4; pos < last; ) {
      const type = byteAt(buf, pos);
      const value = cstringEnd(buf, pos + 1, last) + 1;
      pos = valueEnd(buf, type, value, last);
      array.push(this.#value(type, value, pos));
    }
    return array;
  }

  /** Reads the value from `at` to `end`, whose length is checked. */
  #value(type: number, at: number, end: number): unknown {
    const buf = this.#buf;
    switch (type) {
      case BSON.STRING:
        return this.#text(at, end);
      case BSON.INT32:
        return readInt32(buf, at);
      case BSON.DOUBLE:
        return readDouble(buf, at);
      case BSON.OBJECT:
        return this.#object(at, end);
      case BSON.ARRAY:
        return this.#array(at, end);
      case BSON.BOOLEAN:
        return buf[at] !== 0;
      case BSON.NULL:
      case BSON.UNDEFINED:
        return null;
      case BSON.INT64:
        return readInt64(buf, at);
      case BSON.DATE:
        return readDate(buf, at);
      case BSON.BINARY:
        return readBinary(buf, at, end);
      default:
        return this.#rare(type, at, end);
    }
  }

  /** Reads the types that come as classes of the `bson` package. */
  #rare(type: number, at: number, end: number): unknown {
    const buf = this.#buf;
    switch (type) {
      case BSON.OBJECT_ID:
        return new ObjectId(new Uint8Array(buf.subarray(at, end)));
      case BSON.DECIMAL128:
        return new Decimal128(new Uint8Array(buf.subarray(at, end)));
      case BSON.TIMESTAMP:
        return new Timestamp({ t: readInt32(buf, at + 4) >>> 0, i: readInt32(buf, at) >>> 0 });
      case BSON.REGEX:
        return readRegex(buf, at, end);
      case BSON.SYMBOL:
        return new BSONSymbol(this.#text(at, end));
      case BSON.CODE:
        return new Code(this.#text(at, end));
      case BSON.CODE_WITH_SCOPE: {
        const scope = valueEnd(buf, BSON.CODE, at + 4, end);
        return new Code(this.#text(at + 4, scope), this.#object(scope, end));
      }
      case BSON.DB_POINTER:
        return new DBRef(this.#text(at, end - 12), new ObjectId(new Uint8Array(buf.subarray(end - 12, end))));
      case BSON.MIN_KEY:
        return new MinKey();
      case BSON.MAX_KEY:
        return new MaxKey();
      default:
        throw damaged();
    }
  }

  /** A string with its length before and its zero byte at `end` - 1. */
  #text(at: number, end: number): string {
    return this.#buf.toString("utf8", at + 4, end - 1);
  }
}

function readInt64(buf: Buffer, at: number): number | bigint {
  const value = readInt32(buf, at + 4) * 2 ** 32 + (readInt32(buf, at) >>> 0);
  if (Math.abs(value) < MAX_EXACT_INTEGER) return value;
  const exact = buf.readBigInt64LE(at);
  return BigInt(value) === exact && Math.abs(value) === MAX_EXACT_INTEGER ? value : exact;
}

function readDate(buf: Buffer, at: number): Date | DistantDate {
  const ms = readInt32(buf, at + 4) * 2 ** 32 + (readInt32(buf, at) >>> 0);
  return Math.abs(ms) <= MAX_DATE ? new Date(ms) : new DistantDate(buf.readBigInt64LE(at));
}

function readBinary(buf: Buffer, at: number, end: number): Uint8Array | Binary {
  const subType = byteAt(buf, at + 4);
  // Subtype 2 holds its length again.
  const start = subType === 2 ? Math.min(at + 9, end) : at + 5;
  const bytes = new Uint8Array(buf.subarray(start, end));
  if (subType === 0) return bytes;
  return subType === SUBTYPE_UUID && bytes.length === 16 ? new UUID(bytes) : new Binary(bytes, subType);
}

function readRegex(buf: Buffer, at: number, end: number): BSONRegExp {
  const patternEnd = cstringEnd(buf, at, end);
  const regex = new BSONRegExp(buf.toString("utf8", at, patternEnd));
  // Past the constructor, which refuses options that other writers may have stored.
  regex.options = buf.toString("utf8", patternEnd + 1, end - 1);
  return regex;
}
