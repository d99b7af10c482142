import {
  BatchGetKeysRequest,
  BatchSetKeysRequest,
  GetKeyRequest,
  KeyPolicy,
  SetKeyRequest,
  ValueEncoding,
} from "../gen/ts/execution_store/v1/execution_store.js";
import type { SampleValue } from "./sample-values.js";

/** Which form of values requests carry or ask for. */
export type Form = "bson" | "json";

/** A data set's id, as most callers have one. */
export const DATASET_ID = "66f1c0ffee00000000000001";

const ENCODINGS = { bson: ValueEncoding.VALUE_ENCODING_BSON, json: ValueEncoding.VALUE_ENCODING_JSON };

const context = { datasetId: DATASET_ID, collectionName: "" };

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function valueFields(value: SampleValue, form: Form): { value: unknown; valueBson?: Buffer } {
  return form === "bson" ? { value: undefined, valueBson: value.bson } : { value: value.wire };
}

/** The name of the key of this index, 16 bytes long; in byte order as in that of the indices. */
export function sampleKey(index: number): string {
  return `sample-${index.toString().padStart(9, "0")}`;
}

/** An encoded GetKeyRequest. */
export function getKeyMessage(storeName: string, key: string, form: Form): Buffer {
  return asBuffer(GetKeyRequest.encode({ ...context, storeName, key, encoding: ENCODINGS[form] }).finish());
}

/** An encoded SetKeyRequest; without a time to live, in seconds, the key persists. */
export function setKeyMessage(
  storeName: string,
  key: string,
  value: SampleValue,
  form: Form,
  ttlSeconds?: number,
): Buffer {
  const fields = valueFields(value, form);
  const lifetime =
    ttlSeconds === undefined
      ? { ttl: undefined, policy: KeyPolicy.KEY_POLICY_PERSIST }
      : { ttl: { seconds: BigInt(ttlSeconds), nanos: 0 }, policy: KeyPolicy.KEY_POLICY_EVICT };
  return asBuffer(SetKeyRequest.encode({ ...context, storeName, key, ...fields, ...lifetime }).finish());
}

/** An encoded BatchGetKeysRequest. */
export function batchGetKeysMessage(storeName: string, keys: string[], form: Form): Buffer {
  return asBuffer(
    BatchGetKeysRequest.encode({ ...context, storeName, keys, encoding: ENCODINGS[form] }).finish(),
  );
}

/** An encoded BatchSetKeysRequest that gives every key the value that `valueOf` names for it. */
export function batchSetKeysMessage(
  storeName: string,
  keys: readonly string[],
  valueOf: (key: string) => SampleValue,
  form: Form,
): Buffer {
  const entries = keys.map((key) => ({
    key,
    ...valueFields(valueOf(key), form),
    ttl: undefined,
    policy: KeyPolicy.KEY_POLICY_PERSIST,
  }));
  return asBuffer(BatchSetKeysRequest.encode({ ...context, storeName, entries }).finish());
}
