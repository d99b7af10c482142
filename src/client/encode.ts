import { KeyPolicy, ValueEncoding as WireEncoding } from "../../gen/ts/execution_store/v1/execution_store.js";
import type { Duration } from "../../gen/ts/google/protobuf/duration.js";
import type { Policy } from "../store/document.js";
import { expectedAndValueTooLarge, invalidField, type Reason } from "../store/errors.js";
import { MAX_TTL_MS, MAX_VALUE_BYTES } from "../store/limits.js";
import { checkDatasetId, checkStoreName } from "../store/names.js";
import { bsonToStruct } from "../value/bson-to-json.js";
import { toDocumentBson, toValueBson } from "../value/plain.js";
import { tooLarge } from "../value/value-error.js";
import type { ValueEncoding } from "./documents.js";
import type { ContextOptions, DeleteKeyOptions, Expectation, ListOptions, SetOptions } from "./options.js";
import { RawValue } from "./raw-value.js";

/** The fields that say which context a request is about. */
export interface RequestContext {
  readonly datasetId: string;
  readonly collectionName: string;
}

/** What every setting request says of the value. */
export interface WriteFields {
  readonly value: undefined;
  readonly valueBson: Buffer;
  readonly ttl: Duration | undefined;
  readonly policy: KeyPolicy;
}

const LONE_SURROGATE = /\p{Surrogate}/u;
const MAX_INT32 = 2_147_483_647;

/** Throws DATASET_ID_INVALID, or CLIENT_OPTION_INVALID for a collection name that is no text. */
export function encodeContext(options: ContextOptions): RequestContext {
  const { datasetId = "", collectionName = "" } = options;
  const hex = typeof datasetId === "object" && datasetId !== null ? datasetId.toHexString() : datasetId;
  if (typeof hex !== "string") {
    throw invalidField(
      "DATASET_ID_INVALID",
      "dataset_id",
      "is neither an ObjectId nor a string of 24 hex digits; give one of them, or leave it out for stores tied to no dataset",
    );
  }
  return {
    datasetId: checkDatasetId(hex),
    collectionName: text(collectionName, "CLIENT_OPTION_INVALID", "collection_name"),
  };
}

/**
 * A text that arrives as it is: what is no string, or has no form in UTF-8, would be sent as something else. All
 * other rules are the server's to check.
 */
export function text(value: string, reason: Reason, field: string): string {
  if (typeof value !== "string") {
    throw invalidField(reason, field, `is of type ${typeof value}; expected a string, so convert it`);
  }
  if (LONE_SURROGATE.test(value)) {
    throw invalidField(
      reason,
      field,
      "holds half of a surrogate pair, which UTF-8 has no form for; correct it",
    );
  }
  return value;
}

/** Throws STORE_NAME_INVALID. */
export function storeNameField(storeName: string): string {
  return text(storeName, "STORE_NAME_INVALID", "store_name");
}

/** Throws KEY_INVALID. */
export function keyField(key: string, field = "key"): string {
  return text(key, "KEY_INVALID", field);
}

/** The one store of a clearCache, whose empty name would mean all. Throws STORE_NAME_INVALID. */
export function cacheStoreField(storeName: string | undefined): string {
  return storeName === undefined ? "" : checkStoreName(storeNameField(storeName), "find");
}

/** Throws PREFIX_INVALID. */
export function prefixField(prefix = ""): string {
  return text(prefix, "PREFIX_INVALID", "prefix");
}

/** Throws PREFIX_INVALID or PAGE_SIZE_INVALID. */
export function listFields({ prefix, pageSize }: ListOptions): { prefix: string; pageSize: number } {
  return { prefix: prefixField(prefix), pageSize: pageSizeField(pageSize) };
}

/** Throws PAGE_SIZE_INVALID for what is no int32; the server knows the bounds. */
function pageSizeField(pageSize = 0): number {
  if (!Number.isInteger(pageSize) || Math.abs(pageSize) > MAX_INT32) {
    throw invalidField(
      "PAGE_SIZE_INVALID",
      "page_size",
      "is not a whole number; expected 1 to 10,000, or leave it out for 1,000",
    );
  }
  return pageSize;
}

/** Throws POLICY_INVALID. */
export function policyField(policy: Policy | undefined, field = "policy"): KeyPolicy {
  switch (policy) {
    case undefined:
      return KeyPolicy.KEY_POLICY_UNSPECIFIED;
    case "persist":
      return KeyPolicy.KEY_POLICY_PERSIST;
    case "evict":
      return KeyPolicy.KEY_POLICY_EVICT;
  }
  throw invalidField("POLICY_INVALID", field, 'is neither "persist" nor "evict"; expected one of these two');
}

/** Throws TTL_INVALID, TTL_NOT_POSITIVE or TTL_TOO_LONG. */
export function ttlField(ttl: number | undefined, field = "ttl"): Duration | undefined {
  if (ttl === undefined) return undefined;
  if (typeof ttl !== "number" || Number.isNaN(ttl)) {
    throw invalidField("TTL_INVALID", field, "is not a number; expected seconds, such as 0.5 or 3600");
  }
  if (ttl <= 0)
    throw invalidField("TTL_NOT_POSITIVE", field, "is not greater than 0; expected seconds, or leave it out");
  if (ttl * 1000 > MAX_TTL_MS) {
    throw invalidField(
      "TTL_TOO_LONG",
      field,
      "is longer than 100 years; leave it out for a key that does not expire",
    );
  }
  // Microseconds: so fine that nothing is lost, so coarse that 1.1 seconds do not become 1.1 and a bit.
  const seconds = Math.floor(ttl);
  const micros = Math.round((ttl - seconds) * 1e6);
  if (micros === 1e6) return { seconds: BigInt(seconds) + 1n, nanos: 0 };
  return { seconds: BigInt(seconds), nanos: seconds === 0 ? Math.max(1, micros) * 1000 : micros * 1000 };
}

/** Throws VALUE_INVALID, VALUE_TOO_DEEP or VALUE_TOO_LARGE. */
export function valueField(value: unknown, field = "value"): Buffer {
  const bytes = value instanceof RawValue ? value.bytes : toValueBson(value, field);
  if (bytes.length > MAX_VALUE_BYTES) throw tooLarge(field, bytes.length);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Value, ttl and policy of a write. Throws as each of them does. */
export function writeFields(value: unknown, { ttl, policy }: SetOptions): WriteFields {
  return { value: undefined, valueBson: valueField(value), ttl: ttlField(ttl), policy: policyField(policy) };
}

/** Throws METADATA_INVALID, or as valueField does. */
export function metadataField(
  metadata: Readonly<Record<string, unknown>> | undefined,
): { [name: string]: unknown } | undefined {
  if (metadata === undefined) return undefined;
  // The generated code declares an object where it takes the bytes; see value/struct.ts.
  return bsonToStruct(toDocumentBson(metadata)) as unknown as { [name: string]: unknown };
}

/** The condition of a deletion; none only if none was named. Throws ETAG_EMPTY. */
export function etagField(options: DeleteKeyOptions): { etag?: string } {
  if (!("etag" in options)) return {};
  return { etag: text(options.etag ?? "", "ETAG_EMPTY", "etag") };
}

/** What is expected, and what is written in its place. Throws as expectationFields and writeFields do. */
export function compareAndSetFields(
  expectation: Expectation,
  value: unknown,
  options: SetOptions,
): WriteFields & { expected: undefined; expectedBson?: Buffer; etag?: string } {
  const fields = { expected: undefined, ...expectationFields(expectation), ...writeFields(value, options) };
  const bytes = (fields.expectedBson?.length ?? 0) + fields.valueBson.length;
  if (bytes > MAX_VALUE_BYTES) throw expectedAndValueTooLarge(bytes);
  return fields;
}

/** What the two fields of an expectation hold. Throws as valueField does, or EXPECTED_MISSING, EXPECTED_AMBIGUOUS. */
function expectationFields(expectation: Expectation): { expectedBson?: Buffer; etag?: string } {
  const byValue = "expected" in expectation;
  const byVersion = "etag" in expectation;
  if (byValue && byVersion) {
    throw invalidField("EXPECTED_AMBIGUOUS", "expected", "and etag are both given; give one of them");
  }
  if (byVersion) return { etag: text(expectation.etag, "ETAG_EMPTY", "etag") };
  if (!byValue)
    throw invalidField("EXPECTED_MISSING", "expected", "and etag are both missing; give one of them");
  return { expectedBson: valueField(expectation.expected, "expected") };
}

/** Throws ENCODING_INVALID. */
export function encodingField(encoding: ValueEncoding = "plain"): WireEncoding {
  switch (encoding) {
    case "plain":
    case "raw":
      return WireEncoding.VALUE_ENCODING_BSON;
    case "none":
      return WireEncoding.VALUE_ENCODING_NONE;
  }
  throw invalidField(
    "ENCODING_INVALID",
    "encoding",
    'is none of "plain", "raw" and "none"; expected one of these, or leave it out for "plain"',
  );
}
