import { expect, test } from "vitest";
import { NameCache } from "../../../src/value/name-cache.js";

test("never takes one name for another, whatever shares its place", () => {
  const cache = new NameCache();
  for (let i = 0; i < 30_000; i++) {
    const name = Buffer.from(`ä${i}`);
    // A name whose characters are the bytes of the other one.
    const lookalike = name.toString("latin1");
    const bytes = Buffer.from(lookalike);
    expect(cache.read(bytes, 0, bytes.length)).toBe(lookalike);
    expect(cache.read(name, 0, name.length)).toBe(`ä${i}`);
    expect(cache.read(name, 0, name.length)).toBe(`ä${i}`);
  }
});

test("reads a range", () => {
  const cache = new NameCache();
  expect(cache.read(Buffer.from("xnamey"), 1, 5)).toBe("name");
  expect(cache.read(Buffer.from("xnamey"), 1, 5)).toBe("name");
  expect(cache.read(Buffer.from("xnamey"), 1, 1)).toBe("");
});
