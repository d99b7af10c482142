import { expect, test } from "vitest";
import { readLeftOut } from "./left-out.js";

test("nothing is left out unless it is named", () => {
  expect([...readLeftOut({})]).toEqual([]);
  expect([...readLeftOut({ EXECUTION_STORE_TEST_WITHOUT: "" })]).toEqual([]);
  expect([...readLeftOut({ EXECUTION_STORE_TEST_WITHOUT: "mongodb, fiftyone,python,go" })]).toEqual([
    "mongodb",
    "fiftyone",
    "python",
    "go",
  ]);
});

test("an unknown part is refused by its name", () => {
  for (const name of ["mongo", "ruby"]) {
    expect(() => readLeftOut({ EXECUTION_STORE_TEST_WITHOUT: name })).toThrow(
      `EXECUTION_STORE_TEST_WITHOUT has "${name}"; expected some of mongodb, fiftyone, python, go`,
    );
  }
});

test("CI leaves nothing out", () => {
  expect(() => readLeftOut({ EXECUTION_STORE_TEST_WITHOUT: "mongodb", CI: "true" })).toThrow(
    /CI=true does not allow/,
  );
  expect([...readLeftOut({ CI: "true" })]).toEqual([]);
});
