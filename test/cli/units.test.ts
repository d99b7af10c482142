import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidValue } from "../../src/config/invalid-value.js";
import { parseDuration, parseSize } from "../../src/config/units.js";

describe("parseDuration", () => {
  it.each([
    ["0s", 0],
    ["1ms", 1],
    ["250ms", 250],
    ["1.5s", 1500],
    ["1.1s", 1100],
    ["4.35s", 4350],
    ["10m", 600_000],
    ["1h30m", 5_400_000],
    ["2d", 172_800_000],
    ["36525d", 3_155_760_000_000],
  ])("reads %s as %d ms", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it("rounds up to a millisecond", () => {
    expect(parseDuration("0.1ms")).toBe(1);
    expect(parseDuration("1.0001s")).toBe(1001);
  });

  it.each(["10", "1.5", "0"])("wants a unit for %s", (text) => {
    expect(() => parseDuration(text)).toThrow(/has no unit; expected a number with a unit/);
  });

  it.each(["", "s", "-1s", "1 s", "1s ", "1,5s", "1s!", "1e3s", ".5s", "1.s", "+1s", "abc", "1h-30m"])(
    "refuses %j",
    (text) => {
      expect(() => parseDuration(text)).toThrow(InvalidValue);
    },
  );

  it.each([
    ["10min", "min"],
    ["1S", "S"],
    ["3y", "y"],
    ["1h30M", "M"],
  ])("names the unknown unit of %s", (text, unit) => {
    expect(() => parseDuration(text)).toThrow(`unknown unit "${unit}"`);
  });

  it("keeps inclusive bounds and says them as they were written", () => {
    const bounds = { least: "1s", most: "1h" };
    expect(parseDuration("1s", bounds)).toBe(1000);
    expect(parseDuration("1h", bounds)).toBe(3_600_000);
    expect(() => parseDuration("999ms", bounds)).toThrow("expected from 1s to 1h");
    expect(() => parseDuration("60m1ms", bounds)).toThrow("expected from 1s to 1h");
  });

  it("reads every whole number of milliseconds exactly", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3_155_760_000_000 }), (ms) => {
        expect(parseDuration(`${ms}ms`)).toBe(ms);
        expect(parseDuration(`${Math.floor(ms / 1000)}.${String(ms % 1000).padStart(3, "0")}s`)).toBe(ms);
      }),
    );
  });
});

describe("parseSize", () => {
  it.each([
    ["1B", 1],
    ["1KB", 1000],
    ["1kB", 1000],
    ["1KiB", 1024],
    ["256MB", 256_000_000],
    ["256MiB", 268_435_456],
    ["1.5GiB", 1_610_612_736],
    ["1TB", 1e12],
    ["0.1B", 1],
  ])("reads %s as %d bytes", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it("wants a unit", () => {
    expect(() => parseSize("256")).toThrow(/has no unit; expected .* such as 256MB/);
  });

  it.each(["", "MB", "-1MB", "1 MB", "1MB1KB", "1XB", "1M"])("refuses %j", (text) => {
    expect(() => parseSize(text)).toThrow(InvalidValue);
  });

  it("keeps inclusive bounds", () => {
    const bounds = { least: "1MB", most: "1TB" };
    expect(parseSize("1MB", bounds)).toBe(1_000_000);
    expect(parseSize("1TB", bounds)).toBe(1e12);
    expect(() => parseSize("999999B", bounds)).toThrow("expected from 1MB to 1TB");
    expect(() => parseSize("1TiB", bounds)).toThrow("expected from 1MB to 1TB");
  });
});
