import { StoreError } from "../store/errors.js";
import { MAX_JSON_LEVELS } from "../store/limits.js";
import {
  asBuffer,
  BSON,
  byteAt,
  cstringEnd,
  damaged,
  readInt32,
  VALUE_AT,
  valueEnd,
  viewOf,
} from "./bson-bytes.js";
import { writeExtended } from "./extended-json-out.js";
import { WireWriter } from "./wire-writer.js";

/**
 * Turns a document `{value: …}` into the bytes of a google.protobuf.Value. What JSON has no form for becomes
 * relaxed Extended JSON in its single-key forms, code with scope `{"$code", "$scope"}`. Invalid UTF-8, which only
 * other writers store, becomes U+FFFD.
 *
 * @returns undefined if the value nests deeper than MAX_JSON_LEVELS
 * @throws StoreError INTERNAL if the document is not well-formed
 */
export function bsonToJson(bson: Uint8Array): Uint8Array | undefined {
  return run((out) => {
    const buf = asBuffer(bson);
    const last = documentEnd(buf, 0, buf.length) - 1;
    if (buf.toString("latin1", 5, VALUE_AT) !== "value\0") throw damaged();
    const type = byteAt(buf, 4);
    valueEnd(buf, type, VALUE_AT, last);
    new BsonToJson(buf, out).value(type, VALUE_AT, 0);
  });
}

/**
 * Turns a BSON document into the bytes of a google.protobuf.Struct, by the rules of bsonToJson; the document itself
 * counts as a level.
 *
 * @throws StoreError VALUE_TOO_DEEP_FOR_JSON beyond MAX_JSON_LEVELS, INTERNAL if the document is not well-formed
 */
export function bsonToStruct(bson: Uint8Array): Uint8Array {
  const struct = run((out) => {
    const buf = asBuffer(bson);
    new BsonToJson(buf, out).entries(0, documentEnd(buf, 0, buf.length), 1);
  });
  if (struct !== undefined) return struct;
  throw new StoreError(
    "VALUE_TOO_DEEP_FOR_JSON",
    `the metadata nests deeper than the ${MAX_JSON_LEVELS} levels that JSON carries; another program wrote it, so read it there, or write it flatter`,
  );
}

/** Thrown where a value nests too deep; caught below. */
const TOO_DEEP = new Error("too deep for JSON");

function run(write: (out: WireWriter) => void): Buffer | undefined {
  const out = new WireWriter();
  try {
    write(out);
    return out.take();
  } catch (error) {
    if (error === TOO_DEEP) return undefined;
    throw error;
  } finally {
    marks.reset();
    out.drop();
  }
}

/** The end of the document at `at`, whose length must fit and whose last byte must be zero. */
function documentEnd(buf: Buffer, at: number, limit: number): number {
  const end = at + readInt32(buf, at);
  if (end < at + 5 || end > limit || buf[end - 1] !== 0) throw damaged();
  return end;
}

/** Room that is kept between calls. */
const KEPT = 1 << 15;

/** Offsets of the elements of the containers that the walk is inside of; it writes them last first. */
const marks = {
  list: new Int32Array(KEPT),
  size: 0,
  push(mark: number): void {
    if (this.size === this.list.length) {
      const longer = new Int32Array(this.size * 2);
      longer.set(this.list);
      this.list = longer;
    }
    this.list[this.size++] = mark;
  },
  at(index: number): number {
    return this.list[index] ?? 0;
  },
  reset(): void {
    this.size = 0;
    if (this.list.length > KEPT) this.list = new Int32Array(KEPT);
  },
};

class BsonToJson {
  readonly #buf: Buffer;
  readonly #view: DataView;
  readonly #out: WireWriter;

  constructor(buf: Buffer, out: WireWriter) {
    this.#buf = buf;
    this.#view = viewOf(buf);
    this.#out = out;
  }

  /** Writes the content of the Value for the BSON value at `at`, which is inside of `level` containers. */
  value(type: number, at: number, level: number): void {
    const buf = this.#buf;
    const out = this.#out;
    switch (type) {
      case BSON.STRING:
        out.stringValue(buf, at + 4, at + 3 + readInt32(buf, at));
        break;
      case BSON.INT32:
        out.numberValue(readInt32(buf, at));
        break;
      case BSON.DOUBLE: {
        const number = this.#view.getFloat64(at, true);
        if (Number.isFinite(number)) out.numberValue(number);
        else writeExtended(out, buf, type, at);
        break;
      }
      case BSON.NULL:
        out.nullValue();
        break;
      case BSON.BOOLEAN:
        out.boolValue(buf[at] !== 0);
        break;
      case BSON.OBJECT: {
        const before = out.written;
        this.entries(at, at + readInt32(buf, at), level + 1);
        out.structValue(before);
        break;
      }
      case BSON.ARRAY: {
        const before = out.written;
        this.#elements(at, at + readInt32(buf, at), level + 1);
        out.listValue(before);
        break;
      }
      case BSON.CODE_WITH_SCOPE:
        this.#codeWithScope(at, level);
        break;
      case BSON.DB_POINTER:
        // Its form nests three levels, one more than the other forms may take beyond the limit.
        if (level >= MAX_JSON_LEVELS) throw TOO_DEEP;
        writeExtended(out, buf, type, at);
        break;
      default:
        writeExtended(out, buf, type, at);
    }
  }

  /** Writes the entries of the Struct for the document from `at` to `end`. */
  entries(at: number, end: number, level: number): void {
    if (level > MAX_JSON_LEVELS) throw TOO_DEEP;
    const buf = this.#buf;
    const out = this.#out;
    const base = marks.size;
    const last = end - 1;
    // Each element leaves two marks: where it begins and where its value begins, negative if its name is not ASCII.
    for (let pos = at + 4; pos < last; ) {
      marks.push(pos);
      const type = byteAt(buf, pos++);
      let bits = 0;
      for (let byte = byteAt(buf, pos); byte !== 0; byte = byteAt(buf, ++pos)) bits |= byte;
      marks.push(bits < 0x80 ? ++pos : -++pos);
      pos = valueEnd(buf, type, pos, last);
    }
    for (let i = marks.size - 1; i > base; i -= 2) {
      const mark = marks.at(i);
      const content = Math.abs(mark);
      const start = marks.at(i - 1);
      const before = out.written;
      this.value(byteAt(buf, start), content, level);
      out.entry(before, buf, start + 1, content - 1, mark > 0);
    }
    marks.size = base;
  }

  /** Writes the elements of the ListValue for the array from `at` to `end`; their order counts, not their names. */
  #elements(at: number, end: number, level: number): void {
    if (level > MAX_JSON_LEVELS) throw TOO_DEEP;
    const buf = this.#buf;
    const out = this.#out;
    const base = marks.size;
    const last = end - 1;
    for (let pos = at + 4; pos < last; ) {
      marks.push(pos);
      const type = byteAt(buf, pos);
      pos = cstringEnd(buf, pos + 1, last) + 1;
      marks.push(pos);
      pos = valueEnd(buf, type, pos, last);
    }
    for (let i = marks.size - 1; i > base; i -= 2) {
      const before = out.written;
      this.value(byteAt(buf, marks.at(i - 1)), marks.at(i), level);
      out.element(before);
    }
    marks.size = base;
  }

  /** `{"$code": …, "$scope": {…}}`: an object and the scope inside it. */
  #codeWithScope(at: number, level: number): void {
    if (level + 1 > MAX_JSON_LEVELS) throw TOO_DEEP;
    const buf = this.#buf;
    const out = this.#out;
    const text = at + 8;
    const textEnd = text + readInt32(buf, at + 4) - 1;
    const limit = at + readInt32(buf, at);
    if (textEnd < text || textEnd >= limit) throw damaged();
    const before = out.written;
    this.entries(textEnd + 1, documentEnd(buf, textEnd + 1, limit), level + 2);
    out.structValue(before);
    out.asciiEntry(before, "$scope");
    const beforeCode = out.written;
    out.stringValue(buf, text, textEnd);
    out.asciiEntry(beforeCode, "$code");
    out.structValue(before);
  }
}
