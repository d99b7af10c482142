import { isUtf8 } from "node:buffer";
import { expect, test } from "vitest";
import { copyText, isUtf8Range } from "../../../src/value/bson-bytes.js";

/** Bytes at and around every bound of UTF-8. */
const BOUNDS = [
  0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec,
].concat([0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff]);

function agree(bytes: Buffer): boolean {
  const text = Buffer.concat([Buffer.from("a"), bytes, Buffer.from("\x80")]);
  const target = Buffer.alloc(bytes.length);
  const valid = isUtf8(bytes);
  return (
    isUtf8Range(text, 1, 1 + bytes.length) === valid &&
    copyText(text, 1, 1 + bytes.length, target, 0) === valid &&
    target.equals(bytes)
  );
}

test("agrees with Node on what is UTF-8, for every sequence of bounds up to four bytes", () => {
  const wrong: string[] = [];
  const extend = (bytes: readonly number[]): void => {
    if (!agree(Buffer.from(bytes))) wrong.push(Buffer.from(bytes).toString("hex"));
    if (bytes.length === 4) return;
    // Behind three bytes of ASCII, a fourth tells nothing new.
    for (const byte of BOUNDS) if (bytes.length < 3 || (bytes[0] ?? 0) >= 0x80) extend([...bytes, byte]);
  };
  extend([]);
  expect(wrong).toEqual([]);
});

test("agrees with Node around the length at which it asks Node", () => {
  for (let length = 40; length < 56; length++) {
    for (const end of ["", "ä", "€", "\u{1f600}"]) {
      const text = Buffer.from(`${"x".repeat(length)}${end}`);
      expect(agree(text)).toBe(true);
      expect(agree(text.subarray(0, -1))).toBe(true);
      expect(agree(Buffer.concat([text, Buffer.from([0xff])]))).toBe(true);
    }
  }
});
