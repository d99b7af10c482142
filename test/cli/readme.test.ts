import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ExecutionStore } from "execution-store";
import { expect, test } from "vitest";
import { EXIT_CODES } from "../../src/cli/exit-codes.js";
import { variableOf } from "../../src/config/options.js";
import { SERVE_OPTIONS } from "../../src/config.js";

const ROOT = join(import.meta.dirname, "../..");
const README = readFileSync(join(ROOT, "README.md"), "utf8");
const TYPESCRIPT_PAGE = readFileSync(join(ROOT, "docs/typescript.md"), "utf8");
const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  scripts: Record<string, string>;
};

test.each(Object.values(SERVE_OPTIONS))(
  "the README's table has the option $name with its default",
  (option) => {
    const fallback = option.fallback?.join(",") || "none";
    const shown = fallback === "none" ? "none" : `\`${fallback}\``;
    expect(README).toContain(`| \`--${option.name}\` | \`${variableOf(option)}\` | ${shown} |`);
  },
);

test("the README's table of exit codes is complete", () => {
  for (const code of Object.values(EXIT_CODES)) expect(README).toMatch(new RegExp(`^\\| ${code} \\|`, "m"));
});

test("the page on TypeScript names every method of ExecutionStore", () => {
  const methods = Object.getOwnPropertyNames(ExecutionStore.prototype).filter(
    (name) => !["constructor", "datasetId", "close"].includes(name),
  );
  expect(methods).toContain("setIfAbsent");
  for (const method of methods) {
    expect(TYPESCRIPT_PAGE).toMatch(new RegExp(`\`[^\`]*\\b${method}\\b`));
  }
});

test("the README names no script that is not there", () => {
  const named = Array.from(README.matchAll(/npm run ([a-z:]+)/g), ([, name]) => name);
  expect(named).toContain("example");
  for (const name of named) expect(scripts).toHaveProperty([name ?? ""]);
});
