import { expect } from "vitest";
import { isStoreError, type StoreError } from "../../../src/store/errors.js";

/** The StoreError that `run` throws; anything else fails the test. */
export function errorOf(run: () => unknown): StoreError {
  try {
    run();
  } catch (error) {
    if (isStoreError(error)) return error;
    throw error;
  }
  return expect.fail("no error was thrown");
}

/** Runs what may throw a StoreError and nothing else. */
export function onlyStoreErrors(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (!isStoreError(error)) throw error;
  }
}
