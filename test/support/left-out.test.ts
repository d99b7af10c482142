import { expect, test } from "vitest";
import { readLeftOut } from "./left-out.js";

test("nothing is left out unless it is named", () => {
  expect([...readLeftOut({})]).toEqual([]);
  expect([...readLeftOut({ EXECUTION_STORE_TEST_WITHOUT: "" })]).toEqual([]);
  expect([...readLeftOut({ EXECUTION_STORE_TEST_WITHOUT: "mongodb, fiftyone" })]).toEqual([
    "mongodb",
    "fiftyone",
  ]);
});

test("an unknown part is refused by its name", () => {
  expect(() => readLeftOut({ EXECUTION_STORE_TEST_WITHOUT: "mongo" })).toThrow(
    'EXECUTION_STORE_TEST_WITHOUT has "mongo"; expected some of mongodb, fiftyone, python',
  );
});

test("CI leaves nothing out", () => {
  expect(() => readLeftOut({ EXECUTION_STORE_TEST_WITHOUT: "mongodb", CI: "true" })).toThrow(
    /CI=true does not allow/,
  );
  expect([...readLeftOut({ CI: "true" })]).toEqual([]);
});
