import { MAX_BSON_LEVELS, MAX_VALUE_BYTES } from "../store/limits.js";
import { asBuffer, BSON, byteAt, cstringEnd, isUtf8Range, readInt32, VALUE_AT } from "./bson-bytes.js";
import { HASH_SEED, hashByte, NameList } from "./name-list.js";
import { invalidAt, tooDeep, tooLarge } from "./value-error.js";
import { BsonPath } from "./value-path.js";

/**
 * Checks what a caller wrote as BSON: one well-formed document `{value: …}` and nothing after it, with exact
 * lengths, valid UTF-8, no field name twice in an object, at most MAX_BSON_LEVELS levels and MAX_VALUE_BYTES
 * bytes. Every BSON type is accepted, and so are arrays whose names are not 0, 1, 2, as some writers leave them.
 *
 * @param field the request's field, for the error
 * @throws StoreError VALUE_INVALID, VALUE_TOO_DEEP or VALUE_TOO_LARGE
 */
export function checkValueBson(bytes: Uint8Array, field: string): void {
  if (bytes.length > MAX_VALUE_BYTES) throw tooLarge(field, bytes.length);
  try {
    new BsonCheck(asBuffer(bytes), field).run();
  } finally {
    names.reset();
  }
}

const names = new NameList();
const ROOT = Buffer.from("value\0");

class BsonCheck {
  readonly #buf: Buffer;
  readonly #field: string;
  readonly #path = new BsonPath();
  /** The level whose element is being checked; -1 for the document around the value. */
  #level = -1;

  constructor(buf: Buffer, field: string) {
    this.#buf = buf;
    this.#field = field;
  }

  run(): void {
    const buf = this.#buf;
    const end = buf.length - 1;
    if (end < VALUE_AT) this.#fail("expected a BSON document with one field named value");
    if (readInt32(buf, 0) !== buf.length) {
      this.#fail("the length at its start differs from the number of bytes; send one whole BSON document");
    }
    if (buf[end] !== 0) this.#fail("the document does not end with a zero byte");
    if (!buf.subarray(5, VALUE_AT).equals(ROOT)) {
      this.#fail("expected a BSON document with one field named value");
    }
    this.#path.set(0, 5, false);
    this.#level = 0;
    if (this.#value(byteAt(buf, 4), VALUE_AT, end, 0) !== end) {
      this.#level = -1;
      this.#fail("there is more than the one field named value; put everything into that field");
    }
  }

  /** Checks the object or array at `at`, which must end by `limit`; answers where it ends. */
  #container(at: number, limit: number, level: number, isArray: boolean): number {
    const buf = this.#buf;
    const end = this.#containerEnd(at, limit, level);
    const last = end - 1;
    const base = names.size;
    let pos = at + 4;
    while (pos < last) {
      const type = byteAt(buf, pos++);
      const name = pos;
      let hash = HASH_SEED;
      let bits = 0;
      // Ends at the container's zero byte at the latest.
      for (let byte = byteAt(buf, pos); byte !== 0; byte = byteAt(buf, ++pos)) {
        hash = hashByte(hash, byte);
        bits |= byte;
      }
      this.#path.set(level, name, isArray);
      this.#level = level;
      if (pos >= last) this.#fail("the element is cut off", level - 1);
      if (bits >= 0x80 && !isUtf8Range(buf, name, pos))
        this.#fail("a field name is not valid UTF-8", level - 1);
      if (!isArray) names.add(name, hash);
      pos = this.#value(type, pos + 1, last, level);
    }
    this.#level = level;
    if (!isArray) {
      const repeated = names.repeated(buf, base);
      if (repeated !== -1) {
        this.#path.set(level, repeated, false);
        this.#fail("the field name occurs twice in its object; keep one");
      }
      names.size = base;
    }
    return end;
  }

  #containerEnd(at: number, limit: number, level: number): number {
    if (level > MAX_BSON_LEVELS) {
      throw tooDeep("VALUE_TOO_DEEP", this.#field, MAX_BSON_LEVELS, this.#parts(level - 1));
    }
    const size = readInt32(this.#buf, at);
    if (at + 5 > limit || size < 5 || at + size > limit) {
      this.#fail("the length of an object or array does not fit");
    }
    if (this.#buf[at + size - 1] !== 0) this.#fail("an object or array does not end with a zero byte");
    return at + size;
  }

  /** Checks the value at `at`, which must end by `limit`; answers where it ends. */
  #value(type: number, at: number, limit: number, level: number): number {
    switch (type) {
      case BSON.STRING:
      case BSON.CODE:
      case BSON.SYMBOL:
        return this.#text(at, limit);
      case BSON.OBJECT:
      case BSON.ARRAY:
        return this.#container(at, limit, level + 1, type === BSON.ARRAY);
      case BSON.INT32:
        return this.#fixed(at, 4, limit);
      case BSON.DOUBLE:
      case BSON.DATE:
      case BSON.TIMESTAMP:
      case BSON.INT64:
        return this.#fixed(at, 8, limit);
      case BSON.NULL:
      case BSON.UNDEFINED:
      case BSON.MIN_KEY:
      case BSON.MAX_KEY:
        return at;
      case BSON.BOOLEAN:
        if (byteAt(this.#buf, at) > 1) this.#fail("a boolean is neither 0 nor 1");
        return this.#fixed(at, 1, limit);
      case BSON.OBJECT_ID:
        return this.#fixed(at, 12, limit);
      case BSON.DECIMAL128:
        return this.#fixed(at, 16, limit);
      case BSON.BINARY:
        return this.#binary(at, limit);
      case BSON.REGEX:
        return this.#cstring(this.#cstring(at, limit), limit);
      case BSON.DB_POINTER:
        return this.#fixed(this.#text(at, limit), 12, limit);
      case BSON.CODE_WITH_SCOPE:
        return this.#codeWithScope(at, limit, level);
      default:
        return this.#fail(`0x${type.toString(16).padStart(2, "0")} is no BSON type`);
    }
  }

  #fixed(at: number, size: number, limit: number): number {
    if (at + size > limit) this.#fail("the value is cut off");
    return at + size;
  }

  #text(at: number, limit: number): number {
    const size = readInt32(this.#buf, at);
    const start = at + 4;
    const end = start + size;
    if (size < 1 || end > limit) this.#fail("the length of a string does not fit");
    if (this.#buf[end - 1] !== 0) this.#fail("a string does not end with a zero byte");
    if (!isUtf8Range(this.#buf, start, end)) this.#fail("a string is not valid UTF-8");
    return end;
  }

  #cstring(at: number, limit: number): number {
    const end = cstringEnd(this.#buf, at, limit);
    if (end >= limit) this.#fail("a regular expression is cut off");
    if (!isUtf8Range(this.#buf, at, end)) this.#fail("a regular expression is not valid UTF-8");
    return end + 1;
  }

  #binary(at: number, limit: number): number {
    const size = readInt32(this.#buf, at);
    const start = at + 5;
    if (start > limit || size < 0 || start + size > limit)
      this.#fail("the length of binary data does not fit");
    // Subtype 2 holds its length again.
    if (this.#buf[at + 4] === 2 && (size < 4 || readInt32(this.#buf, start) !== size - 4)) {
      this.#fail("the inner length of binary data of subtype 2 is not its length less 4");
    }
    return start + size;
  }

  #codeWithScope(at: number, limit: number, level: number): number {
    const size = readInt32(this.#buf, at);
    const end = at + size;
    if (at + 4 > limit || size < 14 || end > limit) this.#fail("the length of code with scope does not fit");
    const scope = this.#text(at + 4, end);
    if (this.#container(scope, end, level + 1, false) !== end) {
      this.#level = level;
      this.#fail("the length of code with scope is not that of its parts");
    }
    return end;
  }

  #parts(level: number): ReturnType<BsonPath["parts"]> {
    return this.#path.parts(this.#buf, 0, level);
  }

  #fail(problem: string, level = this.#level): never {
    throw invalidAt("VALUE_INVALID", this.#field, level < 0 ? [] : this.#parts(level), problem);
  }
}
