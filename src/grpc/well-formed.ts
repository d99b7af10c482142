/** The messages inside a message, by the numbers of their fields; all other fields are leaves. */
export type MessageShape = ReadonlyMap<number, MessageShape>;

const VARINT = 0;
const BIT64 = 1;
const LENGTH_DELIMITED = 2;
const BIT32 = 5;

/**
 * Whether bytes are a message down to its last nested one: every field complete, and inside the message that it is
 * part of. The generated code is laxer: it stops without an error at a zero or at the end of a group, and a nested
 * message that runs beyond its length, or stops before it, shifts what is read after it. Groups, which proto3 does
 * not have, count as malformed.
 */
export function isWellFormed(
  bytes: Uint8Array,
  shape: MessageShape,
  start = 0,
  end: number = bytes.length,
): boolean {
  let position = start;
  while (position < end) {
    const tagEnd = varintEnd(bytes, position, end);
    // Field numbers take at most five bytes with the wire type.
    if (tagEnd < 0 || tagEnd - position > 5) return false;
    const tag = varint32(bytes, position);
    if (tag < 8) return false;
    const next = fieldEnd(bytes, tag & 7, tagEnd, end);
    if (next < 0 || next > end) return false;
    const nested = (tag & 7) === LENGTH_DELIMITED ? shape.get(tag >>> 3) : undefined;
    if (nested !== undefined) {
      const contents = varintEnd(bytes, tagEnd, end);
      if (!isWellFormed(bytes, nested, contents, next)) return false;
    }
    position = next;
  }
  return true;
}

/** The position behind a field's contents, possibly beyond the end; -1 if they are malformed. */
function fieldEnd(bytes: Uint8Array, wireType: number, position: number, end: number): number {
  switch (wireType) {
    case VARINT:
      return varintEnd(bytes, position, end);
    case BIT64:
      return position + 8;
    case LENGTH_DELIMITED: {
      const contents = varintEnd(bytes, position, end);
      return contents < 0 || contents - position > 5 ? -1 : contents + varint32(bytes, position);
    }
    case BIT32:
      return position + 4;
    default:
      return -1;
  }
}

/** The position behind a varint; -1 if it does not end within ten bytes and before the end. */
function varintEnd(bytes: Uint8Array, position: number, end: number): number {
  const limit = Math.min(end, position + 10);
  for (let index = position; index < limit; index += 1) {
    if ((bytes[index] ?? 0) < 0x80) return index + 1;
  }
  return -1;
}

/** The low 32 bits of a complete varint, unsigned. */
function varint32(bytes: Uint8Array, position: number): number {
  let value = 0;
  for (let index = position, shift = 0; shift < 35; index += 1, shift += 7) {
    const byte = bytes[index] ?? 0;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return value >>> 0;
}
