/** Bytes of a whole number from 0 to 2^53 as a varint; a negative one takes ten. */
export function varintSize(value: number): number {
  if (value < 0) return 10;
  if (value < 0x80) return 1;
  let size = 1;
  for (let rest = Math.floor(value / 0x80); rest > 0; rest = Math.floor(rest / 0x80)) size += 1;
  return size;
}

/** Bytes of a string in UTF-8. */
function utf8Size(text: string): number {
  const { length } = text;
  // For short strings, nearly all of them ASCII, this is quicker than the call into the runtime.
  if (length > 64) return Buffer.byteLength(text, "utf8");
  for (let index = 0; index < length; index += 1) {
    if (text.charCodeAt(index) > 0x7f) return Buffer.byteLength(text, "utf8");
  }
  return length;
}

/** Bytes of a field with a tag of one byte, a length and `length` bytes. */
export function bytesFieldSize(length: number): number {
  return 1 + varintSize(length) + length;
}

/** Bytes of a string field with a tag of one byte; none where it is empty, as proto3 leaves those out. */
export function stringFieldSize(text: string): number {
  return text === "" ? 0 : bytesFieldSize(utf8Size(text));
}

/** Bytes of an element of a repeated string field: written even where it is empty. */
export function stringItemSize(text: string): number {
  return bytesFieldSize(utf8Size(text));
}

/**
 * Writes protobuf into one buffer of exactly the size given, which the caller has summed up before: lengths stand
 * before what they measure, and so nothing is copied or grown. Tags are of one byte (fields 1 to 15).
 */
export class MessageWriter {
  readonly #bytes: Buffer;
  #position = 0;

  constructor(size: number) {
    this.#bytes = Buffer.allocUnsafe(size);
  }

  /** The finished message. Throws if the sum was wrong: the buffer would hold bytes of something else. */
  finish(): Uint8Array {
    if (this.#position !== this.#bytes.length) {
      throw new RangeError(`wrote ${this.#position} bytes where ${this.#bytes.length} were announced`);
    }
    return this.#bytes;
  }

  /** A whole number, at most 2^53 in size. */
  varint(value: number): this {
    const bytes = this.#bytes;
    let rest = value;
    if (rest < 0) {
      // Two's complement in 64 bits; rare (times before 1970), so the slow way is good enough.
      let wide = BigInt.asUintN(64, BigInt(value));
      for (; wide > 0x7fn; wide >>= 7n) bytes[this.#position++] = Number(wide & 0x7fn) | 0x80;
      bytes[this.#position++] = Number(wide);
      return this;
    }
    for (; rest > 0x7fffffff; rest = Math.floor(rest / 0x80)) bytes[this.#position++] = (rest % 0x80) | 0x80;
    for (; rest > 0x7f; rest >>>= 7) bytes[this.#position++] = (rest & 0x7f) | 0x80;
    bytes[this.#position++] = rest;
    return this;
  }

  /** A tag or any other single byte. */
  byte(value: number): this {
    this.#bytes[this.#position++] = value;
    return this;
  }

  /** The head of a nested message of `length` bytes, which the caller writes next. */
  message(tag: number, length: number): this {
    return this.byte(tag).varint(length);
  }

  bytesField(tag: number, value: Uint8Array): this {
    return this.message(tag, value.length).raw(value);
  }

  /** Bytes that are encoded already, with their tag. */
  raw(bytes: Uint8Array): this {
    this.#bytes.set(bytes, this.#position);
    this.#position += bytes.length;
    return this;
  }

  /** Leaves out an empty string. */
  stringField(tag: number, text: string): this {
    return text === "" ? this : this.stringItem(tag, text);
  }

  stringItem(tag: number, text: string): this {
    const { length } = text;
    this.byte(tag);
    if (length <= 64 && this.#ascii(text)) return this;
    this.varint(Buffer.byteLength(text, "utf8"));
    this.#position += this.#bytes.write(text, this.#position, "utf8");
    return this;
  }

  /** Writes a short string with its length if it is ASCII. */
  #ascii(text: string): boolean {
    const bytes = this.#bytes;
    const { length } = text;
    const start = this.#position + 1;
    for (let index = 0; index < length; index += 1) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) return false;
      bytes[start + index] = code;
    }
    bytes[this.#position] = length;
    this.#position = start + length;
    return true;
  }
}
