import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { REASONS } from "../../src/store/errors.js";

const DOCUMENT = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
/** A row about a reason: its name, its status, when it comes, and what to do. */
const ROW = /^\| `([A-Z_]+)` \| ([A-Z_]+) \| ([^|]+) \| ([^|]+) \|$/gm;

test("docs/errors.md lists every reason once, with its status, its cause and a remedy", () => {
  const rows = Array.from(DOCUMENT.matchAll(ROW), ([, reason, kind]) => `${reason} ${kind}`);
  const reasons = Object.entries(REASONS).map(([reason, kind]) => `${reason} ${kind}`);
  expect(rows.toSorted()).toEqual(reasons.toSorted());
});
