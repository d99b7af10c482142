import { BSON, copyRange, copyText, MAX_EXACT_INTEGER, viewOf } from "./bson-bytes.js";

/** Bytes of the buffer that is kept between calls, and the most that one that grew may have to be kept. */
const FIRST_ROOM = 64 * 1024;
const MAX_KEPT = 4 * 1024 * 1024;
/** The largest int32. */
const MAX_INT32 = 0x7fffffff;

/** The memory of the last writer, with its view; undefined while a writer has it. */
let spare: { readonly buf: Buffer; readonly view: DataView } | undefined;

/**
 * Writes BSON forward into memory that grows. `room` comes before every write. Use it within one synchronous
 * call, and end it with `take` or `drop`.
 */
export class BsonWriter {
  buf: Buffer;
  pos = 0;
  #view: DataView;

  constructor(
    /** The most bytes that the document may have. */
    readonly maxBytes: number,
    /** The error for a document over it. */
    readonly tooLarge: () => Error,
  ) {
    this.buf = spare?.buf ?? Buffer.allocUnsafeSlow(FIRST_ROOM);
    this.#view = spare?.view ?? viewOf(this.buf);
    spare = undefined;
  }

  /** Makes room for so many bytes more; exact if they are many. */
  room(bytes: number): void {
    if (this.pos + bytes > this.buf.length) this.#grow(bytes);
  }

  #grow(bytes: number): void {
    if (this.pos > this.maxBytes || bytes > this.maxBytes) throw this.tooLarge();
    const grown = Buffer.allocUnsafeSlow(Math.max(this.buf.length * 2, this.pos + bytes));
    grown.set(this.buf.subarray(0, this.pos));
    this.buf = grown;
    this.#view = viewOf(grown);
  }

  /** Begins a document; answers what `endDocument` needs. */
  beginDocument(): number {
    this.room(8);
    const start = this.pos;
    this.pos += 4;
    return start;
  }

  endDocument(start: number): void {
    this.room(1);
    this.buf[this.pos++] = 0;
    this.putInt32(start, this.pos - start);
  }

  /** Leaves the place for a type byte, which is known later; answers where it is. */
  beginType(): number {
    this.room(1);
    return this.pos++;
  }

  setType(at: number, type: number): void {
    this.buf[at] = type;
  }

  /** The name of an array's element. */
  index(index: number): void {
    this.room(12);
    const { buf } = this;
    let digits = 1;
    for (let power = 10; power <= index; power *= 10) digits++;
    let at = this.pos + digits;
    buf[at] = 0;
    this.pos = at + 1;
    let rest = index;
    for (; digits > 0; digits--) {
      const tenth = (rest / 10) | 0;
      buf[--at] = 0x30 + (rest - tenth * 10);
      rest = tenth;
    }
  }

  /** Bytes from elsewhere. */
  copy(from: Buffer, start: number, end: number): void {
    this.room(end - start);
    copyRange(from, start, end, this.buf, this.pos);
    this.pos += end - start;
  }

  byte(byte: number): void {
    this.room(1);
    this.buf[this.pos++] = byte;
  }

  /** A string with its length before and a zero byte after it; answers whether it is valid UTF-8. */
  text(from: Buffer, start: number, end: number): boolean {
    const length = end - start;
    this.room(length + 5);
    const { pos } = this;
    this.putInt32(pos, length + 1);
    const valid = copyText(from, start, end, this.buf, pos + 4);
    this.pos = pos + length + 5;
    this.buf[this.pos - 1] = 0;
    return valid;
  }

  int32(value: number): void {
    this.room(4);
    this.putInt32(this.pos, value);
    this.pos += 4;
  }

  int64(value: bigint): void {
    this.room(8);
    this.#view.setBigInt64(this.pos, value, true);
    this.pos += 8;
  }

  double(value: number): void {
    this.room(8);
    this.#view.setFloat64(this.pos, value, true);
    this.pos += 8;
  }

  /** A number in the type that keeps it: int32 or int64 for whole ones up to 2^53, else double. Answers the type. */
  number(value: number): number {
    if (value === (value | 0) && !Object.is(value, -0)) {
      this.int32(value);
      return BSON.INT32;
    }
    if (Math.abs(value) <= MAX_EXACT_INTEGER && value !== 0 && value === Math.trunc(value)) {
      this.room(8);
      const low = value >>> 0;
      this.putInt32(this.pos, low);
      this.putInt32(this.pos + 4, (value - low) / (MAX_INT32 * 2 + 2));
      this.pos += 8;
      return BSON.INT64;
    }
    this.double(value);
    return BSON.DOUBLE;
  }

  putInt32(at: number, value: number): void {
    this.#view.setInt32(at, value, true);
  }

  /** The document, in memory of its own. Throws if it is over the limit. */
  take(): Buffer {
    if (this.pos > this.maxBytes) throw this.tooLarge();
    if (this.buf.length > MAX_KEPT) return this.buf.subarray(0, this.pos);
    const document = Buffer.allocUnsafe(this.pos);
    document.set(this.buf.subarray(0, this.pos));
    return document;
  }

  /** Gives the memory back; after it the writer must not be used. */
  drop(): void {
    if (this.buf.length <= MAX_KEPT) spare = { buf: this.buf, view: this.#view };
  }
}
