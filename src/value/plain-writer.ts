import { types } from "node:util";
import type { Reason } from "../store/errors.js";
import { asBuffer, BSON } from "./bson-bytes.js";
import { writeBsonClass } from "./bson-classes.js";
import type { BsonWriter } from "./bson-writer.js";
import { DistantDate } from "./distant-date.js";
import { invalidAt, tooDeep } from "./value-error.js";
import type { PathPart } from "./value-path.js";

/** What a PlainWriter's errors say, and how deep it goes. */
export interface PlainRules {
  readonly field: string;
  readonly invalid: Reason;
  readonly tooDeep: Reason;
  readonly maxLevels: number;
}

const INT64_LIMIT = 2n ** 63n;
/** Characters up to which a loop beats the call of a native function. */
const SHORT = 32;
/** Characters beyond which room for the worst case would be a waste. */
const MEASURED = 4096;
/** Half of a surrogate pair: with the flag `u`, whole pairs do not match. */
const LONE_SURROGATE = /[\uD800-\uDFFF]/u;

/** Writes JavaScript values as BSON; see plain.ts for what it takes. */
export class PlainWriter {
  readonly #out: BsonWriter;
  readonly #rules: PlainRules;
  /** Names and indexes down to the place of the walk. */
  readonly #path: PathPart[] = [];
  /** The containers that the walk is inside of. */
  readonly #open: object[] = [];

  constructor(out: BsonWriter, rules: PlainRules) {
    this.#out = out;
    this.#rules = rules;
  }

  /** Writes `{value: …}`. */
  valueDocument(value: unknown): void {
    const out = this.#out;
    const document = out.beginDocument();
    const type = out.beginType();
    this.#cstring("value");
    if (value === undefined) this.fail("undefined is no value; use null, or delete the key");
    this.#write(value, type);
    out.endDocument(document);
  }

  /** Writes a plain object or a Map as a whole document. */
  document(metadata: unknown): void {
    if (typeof metadata === "object" && metadata !== null && isPlain(metadata)) this.#object(metadata);
    else this.fail("expected a plain object or a Map with string keys");
  }

  /** Refuses what the walk has reached. */
  fail(problem: string): never {
    throw invalidAt(this.#rules.invalid, this.#rules.field, this.#path, problem);
  }

  /** Writes a string with its length before and a zero byte after it. */
  string(text: string): void {
    const out = this.#out;
    out.room(roomFor(text) + 5);
    const length = this.#utf8(text, out.pos + 4);
    out.putInt32(out.pos, length + 1);
    out.pos += length + 5;
    out.buf[out.pos - 1] = 0;
  }

  /** Writes an object as part of a class of the `bson` package, such as a code's scope. */
  nested(name: string, value: object): void {
    this.#path.push(name);
    this.#object(value);
    this.#path.pop();
  }

  #write(value: unknown, type: number): void {
    const out = this.#out;
    switch (typeof value) {
      case "string":
        out.setType(type, BSON.STRING);
        this.string(value);
        break;
      case "number":
        out.setType(type, out.number(value));
        break;
      case "boolean":
        out.setType(type, BSON.BOOLEAN);
        out.byte(value ? 1 : 0);
        break;
      case "bigint":
        out.setType(type, BSON.INT64);
        this.#int64(value);
        break;
      case "object":
        if (value === null) out.setType(type, BSON.NULL);
        else this.#writeObject(value, type);
        break;
      case "undefined":
      case "function":
      case "symbol":
        this.fail(`a ${typeof value} cannot be stored; leave it out, or store data instead`);
    }
  }

  #writeObject(value: object, type: number): void {
    const out = this.#out;
    if (Array.isArray(value)) {
      out.setType(type, BSON.ARRAY);
      this.#array(value);
    } else if (isPlain(value)) {
      out.setType(type, BSON.OBJECT);
      this.#object(value);
    } else if (types.isDate(value)) {
      const ms = value.getTime();
      if (Number.isNaN(ms)) this.fail("the Date is invalid; use a valid one or null");
      out.setType(type, BSON.DATE);
      out.int64(BigInt(ms));
    } else if (types.isUint8Array(value)) {
      out.setType(type, BSON.BINARY);
      out.int32(value.length);
      out.byte(0);
      out.copy(asBuffer(value), 0, value.length);
    } else if (value instanceof DistantDate) {
      out.setType(type, BSON.DATE);
      this.#int64(value.milliseconds);
    } else if (types.isRegExp(value)) {
      out.setType(type, BSON.REGEX);
      this.#regExp(value);
    } else {
      out.setType(type, writeBsonClass(value, out, this));
    }
  }

  #int64(value: bigint): void {
    if (value >= INT64_LIMIT || value < -INT64_LIMIT) {
      this.fail("a bigint needs more than 64 bits; use a Decimal128 or a string");
    }
    this.#out.int64(value);
  }

  #array(array: readonly unknown[]): void {
    const out = this.#out;
    const document = this.#enter(array);
    const depth = this.#path.length;
    for (let index = 0; index < array.length; index++) {
      const type = out.beginType();
      out.index(index);
      this.#path[depth] = index;
      // As JSON does.
      this.#write(array[index] ?? null, type);
    }
    this.#leave(document, depth);
  }

  #object(object: object): void {
    const document = this.#enter(object);
    const depth = this.#path.length;
    if (types.isMap(object)) {
      for (const [name, value] of object) {
        if (typeof name !== "string") this.fail("a Map has a key that is no string");
        this.#member(name, value, depth);
      }
    } else {
      const record = object as Readonly<Record<string, unknown>>;
      for (const name of Object.keys(record)) this.#member(name, record[name], depth);
    }
    this.#leave(document, depth);
  }

  #member(name: string, value: unknown, depth: number): void {
    if (value === undefined) return;
    const type = this.#out.beginType();
    this.#path[depth] = name;
    this.#cstring(name);
    this.#write(value, type);
  }

  #enter(container: object): number {
    if (this.#open.includes(container)) this.fail("the object contains itself; break the cycle");
    const level = this.#open.push(container);
    if (level > this.#rules.maxLevels) {
      throw tooDeep(this.#rules.tooDeep, this.#rules.field, this.#rules.maxLevels, this.#path);
    }
    return this.#out.beginDocument();
  }

  #leave(document: number, depth: number): void {
    this.#out.endDocument(document);
    this.#path.length = depth;
    this.#open.pop();
  }

  /** Writes a text that ends with a zero byte and so cannot hold one. */
  #cstring(text: string): void {
    const out = this.#out;
    out.room(roomFor(text) + 1);
    if (text.includes("\0")) {
      this.fail("a field name or regular expression contains a NUL character; remove it");
    }
    out.pos += this.#utf8(text, out.pos);
    out.buf[out.pos++] = 0;
  }

  #regExp(value: RegExp): void {
    if (/[^ims]/.test(value.flags)) {
      this.fail("a RegExp has flags other than i, m and s; use a BSONRegExp, or leave them out");
    }
    this.regex(value.source, value.flags);
  }

  /** Writes a regular expression; BSON wants its options in alphabetical order. */
  regex(pattern: string, options: string): void {
    this.#cstring(pattern);
    this.#cstring(Array.from(options).toSorted().join(""));
  }

  /** Writes text at `at` where there is room; answers its bytes. */
  #utf8(text: string, at: number): number {
    const { buf } = this.#out;
    if (text.length <= SHORT) {
      let bits = 0;
      for (let i = 0; i < text.length; i++) {
        const unit = text.charCodeAt(i);
        bits |= unit;
        buf[at + i] = unit;
      }
      if (bits < 0x80) return text.length;
    }
    const length = buf.write(text, at, "utf8");
    if (length !== text.length) this.#checkText(text);
    return length;
  }

  #checkText(text: string): void {
    if (LONE_SURROGATE.test(text)) {
      this.fail("a string has half of a surrogate pair, which is no Unicode text; mend it, or store bytes");
    }
  }
}

/** Bytes that are enough for a text: UTF-8 takes at most three per unit of UTF-16. A long text is measured. */
function roomFor(text: string): number {
  return text.length > MEASURED ? Buffer.byteLength(text, "utf8") : text.length * 3;
}

/** An object literal, an object without a prototype, or a Map; also one of another realm. */
function isPlain(value: object): boolean {
  if (types.isMap(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null;
}
