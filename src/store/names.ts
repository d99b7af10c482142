import { invalidField, type StoreError } from "./errors.js";
import { MAX_KEY_BYTES, MAX_PREFIX_BYTES, MAX_STORE_NAME_BYTES, STORE_KEY } from "./limits.js";

const DATASET_ID = /^[0-9a-fA-F]{24}$/;

/**
 * What a request does with a name: writes under it, which has limits, or finds what is there (to read, to list or to
 * delete it), which has none, since other writers may have made names that this service would not.
 */
export type NameUse = "write" | "find";

/** The bytes of a string in UTF-8. */
export function utf8Length(text: string): number {
  return Buffer.byteLength(text, "utf8");
}

function isLonger(text: string, maxBytes: number): boolean {
  // A string is at least as long in bytes as in UTF-16 units, and at most three times as long.
  return text.length * 3 > maxBytes && utf8Length(text) > maxBytes;
}

function nameProblem(text: string, maxBytes: number, use: NameUse): string | undefined {
  if (use === "find") return text === "" ? "is empty; expected a name" : undefined;
  if (text === "") return `is empty; expected 1 to ${maxBytes} bytes of UTF-8`;
  if (isLonger(text, maxBytes)) {
    return `is ${utf8Length(text)} bytes long; expected 1 to ${maxBytes} bytes of UTF-8, so shorten it`;
  }
  if (text.includes("\0")) return "contains a NUL character; remove it";
  return undefined;
}

/** Whether a store of this name may be written. */
export function isWritableStoreName(storeName: string): boolean {
  return nameProblem(storeName, MAX_STORE_NAME_BYTES, "write") === undefined;
}

/** Whether a key of this name may be written, were it not reserved. */
export function isWritableKey(key: string): boolean {
  return nameProblem(key, MAX_KEY_BYTES, "write") === undefined;
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
export function checkStoreName(storeName: string, use: NameUse): string {
  const problem = nameProblem(storeName, MAX_STORE_NAME_BYTES, use);
  if (problem !== undefined) throw invalidField("STORE_NAME_INVALID", "store_name", problem);
  return storeName;
}

/** What is wrong with a key, as an error about `field`; undefined if nothing is. */
export function keyError(key: string, field: string, use: NameUse): StoreError | undefined {
  const problem = nameProblem(key, MAX_KEY_BYTES, use);
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

/** Checks a prefix, which may be longer than names that can be written. Throws PREFIX_INVALID. */
export function checkPrefix(prefix: string, field = "prefix"): string {
  if (!isLonger(prefix, MAX_PREFIX_BYTES)) return prefix;
  const problem = `is ${utf8Length(prefix)} bytes long; expected at most ${MAX_PREFIX_BYTES} bytes of UTF-8, so shorten it`;
  throw invalidField("PREFIX_INVALID", field, problem);
}

/** Throws KEY_INVALID or KEY_RESERVED. */
export function checkKey(key: string, field: string, use: NameUse): string {
  const error = keyError(key, field, use);
  if (error !== undefined) throw error;
  return key;
}
