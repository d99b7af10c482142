import { copyRange, copyText, viewOf } from "./bson-bytes.js";
import { TAG } from "./wire-reader.js";

/** Bytes of the buffer that is kept between calls, and the most that one that grew may have to be kept. */
const FIRST_ROOM = 64 * 1024;
const MAX_KEPT = 4 * 1024 * 1024;
/** Bytes that the lengths and tags around one value can take, a number's 8 bytes included. */
const FRAME = 64;

/** The memory of the last writer, with its view; undefined while a writer has it. */
let spare: { readonly buf: Buffer; readonly view: DataView } | undefined;

/**
 * Writes google.protobuf.Value backward, last byte first: a length is then known when its content is written, and
 * nothing is measured beforehand. What is called first stands last. Use it within one synchronous call, and end it
 * with `take` or `drop`.
 */
export class WireWriter {
  buf: Buffer;
  /** Where the first byte written so far stands. */
  pos: number;
  #view: DataView;

  constructor() {
    this.buf = spare?.buf ?? Buffer.allocUnsafeSlow(FIRST_ROOM);
    this.#view = spare?.view ?? viewOf(this.buf);
    spare = undefined;
    this.pos = this.buf.length;
  }

  /** Bytes written so far; lengths are differences of it. */
  get written(): number {
    return this.buf.length - this.pos;
  }

  /** The content of a Value of null. */
  nullValue(): void {
    this.#room(0);
    this.buf[--this.pos] = 0;
    this.buf[--this.pos] = TAG.NULL;
  }

  boolValue(value: boolean): void {
    this.#room(0);
    this.buf[--this.pos] = value ? 1 : 0;
    this.buf[--this.pos] = TAG.BOOL;
  }

  numberValue(value: number): void {
    this.#room(0);
    this.pos -= 9;
    this.buf[this.pos] = TAG.NUMBER;
    this.#view.setFloat64(this.pos + 1, value, true);
  }

  /** A string from bytes that should be UTF-8; what is none becomes U+FFFD, as readers of protobuf refuse it. */
  stringValue(from: Buffer, start: number, end: number): void {
    const before = this.written;
    this.#utf8(from, start, end);
    this.#head(TAG.STRING, this.written - before);
  }

  /** A string of ASCII, such as the service itself makes. */
  asciiValue(text: string): void {
    this.#ascii(text);
    this.#head(TAG.STRING, text.length);
  }

  /** Closes the ListValue whose values were written since `before`. */
  listValue(before: number): void {
    this.#room(0);
    this.#head(TAG.LIST, this.written - before);
  }

  /** Closes the Struct whose entries were written since `before`. */
  structValue(before: number): void {
    this.#room(0);
    this.#head(TAG.STRUCT, this.written - before);
  }

  /** Closes the element of a list whose Value was written since `before`. */
  element(before: number): void {
    this.#room(0);
    this.#head(TAG.LIST_VALUE, this.written - before);
  }

  /** Closes the entry of a Struct whose Value was written since `before`. `ascii`: the name is known to be. */
  entry(before: number, from: Buffer, nameStart: number, nameEnd: number, ascii: boolean): void {
    this.#room(nameEnd - nameStart);
    this.#head(TAG.ENTRY_VALUE, this.written - before);
    const afterName = this.written;
    if (ascii) this.#copy(from, nameStart, nameEnd);
    else this.#utf8(from, nameStart, nameEnd);
    this.#head(TAG.ENTRY_KEY, this.written - afterName);
    this.#head(TAG.STRUCT_ENTRY, this.written - before);
  }

  /** As `entry`, with a name of ASCII. */
  asciiEntry(before: number, name: string): void {
    this.#room(0);
    this.#head(TAG.ENTRY_VALUE, this.written - before);
    this.#ascii(name);
    this.#head(TAG.ENTRY_KEY, name.length);
    this.#head(TAG.STRUCT_ENTRY, this.written - before);
  }

  /** What was written, in memory of its own. */
  take(): Buffer {
    if (this.buf.length > MAX_KEPT) return this.buf.subarray(this.pos);
    const bytes = Buffer.allocUnsafe(this.written);
    bytes.set(this.buf.subarray(this.pos));
    return bytes;
  }

  /** Gives the memory back; after it the writer must not be used. */
  drop(): void {
    if (this.buf.length <= MAX_KEPT) spare = { buf: this.buf, view: this.#view };
  }

  #room(bytes: number): void {
    const needed = bytes + FRAME;
    if (this.pos < needed) this.#grow(needed);
  }

  #grow(needed: number): void {
    const { buf } = this;
    const grown = Buffer.allocUnsafeSlow(Math.max(buf.length * 2, this.written + needed));
    const pos = grown.length - this.written;
    grown.set(buf.subarray(this.pos), pos);
    this.buf = grown;
    this.#view = viewOf(grown);
    this.pos = pos;
  }

  #head(tag: number, length: number): void {
    const { buf } = this;
    if (length < 0x80) {
      buf[--this.pos] = length;
    } else {
      let size = 2;
      for (let rest = length >>> 14; rest !== 0; rest >>>= 7) size++;
      let at = this.pos - size;
      this.pos = at;
      for (let rest = length; size > 0; size--) {
        buf[at++] = (rest & 0x7f) | (size > 1 ? 0x80 : 0);
        rest >>>= 7;
      }
    }
    buf[--this.pos] = tag;
  }

  #ascii(text: string): void {
    this.#room(text.length);
    this.pos -= text.length;
    if (text.length > FRAME) this.buf.write(text, this.pos, "latin1");
    else for (let i = 0; i < text.length; i++) this.buf[this.pos + i] = text.charCodeAt(i);
  }

  #copy(from: Buffer, start: number, end: number): void {
    this.#room(end - start);
    this.pos -= end - start;
    copyRange(from, start, end, this.buf, this.pos);
  }

  #utf8(from: Buffer, start: number, end: number): void {
    const length = end - start;
    this.#room(length);
    const pos = this.pos - length;
    if (copyText(from, start, end, this.buf, pos)) {
      this.pos = pos;
    } else {
      const mended = Buffer.from(from.toString("utf8", start, end));
      this.#copy(mended, 0, mended.length);
    }
  }
}
