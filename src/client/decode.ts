import {
  KeyPolicy,
  type KeyDocument as WireKey,
  type StoreDocument as WireStore,
} from "../../gen/ts/execution_store/v1/execution_store.js";
import type { Timestamp } from "../../gen/ts/google/protobuf/timestamp.js";
import type { Policy } from "../store/document.js";
import { StoreError } from "../store/errors.js";
import { structToBson } from "../value/json-to-bson.js";
import { fromDocumentBson, fromValueBson } from "../value/plain.js";
import type {
  KeyDocument,
  KeyMetadata,
  ReadDocument,
  SetResult,
  StoreDocument,
  ValueEncoding,
} from "./documents.js";
import { RawValue } from "./raw-value.js";

/** An answer that breaks the contract. */
export function brokenAnswer(what: string): StoreError {
  return new StoreError(
    "INTERNAL",
    `the server's answer ${what}; is it an execution store, and as new as this client?`,
    { outcome: "UNKNOWN" },
  );
}

function optionalDate(time: Timestamp | undefined): Date | undefined {
  return time === undefined
    ? undefined
    : new Date(Number(time.seconds) * 1000 + Math.floor(time.nanos / 1e6));
}

/** A time that an answer must hold. */
export function date(time: Timestamp | undefined): Date {
  const known = optionalDate(time);
  if (known === undefined) throw brokenAnswer("holds a document or an event without its times");
  return known;
}

function optionalPolicy(policy: KeyPolicy): Policy | undefined {
  switch (policy) {
    case KeyPolicy.KEY_POLICY_UNSPECIFIED:
      return undefined;
    case KeyPolicy.KEY_POLICY_PERSIST:
      return "persist";
    case KeyPolicy.KEY_POLICY_EVICT:
      return "evict";
  }
  throw brokenAnswer("holds a policy that this client does not know");
}

/** A key without its value. */
export function decodeMetadata(wire: WireKey): KeyMetadata {
  const policy = optionalPolicy(wire.policy);
  if (policy === undefined) throw brokenAnswer("holds a key without its policy");
  return {
    storeName: wire.storeName,
    key: wire.key,
    datasetId: wire.datasetId === "" ? undefined : wire.datasetId,
    createdAt: date(wire.createdAt),
    updatedAt: date(wire.updatedAt),
    expiresAt: optionalDate(wire.expiresAt),
    policy,
    etag: wire.etag,
  };
}

/** The document that an answer must hold. */
export function present<T>(document: T | undefined): T {
  if (document === undefined) throw brokenAnswer("holds no document");
  return document;
}

/** The answer of a setting method. */
export function decodeSetResult(wire: { document: WireKey | undefined; created: boolean }): SetResult {
  return { document: decodeMetadata(present(wire.document)), created: wire.created };
}

/** A key with its value in the form that was asked for. */
export function decodeDocument<T, E extends ValueEncoding>(
  wire: WireKey,
  encoding: E | undefined,
): ReadDocument<T, E> {
  const metadata = decodeMetadata(wire);
  // The types say which of the three it is; the compiler cannot follow.
  if (encoding === "none") return metadata as ReadDocument<T, E>;
  const bytes = wire.valueBson;
  if (bytes === undefined) throw brokenAnswer("holds a key without its value");
  const value: unknown = encoding === "raw" ? new RawValue(bytes) : fromValueBson(bytes);
  const document: KeyDocument = { ...metadata, value };
  return document as ReadDocument<T, E>;
}

/** A store; its metadata travels as google.protobuf.Struct. */
export function decodeStore(wire: WireStore): StoreDocument {
  // The generated code declares an object where it holds the bytes; see value/struct.ts.
  const metadata = wire.metadata as Uint8Array | undefined;
  return {
    storeName: wire.storeName,
    datasetId: wire.datasetId === "" ? undefined : wire.datasetId,
    metadata: metadata === undefined ? undefined : fromDocumentBson(structToBson(metadata, "metadata")),
    createdAt: optionalDate(wire.createdAt),
    updatedAt: optionalDate(wire.updatedAt),
    expiresAt: optionalDate(wire.expiresAt),
    policy: optionalPolicy(wire.policy),
    etag: wire.etag === "" ? undefined : wire.etag,
  };
}
