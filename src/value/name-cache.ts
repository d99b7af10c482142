import { byteAt } from "./bson-bytes.js";

/** Names that are kept, a power of two, and how long they may be. */
const SLOTS = 1024;
const MAX_LENGTH = 24;

/** Reads field names, which repeat, without making the same string again and again. */
export class NameCache {
  readonly #slots: string[] = Array.from({ length: SLOTS }, () => "");

  /** The name in a range of UTF-8. */
  read(buf: Buffer, start: number, end: number): string {
    const length = end - start;
    if (length > MAX_LENGTH) return buf.toString("utf8", start, end);
    let hash = length;
    for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + byteAt(buf, at)) | 0;
    const slot = (hash ^ (hash >>> 10)) & (SLOTS - 1);
    const known = this.#slots[slot] ?? "";
    if (isText(known, buf, start, length)) return known;
    const name = buf.toString("utf8", start, end);
    this.#slots[slot] = name;
    return name;
  }
}

/** Whether the bytes are this text; always false where it is not ASCII. */
function isText(text: string, buf: Buffer, start: number, length: number): boolean {
  if (text.length !== length) return false;
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit !== buf[start + i] || unit >= 0x80) return false;
  }
  return true;
}
