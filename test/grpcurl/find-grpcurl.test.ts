import { expect, test } from "vitest";
import { findGrpcurl } from "./find-grpcurl.js";

test("the grpcurl that the environment names goes before all others", async () => {
  const environment = { EXECUTION_STORE_TEST_GRPCURL: process.execPath, PATH: "" };
  expect(await findGrpcurl(environment)).toBe(process.execPath);
});

test("a name that leads to no program is refused with what to do", async () => {
  const environment = { EXECUTION_STORE_TEST_GRPCURL: "/nowhere/grpcurl" };
  await expect(findGrpcurl(environment)).rejects.toThrow(
    "EXECUTION_STORE_TEST_GRPCURL names /nowhere/grpcurl, which is no program; correct or unset it",
  );
});
