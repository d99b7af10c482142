import { expect, test } from "vitest";
import { PageRun, shownCommands } from "./console-page.js";

test("commands are taken from blocks of console only, with their heading, line and output", () => {
  const page = [
    "# Page",
    "```sh",
    "$ not-this",
    "```",
    "## First",
    "```console",
    "$ one -d '{}' \\",
    "    more",
    "{",
    "",
    "}",
    "$ two '{",
    "  }'",
    "```",
    "text",
  ].join("\n");
  expect(shownCommands(page)).toEqual([
    { heading: "First", line: 7, command: "one -d '{}' \\\n    more", output: "{\n\n}" },
    { heading: "First", line: 12, command: "two '{\n  }'", output: "" },
  ]);
});

function agree(run: PageRun, shown: string, given: string): boolean {
  const words = run.inWordsOfPage(shown, given);
  return words.shown === words.given;
}

function at(field: string, year: number): string {
  return `  "${field}": "${year}-05-01T12:00:00.123Z",`;
}

function ended(code: string, message: string): string {
  return `ERROR:\n  Code: ${code}\n  Message: ${message}`;
}

test("times of the clock may differ, other times and everything else may not", () => {
  const run = new PageRun();
  for (const field of ["createdAt", "updatedAt", "expiresAt", "commitTime"]) {
    expect(agree(run, at(field, 2024), at(field, 2026))).toBe(true);
  }
  expect(agree(run, at("$date", 2024), at("$date", 2026))).toBe(false);
  expect(agree(run, at("createdAt", 2024), `  "createdAt": "soon",`)).toBe(false);
  expect(agree(run, '"count": "3"', '"count": "4"')).toBe(false);
  expect(agree(run, "{}", "{}\n{}")).toBe(false);
  expect(agree(run, "{}\n{}", "{}")).toBe(false);
});

test("an opaque string of the page stands for one of the run, in later commands, too", () => {
  const run = new PageRun();
  expect(agree(run, '"etag": "page-1"', '"etag": "run-1"')).toBe(true);
  expect(agree(run, '"etag": "page-1"', '"etag": "run-1"')).toBe(true);
  expect(agree(run, '"etag": "page-1"', '"etag": "run-2"')).toBe(false);
  expect(agree(run, '"etag": "page-2"', '"etag": "run-1"')).toBe(false);
  expect(agree(run, '"etag": "page-2"', '"resumeToken": "run-2"')).toBe(false);
  expect(run.toRun("delete page-1")).toBe("delete run-1");
});

test("a deadline is told by client or server, in their words only", () => {
  const run = new PageRun();
  const shown = ended("DeadlineExceeded", "context deadline exceeded");
  expect(agree(run, shown, ended("DeadlineExceeded", "Deadline exceeded"))).toBe(true);
  expect(agree(run, shown, ended("DeadlineExceeded", "the database is slow"))).toBe(false);
  expect(agree(run, shown, ended("Cancelled", "Deadline exceeded"))).toBe(false);
});
