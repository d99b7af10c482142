import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Words whose letters, lower-case forms, borders or order languages might see differently. */
const WORDS = [
  "ΟΔΟΣ Σ ΣΑΣ ΑΣ1 ΣΟΦΟΣ οδοσ", // a sigma at the end of a word
  "İstanbul ISPARTA ıstakoz STRASSE straße ẞ ǅ ﬃ", // one letter that becomes two, and some that stay
  "naïve nai\u0308ve cafe\u0301 e\u0301té", // an accent that is a character of its own
  "snake_case kebab-case don't 3.14 1,000 x² ½ Ⅷ ٣ ৭ 〇 ①", // what is a number, and what is not
  "日本語 漢字 かな カタカナ 한국어 ไทย हिन्दी עברית العربية",
  "𝒜 𝒜 Ａ Ａ 𐐀 𐐀 ﬀ ﬀ 𠮷野家", // beyond 16 bits, where the order of units is not that of characters
  "👩‍👩‍👧 ☃ © — „“ \u00a0non\u2003breaking\u200bzero\ufeffwidth",
];

/** Small real pictures, by file name. */
export const PICTURES = {
  "five-by-four.gif": "R0lGODlhBQAEAIAAAAAAAP///ywAAAAABQAEAAACBISPmQUAOw==",
  "three-by-two.jpg":
    "/9j/2wCEABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQERXRTc4UG1RV19iZ2hnPk1xeXBkeFxlZ2MBERISGBUYLxoaL2NCOEJjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY//AAAsIAAIAAwEBEQD/xADSAAABBQEBAQEBAQAAAAAAAAAAAQIDBAUGBwgJCgsQAAIBAwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAAgBAQAAPwDjdYjSO8jWNFQG2t2woxyYUJP4kk1//9k=",
  "five-by-four.png":
    "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAEAQMAAAB8/WcDAAAABlBMVEUAAAD///+l2Z/dAAAAD0lEQVR4nGKAAkAAAAD//wAIAAGnBdLaAAAAAElFTkSuQmCC",
  "lossless.webp": "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==",
  "lossy.webp": "UklGRiQAAABXRUJQVlA4IBgAAAAwAQCdASoBAAEAAwA0JaQAA3AA/vuUAAA=",
} as const;

/** A WebP of 300 × 200 pixels, in the form that can be animated and transparent, as far as its size is told. */
function extendedWebp(): Buffer {
  const head = Buffer.alloc(30);
  head.write("RIFF", 0);
  head.writeUInt32LE(22, 4);
  head.write("WEBPVP8X", 8);
  head.writeUInt32LE(10, 16);
  head.writeUIntLE(299, 24, 3);
  head.writeUIntLE(199, 27, 3);
  return head;
}

/** Files that several languages could see differently, each with a content of its own. */
export function writeSampleFiles(folder: string): number {
  const files: Record<string, string | Buffer> = {
    "empty.txt": "",
    "words.txt": WORDS.join("\n"),
    "windows.txt": "\ufeffone\r\ntwo\rthree\n\n",
    // Longer than a chunk, so that characters and words are cut.
    "long.txt": `x${"多くの words über längere ΔΡΟΜΟΣ, 𝒜𝒷𝒸 ".repeat(20_000)}`,
    "one-word.txt": "ä".repeat(300_000),
    "no-picture.txt": "BM begins bitmaps, and texts",
    "drawing.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="3" height="4"/>',
    "zeros.bin": Buffer.alloc(1000),
    "latin-1.txt": Buffer.from("na\xefve", "latin1"),
    "cut.txt": Buffer.from("caf\u00e9").subarray(0, -1),
    "surrogate.bin": Buffer.from([0xed, 0xa0, 0x80]),
    "all-bytes.bin": Buffer.from(Array.from({ length: 4096 }, (_, index) => (index * index) % 251)),
    "half-entropy.bin": Buffer.from(Array.from({ length: 16 }, (_, index) => (index === 0 ? 7 : 200))),
    "extended.webp": extendedWebp(),
    "cut.png": Buffer.from(PICTURES["five-by-four.png"], "base64").subarray(0, 20),
  };
  for (const [name, base64] of Object.entries(PICTURES)) files[name] = Buffer.from(base64, "base64");
  for (const [index, word] of WORDS.entries()) files[`words-${index}.txt`] = word;
  mkdirSync(join(folder, "täglich"), { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, "täglich", name), content);
  return Object.keys(files).length;
}
