import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonLine } from "../../src/cli/documents.js";
import { escapeJson, printName } from "../../src/cli/names.js";
import { formatTable } from "../../src/cli/table.js";

describe("printName", () => {
  it.each(["a", "a b", "é", "日本", "a.b/c", "\\n", "'", 'a"b'])("leaves %s as it is", (name) => {
    expect(printName(name)).toBe(name);
  });

  it.each([
    ["a\nb", '"a\\nb"'],
    ["\u001b[31m", '"\\u001b[31m"'],
    ["\u009b31m", '"\\u009b31m"'],
    ["\u007f", '"\\u007f"'],
    ["a\u202eb", '"a\\u202eb"'],
    ["a\u2028b", '"a\\u2028b"'],
    ['"a"', '"\\"a\\""'],
    ["", '""'],
  ])("quotes %j", (name, expected) => {
    expect(printName(name)).toBe(expected);
  });

  it("prints no two names alike, none over several lines, and none that cannot be read back", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 8 }), (name) => {
        const printed = printName(name);
        expect(printed).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
        expect(printed.startsWith('"') ? JSON.parse(printed) : printed).toBe(name);
      }),
    );
  });
});

describe("escapeJson", () => {
  it("changes no meaning", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const escaped = escapeJson(JSON.stringify({ [text]: text }, undefined, 2));
        expect(JSON.parse(escaped)).toEqual({ [text]: text });
        expect(escaped).not.toMatch(/[\u007f-\u009f]/);
      }),
    );
  });
});

describe("formatTable", () => {
  it("aligns columns, also behind wide characters", () => {
    expect(
      formatTable([
        ["KEY", "POLICY"],
        ["a", "persist"],
        ["日本", "evict"],
        ["😀e\u0301", ""],
      ]),
    ).toBe("KEY   POLICY\na     persist\n日本  evict\n😀é".normalize("NFD"));
  });
});

describe("jsonLine", () => {
  it("writes raw members as they are", () => {
    expect(JSON.parse(jsonLine({ a: null, b: "x" }, { value: '{"n":-0}' }))).toEqual({
      a: null,
      b: "x",
      value: { n: -0 },
    });
  });
});
