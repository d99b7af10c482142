import { byteAt, isUtf8Range, viewOf } from "./bson-bytes.js";

/** The tags (field number and wire type) of google.protobuf.Value, Struct, its entries and ListValue. */
export const TAG = {
  NULL: 0x08,
  NUMBER: 0x11,
  STRING: 0x1a,
  BOOL: 0x20,
  STRUCT: 0x2a,
  LIST: 0x32,
  STRUCT_ENTRY: 0x0a,
  ENTRY_KEY: 0x0a,
  ENTRY_VALUE: 0x12,
  LIST_VALUE: 0x0a,
} as const;

const GROUP_START = 3;
const GROUP_END = 4;
const MAX_GROUP_DEPTH = 100;

/**
 * Reads google.protobuf.Value and its parts from the wire without building anything: a read leaves offsets into
 * `wire` in the fields below. Unknown fields are skipped; what is malformed goes to `fail`.
 */
export class WireReader {
  /** Where the next read begins. */
  pos = 0;
  /** After `value`: the tag of the kind that the Value holds. */
  kind = 0;
  /** After `value`: where its content begins; for BOOL the value itself, 0 or 1. */
  start = 0;
  /** After `value`: where its content ends. */
  end = 0;
  keyStart = 0;
  keyEnd = 0;
  /** After `entry`: where the content of the entry's Value begins and ends. */
  valueStart = 0;
  valueEnd = 0;

  readonly #view: DataView;

  constructor(
    readonly wire: Buffer,
    /** Throws an error about the place that the walk has reached. */
    readonly fail: (problem: string) => never,
  ) {
    this.#view = viewOf(wire);
  }

  /** The double at `at`. */
  double(at: number): number {
    return this.#view.getFloat64(at, true);
  }

  /** Reads the content of a Value, which reaches from `pos` to `limit`. */
  value(limit: number): void {
    let kind = 0;
    let start = 0;
    let end = 0;
    while (this.pos < limit) {
      const tag = this.varint(limit);
      if (tag === TAG.STRING || tag === TAG.STRUCT || tag === TAG.LIST) {
        const length = this.varint(limit);
        start = this.pos;
        end = this.#advance(length, limit);
      } else if (tag === TAG.NUMBER) {
        start = this.pos;
        end = this.#advance(8, limit);
      } else if (tag === TAG.NULL || tag === TAG.BOOL) {
        start = this.#truth(limit);
      } else {
        this.skip(tag, limit);
        continue;
      }
      if (kind !== 0) this.fail("a google.protobuf.Value holds more than one kind; set exactly one");
      kind = tag;
    }
    if (kind === 0) {
      this.fail("a google.protobuf.Value holds no kind; set exactly one, null_value for null");
    }
    this.kind = kind;
    this.start = start;
    this.end = end;
  }

  /** Goes to the next field with this tag of type length-delimited; answers where it ends, or -1 if there is none. */
  next(wanted: number, limit: number): number {
    while (this.pos < limit) {
      const tag = this.varint(limit);
      if (tag === wanted) {
        const length = this.varint(limit);
        const end = this.pos + length;
        if (end > limit) this.#cutOff();
        return end;
      }
      this.skip(tag, limit);
    }
    return -1;
  }

  /** Reads an entry of a Struct, which reaches from `pos` to `limit`. A missing key is an empty one. */
  entry(limit: number): void {
    const { wire, pos } = this;
    const keyLength = byteAt(wire, pos + 1);
    const value = pos + 2 + keyLength;
    // The commonest form: a short key, then a short value, and nothing else.
    if (
      wire[pos] === TAG.ENTRY_KEY &&
      keyLength < 0x80 &&
      wire[value] === TAG.ENTRY_VALUE &&
      wire[value + 1] === limit - value - 2 &&
      limit - value < 0x82
    ) {
      this.keyStart = pos + 2;
      this.keyEnd = value;
      this.valueStart = value + 2;
      this.valueEnd = limit;
      this.pos = limit;
    } else {
      this.#anyEntry(limit);
    }
  }

  #anyEntry(limit: number): void {
    let keyStart = 0;
    let keyEnd = 0;
    let valueStart = -1;
    let valueEnd = 0;
    while (this.pos < limit) {
      const tag = this.varint(limit);
      if (tag === TAG.ENTRY_KEY) {
        const length = this.varint(limit);
        keyStart = this.pos;
        keyEnd = this.#advance(length, limit);
      } else if (tag === TAG.ENTRY_VALUE) {
        if (valueStart !== -1) this.fail("an entry of a google.protobuf.Struct holds two values");
        const length = this.varint(limit);
        valueStart = this.pos;
        valueEnd = this.#advance(length, limit);
      } else {
        this.skip(tag, limit);
      }
    }
    if (valueStart === -1) this.fail("an entry of a google.protobuf.Struct holds no value");
    this.keyStart = keyStart;
    this.keyEnd = keyEnd;
    this.valueStart = valueStart;
    this.valueEnd = valueEnd;
  }

  /** A varint of at most 32 bits: a tag or a length. */
  varint(limit: number): number {
    if (this.pos >= limit) this.#cutOff();
    let byte = byteAt(this.wire, this.pos++);
    if (byte < 0x80) return byte;
    let result = byte & 0x7f;
    for (let shift = 7; shift < 35; shift += 7) {
      if (this.pos >= limit) this.#cutOff();
      byte = byteAt(this.wire, this.pos++);
      result |= (byte & 0x7f) << shift;
      // The fifth byte has room for four bits.
      if (byte < 0x80 && (shift < 28 || byte < 0x10)) return result >>> 0;
    }
    return this.fail("the protobuf message is malformed: a tag or a length is too long");
  }

  /** Refuses a string that is not valid UTF-8. */
  checkText(start: number, end: number): void {
    if (!isUtf8Range(this.wire, start, end)) this.badText();
  }

  badText(): never {
    return this.fail("a string is not valid UTF-8");
  }

  /** Skips the content of an unknown field. */
  skip(tag: number, limit: number): void {
    let depth = 0;
    let current = tag;
    const open: number[] = [];
    for (;;) {
      const field = Math.floor(current / 8);
      if (field === 0) this.#malformed();
      switch (current & 7) {
        case 0:
          this.#truth(limit);
          break;
        case 1:
          this.#advance(8, limit);
          break;
        case 2:
          this.#advance(this.varint(limit), limit);
          break;
        case GROUP_START:
          if (depth === MAX_GROUP_DEPTH) this.#malformed();
          open[depth++] = field;
          break;
        case GROUP_END:
          if (depth === 0 || open[--depth] !== field) this.#malformed();
          break;
        case 5:
          this.#advance(4, limit);
          break;
        default:
          this.#malformed();
      }
      if (depth === 0) return;
      current = this.varint(limit);
    }
  }

  /** Reads a varint of up to 64 bits: 1 if it is not 0. */
  #truth(limit: number): number {
    let bits = 0;
    for (let i = 0; i < 10; i++) {
      if (this.pos >= limit) this.#cutOff();
      const byte = byteAt(this.wire, this.pos++);
      bits |= byte & 0x7f;
      if (byte < 0x80) return bits === 0 ? 0 : 1;
    }
    return this.#malformed();
  }

  #advance(length: number, limit: number): number {
    const end = this.pos + length;
    if (end > limit) this.#cutOff();
    this.pos = end;
    return end;
  }

  #cutOff(): never {
    return this.fail("the protobuf message is malformed: it is cut off");
  }

  #malformed(): never {
    return this.fail("the protobuf message is malformed");
  }
}
