import { invalidField, type StoreError } from "./errors.js";
import { MAX_KEY_BYTES, MAX_STORE_NAME_BYTES, STORE_KEY } from "./limits.js";

const DATASET_ID = /^[0-9a-fA-F]{24}$/;

/** The bytes of a string in UTF-8. */
export function utf8Length(text: string): number {
  return Buffer.byteLength(text, "utf8");
}

function nameProblem(text: string, maxBytes: number): string | undefined {
  if (text === "") return `is empty; expected 1 to ${maxBytes} bytes of UTF-8`;
  // A string is at least as long in bytes as in UTF-16 units, and at most three times as long.
  if (text.length * 3 > maxBytes && utf8Length(text) > maxBytes) {
    return `is ${utf8Length(text)} bytes long; expected 1 to ${maxBytes} bytes of UTF-8, so shorten it`;
  }
  if (text.includes("\0")) return "contains a NUL character; remove it";
  return undefined;
}

/** Checks a context and takes it in lower case. Throws DATASET_ID_INVALID. */
export function checkDatasetId(datasetId: string): string {
  if (datasetId === "") return datasetId;
  if (!DATASET_ID.test(datasetId)) {
    throw invalidField(
      "DATASET_ID_INVALID",
      "dataset_id",
      "is not an ObjectId; expected 24 hex digits, or leave it empty for stores tied to no dataset",
    );
  }
  return datasetId.toLowerCase();
}

/** Throws STORE_NAME_INVALID. */
export function checkStoreName(storeName: string): string {
  const problem = nameProblem(storeName, MAX_STORE_NAME_BYTES);
  if (problem !== undefined) throw invalidField("STORE_NAME_INVALID", "store_name", problem);
  return storeName;
}

/** What is wrong with a key, as an error about `field`; undefined if nothing is. */
export function keyError(key: string, field: string): StoreError | undefined {
  const problem = nameProblem(key, MAX_KEY_BYTES);
  if (problem !== undefined) return invalidField("KEY_INVALID", field, problem);
  if (key === STORE_KEY) {
    return invalidField(
      "KEY_RESERVED",
      field,
      `is ${JSON.stringify(STORE_KEY)}, which marks store documents; choose another key, or use CreateStore and GetStore for metadata`,
    );
  }
  return undefined;
}

/** Throws KEY_INVALID or KEY_RESERVED. */
export function checkKey(key: string, field = "key"): string {
  const error = keyError(key, field);
  if (error !== undefined) throw error;
  return key;
}

/** Checks a prefix of names of at most `maxBytes`. Throws PREFIX_INVALID. */
export function checkPrefix(prefix: string, maxBytes: number, field = "prefix"): string {
  const problem = prefix === "" ? undefined : nameProblem(prefix, maxBytes);
  if (problem !== undefined) throw invalidField("PREFIX_INVALID", field, problem);
  return prefix;
}
