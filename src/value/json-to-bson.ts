import type { Reason } from "../store/errors.js";
import { MAX_JSON_LEVELS, MAX_VALUE_BYTES } from "../store/limits.js";
import { asBuffer, BSON, byteAt, isUtf8Range } from "./bson-bytes.js";
import { BsonWriter } from "./bson-writer.js";
import { formNamed } from "./extended-json.js";
import { HASH_SEED, hashByte, NameList } from "./name-list.js";
import { invalidAt, tooDeep, tooLarge } from "./value-error.js";
import { BsonPath, type PathPart } from "./value-path.js";
import { TAG, WireReader } from "./wire-reader.js";

/**
 * Turns the bytes of a google.protobuf.Value into a document `{value: …}`. Whole numbers up to 2^53 become int32
 * or int64, -0 and all others doubles; the single-key forms of Extended JSON become what they stand for; field
 * names and their order stay.
 *
 * @param field the request's field, for the error
 * @throws StoreError VALUE_INVALID for malformed protobuf, no kind or two, a field name twice or with a NUL,
 *   invalid UTF-8 or a malformed Extended JSON form; VALUE_TOO_DEEP beyond MAX_JSON_LEVELS; VALUE_TOO_LARGE
 */
export function jsonToBson(wire: Uint8Array, field: string): Uint8Array {
  const out = new BsonWriter(MAX_VALUE_BYTES, () => tooLarge(field));
  return run(out, () => {
    const document = out.beginDocument();
    const type = out.beginType();
    out.copy(NAME, 0, NAME.length);
    new JsonToBson(wire, out, field, VALUE_REASONS).value(wire.length, type, 0);
    out.endDocument(document);
  });
}

/**
 * Turns the bytes of a google.protobuf.Struct into a BSON document, by the rules of jsonToBson; the struct itself
 * counts as a level. The caller checks the size.
 *
 * @throws StoreError METADATA_INVALID
 */
export function structToBson(wire: Uint8Array, field: string): Uint8Array {
  const out = new BsonWriter(Number.POSITIVE_INFINITY, () => tooLarge(field));
  return run(out, () => new JsonToBson(wire, out, field, METADATA_REASONS).root(wire.length));
}

const NAME = Buffer.from("value\0");
const VALUE_REASONS: Reasons = { invalid: "VALUE_INVALID", tooDeep: "VALUE_TOO_DEEP" };
const METADATA_REASONS: Reasons = { invalid: "METADATA_INVALID", tooDeep: "METADATA_INVALID" };

interface Reasons {
  readonly invalid: Reason;
  readonly tooDeep: Reason;
}

const names = new NameList();

function run(out: BsonWriter, write: () => void): Uint8Array {
  try {
    write();
    return out.take();
  } finally {
    out.drop();
    names.reset();
  }
}

class JsonToBson {
  readonly #reader: WireReader;
  readonly #out: BsonWriter;
  readonly #path = new BsonPath();
  readonly #field: string;
  readonly #reasons: Reasons;
  /** The level that the walk is on: containers around the place. */
  #level = 0;

  constructor(wire: Uint8Array, out: BsonWriter, field: string, reasons: Reasons) {
    this.#reader = new WireReader(asBuffer(wire), (problem) => this.#fail(problem));
    this.#out = out;
    this.#field = field;
    this.#reasons = reasons;
  }

  /** Writes the Struct that reaches to `limit` as a whole document. */
  root(limit: number): void {
    this.#object(limit, -1, 1);
  }

  /** Writes the content of the Value that reaches to `limit`, and its type at `type`. */
  value(limit: number, type: number, level: number): void {
    const reader = this.#reader;
    const out = this.#out;
    const { wire, pos } = reader;
    // The two commonest forms that a Value takes: a number, or a short string, and nothing else.
    if (wire[pos] === TAG.NUMBER && pos + 9 === limit) {
      out.setType(type, out.number(reader.double(pos + 1)));
      reader.pos = limit;
    } else if (wire[pos] === TAG.STRING && wire[pos + 1] === limit - pos - 2 && limit - pos < 0x82) {
      this.#string(pos + 2, limit, type);
      reader.pos = limit;
    } else {
      this.#anyValue(limit, type, level);
    }
  }

  #anyValue(limit: number, type: number, level: number): void {
    const reader = this.#reader;
    const out = this.#out;
    reader.value(limit);
    const { kind, start, end } = reader;
    switch (kind) {
      case TAG.NUMBER:
        out.setType(type, out.number(reader.double(start)));
        break;
      case TAG.STRING:
        this.#string(start, end, type);
        break;
      case TAG.BOOL:
        out.setType(type, BSON.BOOLEAN);
        out.byte(start);
        break;
      case TAG.NULL:
        out.setType(type, BSON.NULL);
        break;
      default:
        reader.pos = start;
        if (kind === TAG.STRUCT) this.#object(end, type, level + 1);
        else this.#array(end, type, level + 1);
        reader.pos = limit;
    }
  }

  #string(start: number, end: number, type: number): void {
    this.#out.setType(type, BSON.STRING);
    if (!this.#out.text(this.#reader.wire, start, end)) this.#reader.badText();
  }

  #array(limit: number, type: number, level: number): void {
    const reader = this.#reader;
    const out = this.#out;
    this.#enter(level);
    out.setType(type, BSON.ARRAY);
    const document = out.beginDocument();
    let index = 0;
    for (let end = reader.next(TAG.LIST_VALUE, limit); end !== -1; end = reader.next(TAG.LIST_VALUE, limit)) {
      const elementType = out.beginType();
      this.#path.set(level, out.pos, true);
      this.#level = level;
      out.index(index++);
      this.value(end, elementType, level);
    }
    this.#level = level - 1;
    out.endDocument(document);
  }

  /** Writes an object, or what it stands for if it is a form of Extended JSON; at the root (type -1) it is data. */
  #object(limit: number, type: number, level: number): void {
    const reader = this.#reader;
    const out = this.#out;
    const document = out.beginDocument();
    const base = names.size;
    let first = true;
    for (
      let end = reader.next(TAG.STRUCT_ENTRY, limit);
      end !== -1;
      end = reader.next(TAG.STRUCT_ENTRY, limit)
    ) {
      reader.entry(end);
      const { valueStart, valueEnd } = reader;
      if (first) {
        if (type !== -1 && this.#form(end, limit, type, document)) return;
        this.#enter(level);
        first = false;
      }
      const elementType = out.beginType();
      this.#path.set(level, out.pos, false);
      this.#level = level;
      this.#name(reader.keyStart, reader.keyEnd);
      reader.pos = valueStart;
      this.value(valueEnd, elementType, level);
      reader.pos = end;
    }
    if (first) this.#enter(level);
    const repeated = names.repeated(out.buf, base);
    if (repeated !== -1) {
      this.#path.set(level, repeated, false);
      this.#level = level;
      this.#fail("the field name occurs twice in its object; keep one");
    }
    names.size = base;
    this.#level = level - 1;
    out.endDocument(document);
    if (type !== -1) out.setType(type, BSON.OBJECT);
  }

  /**
   * Writes the value that the entry just read stands for, if it is the only one (it ends at `end`, the object at
   * `limit`) and its name is that of a form.
   */
  #form(end: number, limit: number, type: number, document: number): boolean {
    const reader = this.#reader;
    const { keyStart, keyEnd, valueStart, valueEnd } = reader;
    if (keyEnd - keyStart < 2 || byteAt(reader.wire, keyStart) !== 0x24) return false;
    const form = formNamed(reader.wire.toString("latin1", keyStart, keyEnd));
    if (form === undefined) return false;
    reader.pos = end;
    if (reader.next(TAG.STRUCT_ENTRY, limit) !== -1) {
      // More than one field: data. Its first entry is read again for the caller.
      reader.pos = end;
      return false;
    }
    this.#out.pos = document;
    reader.pos = valueStart;
    reader.value(valueEnd);
    this.#out.setType(type, form(reader, this.#out));
    reader.pos = limit;
    return true;
  }

  /** Writes a field's name and notes it. */
  #name(start: number, end: number): void {
    const out = this.#out;
    const { wire } = this.#reader;
    const name = out.pos;
    out.room(end - start + 1);
    const { buf } = out;
    let hash = HASH_SEED;
    let bits = 0;
    let at = name;
    for (let from = start; from < end; from++) {
      const byte = byteAt(wire, from);
      if (byte === 0) this.#fail("a field name contains a NUL character; remove it", this.#level - 1);
      hash = hashByte(hash, byte);
      bits |= byte;
      buf[at++] = byte;
    }
    buf[at++] = 0;
    out.pos = at;
    if (bits >= 0x80 && !isUtf8Range(wire, start, end))
      this.#fail("a field name is not valid UTF-8", this.#level - 1);
    names.add(name, hash);
  }

  #enter(level: number): void {
    if (level > MAX_JSON_LEVELS) {
      throw tooDeep(this.#reasons.tooDeep, this.#field, MAX_JSON_LEVELS, this.#parts());
    }
  }

  #parts(level = this.#level): PathPart[] {
    return this.#path.parts(this.#out.buf, 1, level);
  }

  #fail(problem: string, level = this.#level): never {
    throw invalidAt(this.#reasons.invalid, this.#field, this.#parts(level), problem);
  }
}
