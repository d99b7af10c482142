import {
  StoreServiceDefinition,
  type BatchSetKeysRequest_Entry as WireEntry,
} from "../../gen/ts/execution_store/v1/execution_store.js";
import { invalidField, StoreError, withOutcome } from "../store/errors.js";
import { MAX_BATCH_KEYS, MAX_KEY_BYTES, MAX_REQUEST_BYTES } from "../store/limits.js";
import { checkKey, checkStoreName, type NameUse } from "../store/names.js";
import { split } from "../store/split.js";
import { checkIterable } from "./check-iterable.js";
import type { Connection } from "./connection.js";
import { brokenAnswer, decodeDocument, decodeSetResult } from "./decode.js";
import type { ReadDocument, SetResult, ValueEncoding } from "./documents.js";
import {
  encodingField,
  keyField,
  policyField,
  type RequestContext,
  storeNameField,
  ttlField,
  valueField,
} from "./encode.js";
import { beforeSending } from "./errors.js";
import type { CallOptions, ReadOptions, SetEntry } from "./options.js";

/** The store that a batch is about. */
export interface BatchTarget {
  readonly connection: Connection;
  readonly context: RequestContext;
  readonly storeName: string;
}

const methods = StoreServiceDefinition.methods;
/** What an entry takes beside its key and value: tags, lengths, ttl and policy. */
const ENTRY_OVERHEAD = 64;
/** What is left for entries, with room for the names of collection and store. */
const ENTRY_PART = { items: MAX_BATCH_KEYS, bytes: MAX_REQUEST_BYTES - 64 * 1024, bytesOf: entryBytes };
/** What the keys of a batch to find may take: other writers may have made longer ones than a batch of them could be. */
const KEY_PART = { items: MAX_BATCH_KEYS, bytes: MAX_BATCH_KEYS * MAX_KEY_BYTES, bytesOf: keyBytes };

/** Reads distinct keys with as many requests as it takes, in the order of first mention. */
export async function batchGet<T, E extends ValueEncoding>(
  target: BatchTarget,
  keys: Iterable<string>,
  options: ReadOptions<E>,
): Promise<Map<string, ReadDocument<T, E>>> {
  const documents = new Map<string, ReadDocument<T, E>>();
  const storeName = batchStoreField(target, "find");
  let waiting = distinctKeys(keys);
  while (waiting.length > 0) {
    const [asked = []] = split(waiting.slice(0, MAX_BATCH_KEYS), KEY_PART);
    const answer = await target.connection.call(
      methods.batchGetKeys,
      () => ({
        ...target.context,
        storeName,
        keys: asked.map((key, index) => keyField(key, `keys[${index}]`)),
        encoding: encodingField(options.encoding),
      }),
      options,
    );
    for (const document of answer.documents) {
      documents.set(document.key, decodeDocument<T, E>(document, options.encoding));
    }
    if (answer.unprocessedKeys.length >= asked.length)
      throw brokenAnswer("leaves every key of a batch unprocessed");
    waiting = [...answer.unprocessedKeys, ...waiting.slice(asked.length)];
  }
  return documents;
}

/** Sets keys with as many requests as it takes. All entries are checked before the first is sent. */
export async function batchSet(
  target: BatchTarget,
  entries: Iterable<SetEntry>,
  options: CallOptions,
): Promise<SetResult[]> {
  const { storeName, encoded } = beforeSending(true, () => ({
    storeName: batchStoreField(target, "write"),
    encoded: encodeEntries(entries),
  }));
  return inParts(split(encoded, ENTRY_PART), encoded.length, async (part) => {
    const answer = await target.connection.call(
      methods.batchSetKeys,
      () => ({ ...target.context, storeName, entries: part }),
      options,
    );
    if (answer.results.length !== part.length) throw brokenAnswer("to a batch is not as long as the batch");
    return answer.results.map(decodeSetResult);
  });
}

/** Deletes keys with as many requests as it takes, and answers how many were live. */
export async function batchDelete(
  target: BatchTarget,
  keys: Iterable<string>,
  options: CallOptions,
): Promise<number> {
  const { storeName, distinct } = beforeSending(true, () => ({
    storeName: batchStoreField(target, "find"),
    distinct: distinctKeys(keys).map((key, index) => checkedKey(key, `keys[${index}]`, "find")),
  }));
  const parts = split(distinct, KEY_PART);
  const counts = await inParts(parts, distinct.length, async (part) => {
    const answer = await target.connection.call(
      methods.batchDeleteKeys,
      () => ({ ...target.context, storeName, keys: part }),
      options,
    );
    return [Number(answer.deletedCount)];
  });
  return counts.reduce((sum, count) => sum + count, 0);
}

/** The store's name, checked here since an empty batch sends no request in which the server could check it. */
function batchStoreField({ storeName }: BatchTarget, use: NameUse): string {
  return checkStoreName(storeNameField(storeName), use);
}

function distinctKeys(keys: Iterable<string>): string[] {
  return [...new Set(checkIterable(keys, "keys", "keys"))];
}

function checkedKey(key: string, field: string, use: NameUse): string {
  return checkKey(keyField(key, field), field, use);
}

function encodeEntries(entries: Iterable<SetEntry>): WireEntry[] {
  const seen = new Set<string>();
  return Array.from(checkIterable(entries, "entries", "objects with key and value"), (entry, index) => {
    const field = `entries[${index}]`;
    if (typeof entry !== "object" || entry === null) {
      throw invalidField("CLIENT_OPTION_INVALID", field, "is no object; expected one with key and value");
    }
    const { key, value, ttl, policy } = entry;
    const checked = checkedKey(key, `${field}.key`, "write");
    if (seen.has(checked)) {
      throw invalidField("KEY_REPEATED", `${field}.key`, "is in the batch before; name each key once");
    }
    seen.add(checked);
    return {
      key: checked,
      value: undefined,
      valueBson: valueField(value, `${field}.value`),
      ttl: ttlField(ttl, `${field}.ttl`),
      policy: policyField(policy, `${field}.policy`),
    };
  });
}

function keyBytes(key: string): number {
  return Buffer.byteLength(key);
}

function entryBytes({ key, valueBson }: WireEntry): number {
  return keyBytes(key) + (valueBson?.length ?? 0) + ENTRY_OVERHEAD;
}

/** Writes part after part; an error after the first says what is written, and that the outcome is open. */
async function inParts<Item, Result>(
  parts: readonly (readonly Item[])[],
  total: number,
  write: (part: readonly Item[]) => Promise<readonly Result[]>,
): Promise<Result[]> {
  const results: Result[] = [];
  let done = 0;
  for (const part of parts) {
    try {
      for (const result of await write(part)) results.push(result);
    } catch (error) {
      if (done === 0 || !(error instanceof StoreError)) throw error;
      throw withOutcome(error, "UNKNOWN", `${error.message} (the first ${done} of ${total} are done)`);
    }
    done += part.length;
  }
  return results;
}
