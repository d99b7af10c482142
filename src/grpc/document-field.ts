import { KeyPolicy } from "../../gen/ts/execution_store/v1/execution_store.js";
import type { KeyDocument, Policy } from "../store/document.js";
import { StoreError } from "../store/errors.js";
import { MAX_JSON_LEVELS, MAX_RESPONSE_BYTES } from "../store/limits.js";
import { bsonToJson } from "../value/bson-to-json.js";
import { bytesFieldSize, type MessageWriter, stringFieldSize, varintSize } from "./message-writer.js";

/** The form in which an answer carries values: KeyDocument.value, KeyDocument.value_bson, or not at all. */
export type ValueForm = "json" | "bson" | "none";

/** A document that is ready to be written: its value has the form of the wire, and its size is known. */
export interface MeasuredDocument {
  readonly document: KeyDocument;
  readonly value: Uint8Array | undefined;
  /** The form that `value` has: "bson" also where JSON was asked for and cannot hold the value. */
  readonly form: ValueForm;
  /** Bytes of the KeyDocument message, without a tag or a length before it. */
  readonly size: number;
}

/** The number of a policy on the wire. */
export function policyNumber(policy: Policy): KeyPolicy {
  return policy === "persist" ? KeyPolicy.KEY_POLICY_PERSIST : KeyPolicy.KEY_POLICY_EVICT;
}

/** Bytes of a Timestamp message. */
export function timestampSize(ms: number): number {
  const seconds = Math.floor(ms / 1000);
  const nanos = (ms - seconds * 1000) * 1e6;
  return (seconds === 0 ? 0 : 1 + varintSize(seconds)) + (nanos === 0 ? 0 : 1 + varintSize(nanos));
}

/** Writes a Timestamp as a field of another message. */
export function writeTimestamp(writer: MessageWriter, tag: number, ms: number): void {
  const seconds = Math.floor(ms / 1000);
  const nanos = (ms - seconds * 1000) * 1e6;
  writer.message(tag, timestampSize(ms));
  if (seconds !== 0) writer.byte(8).varint(seconds);
  if (nanos !== 0) writer.byte(16).varint(nanos);
}

function measure(document: KeyDocument, value: Uint8Array | undefined, form: ValueForm): MeasuredDocument {
  const size =
    stringFieldSize(document.storeName) +
    stringFieldSize(document.key) +
    (value === undefined ? 0 : bytesFieldSize(value.length)) +
    stringFieldSize(document.datasetId) +
    bytesFieldSize(timestampSize(document.createdAt)) +
    bytesFieldSize(timestampSize(document.updatedAt)) +
    (document.expiresAt === undefined ? 0 : bytesFieldSize(timestampSize(document.expiresAt))) +
    2 +
    stringFieldSize(document.etag);
  return { document, value, form, size };
}

// Room for the other fields of the response, whose names are at most about 1.3 KiB.
const MAX_JSON_BYTES = MAX_RESPONSE_BYTES - 16 * 1024;

/** The value as JSON, or the error that says why JSON cannot hold it. */
function toJson(value: Uint8Array): Uint8Array | StoreError {
  const remedy = "ask for it with encoding BSON";
  const json = bsonToJson(value);
  if (json === undefined) {
    const problem = `the value nests deeper than the ${MAX_JSON_LEVELS} levels that JSON answers carry`;
    return new StoreError("VALUE_TOO_DEEP_FOR_JSON", `${problem}; ${remedy}`);
  }
  if (json.length > MAX_JSON_BYTES) {
    const problem = `the value takes ${json.length} bytes as JSON; expected at most ${MAX_JSON_BYTES}`;
    return new StoreError("VALUE_TOO_LARGE", `${problem}, so ${remedy}`);
  }
  return json;
}

/**
 * Brings a document's value into the form asked for. Where JSON cannot hold the value (it nests too deep, or would
 * be larger than a response may be), it stays BSON; in `strict` mode VALUE_TOO_DEEP_FOR_JSON or VALUE_TOO_LARGE is
 * thrown.
 */
export function measureDocument(document: KeyDocument, form: ValueForm, strict = false): MeasuredDocument {
  const { value } = document;
  if (form === "none" || value === undefined) return measure(document, undefined, "none");
  if (form === "bson") return measure(document, value, form);
  const json = toJson(value);
  if (!(json instanceof StoreError)) return measure(document, json, "json");
  if (strict) throw json;
  return measure(document, value, "bson");
}

/** Bytes of a document as a field of another message. */
export function documentFieldSize(measured: MeasuredDocument): number {
  return bytesFieldSize(measured.size);
}

/** Writes a document as a field of another message. */
export function writeDocumentField(writer: MessageWriter, tag: number, measured: MeasuredDocument): void {
  const { document, value, form, size } = measured;
  writer.message(tag, size).stringField(10, document.storeName).stringField(18, document.key);
  if (value !== undefined) writer.bytesField(form === "json" ? 26 : 34, value);
  writer.stringField(42, document.datasetId);
  writeTimestamp(writer, 50, document.createdAt);
  writeTimestamp(writer, 58, document.updatedAt);
  if (document.expiresAt !== undefined) writeTimestamp(writer, 66, document.expiresAt);
  writer.byte(72).byte(policyNumber(document.policy)).stringField(82, document.etag);
}
