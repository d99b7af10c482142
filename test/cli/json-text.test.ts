import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonToWire } from "../../src/cli/json-to-wire.js";
import { wireToJson } from "../../src/cli/wire-to-json.js";
import { MAX_JSON_LEVELS } from "../../src/store/limits.js";
import { jsonToBson } from "../../src/value/json-to-bson.js";

const through = (text: string, indent = 0): string => wireToJson(jsonToWire(text), indent);

describe("JSON text through the wire's bytes", () => {
  it.each([
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1.5",
    "1e+300",
    "9007199254740991",
    "9007199254740992",
    '""',
    '"é😀\\u0000\\n\\"\\\\"',
    "[]",
    "{}",
    "[[],{}]",
    '{"__proto__":{"a":1},"constructor":2,"":3,"$x":4,"a.b":5}',
    '{"b":1,"10":2,"9":3}',
    '{"$date":"2030-01-01T00:00:00Z"}',
  ])("keeps %s", (text) => {
    expect(through(text)).toBe(text);
  });

  it("keeps whatever JSON can say", () => {
    fc.assert(
      fc.property(fc.json({ stringUnit: "grapheme", maxDepth: 6 }), fc.constantFrom(0, 2), (text, indent) => {
        // Whole numbers that no double holds are refused; another test has them.
        fc.pre(!/\d{17}/.test(text));
        expect(JSON.parse(through(text, indent))).toEqual(JSON.parse(text));
      }),
    );
  });

  it("takes and refuses exactly what JSON.parse does", () => {
    const pieces = [
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      '"',
      '"a"',
      "\\",
      "\\u12",
      "1",
      "-",
      ".",
      "e",
      "0",
      "true",
      "nul",
      " ",
      "\n",
      "\u00a0",
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 8 }), (parts) => {
        const text = parts.join("");
        let parsed: { value: unknown } | undefined;
        try {
          parsed = { value: JSON.parse(text) };
        } catch {
          expect(() => jsonToWire(text)).toThrow(/is no JSON at line \d+, column \d+/);
        }
        if (parsed !== undefined && !/"a"[^]*"a"/.test(text)) {
          expect(JSON.parse(through(text))).toEqual(parsed.value);
        }
      }),
      { numRuns: 5000 },
    );
  });

  it("prints every double so that it is read back as the same one", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const text = through(Object.is(value, -0) ? "-0" : value.toExponential());
        expect(through(text)).toBe(text);
        expect(JSON.parse(text)).toBe(value);
      }),
      { numRuns: 2000 },
    );
    expect(through("18014398509481984")).toBe("1.8014398509481984e+16");
  });

  it("prints objects and lists over several lines, and Extended JSON forms on one", () => {
    expect(through('{"a":[1,{"$oid":"0"}],"b":{},"c":[]}', 2)).toBe(
      '{\n  "a": [\n    1,\n    {"$oid": "0"}\n  ],\n  "b": {},\n  "c": []\n}',
    );
  });

  it.each([
    ["", "line 1, column 1, where the text ends: expected a JSON value"],
    ['{"a" 1}', 'line 1, column 6: expected ":" after the name'],
    ["{a: 1}", "line 1, column 2: expected a name in double quotes"],
    ["[1,\n 2\n 3]", 'line 3, column 2: expected "," or "]"'],
    ["[1,]", 'line 1, column 4: expected a value after ","'],
    ['{"a":1,}', 'line 1, column 8: expected a name in double quotes after ","'],
    ["hello", "line 1, column 1: expected a JSON value (text needs double quotes)"],
    ["'a'", "line 1, column 1: expected a JSON value"],
    ['"abc', "line 1, column 5, where the text ends: expected a closing double quote"],
    ['"a\tb"', "line 1, column 3: expected control characters in a string as escapes"],
    ['"\\x"', "line 1, column 2: expected an escape"],
    ["1 2", "line 1, column 3: expected nothing after the value"],
    ["01", "line 1, column 2: expected nothing after the value"],
    ["-", "line 1, column 1: expected a digit"],
    ["1e999", "line 1, column 1: the number is too large for a double"],
    ["[9007199254740993]", "line 1, column 2: the whole number has more digits than a double holds"],
    ['"\\ud800"', "line 1, column 1: half of a surrogate pair"],
    ["[".repeat(101), "it nests too deep; expected at most 30 levels"],
  ])("says where %j is wrong", (text, expected) => {
    expect(() => jsonToWire(text)).toThrow(expected);
  });

  it("leaves the last level room for every form of Extended JSON", () => {
    const form = '{"$dbPointer":{"$ref":"a","$id":{"$oid":"65f0c0ffee65f0c0ffee65f0"}}}';
    const nested = (levels: number) => "[".repeat(levels) + form + "]".repeat(levels);
    expect(() => jsonToBson(jsonToWire(nested(MAX_JSON_LEVELS)), "value")).not.toThrow();
    expect(() => jsonToBson(jsonToWire(nested(MAX_JSON_LEVELS + 1)), "value")).toThrow(
      `at most ${MAX_JSON_LEVELS} levels`,
    );
  });

  it("never repeats the value in an error", () => {
    expect(() => jsonToWire('{"password": hunter2}')).toThrow(/^(?!.*hunter2)/);
  });

  it("reads a large text quickly enough to be linear", () => {
    const text = JSON.stringify(Array.from({ length: 200_000 }, (_, index) => `value ${index}`));
    expect(through(text)).toBe(text);
  });
});
