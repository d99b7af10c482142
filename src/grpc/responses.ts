/**
 * The responses that hold documents or lists, encoded straight from the domain: on the hot path neither messages
 * nor BigInts are built, and a value is copied once.
 */
import { KeyPolicy, StoreDocument as StoreMessage } from "../../gen/ts/execution_store/v1/execution_store.js";
import type { Timestamp } from "../../gen/ts/google/protobuf/timestamp.js";
import type { KeyDocument, StoreDocument } from "../store/document.js";
import type { BatchResult, ConditionalSetResult, GlobalCursor, Page, SetResult } from "../store/engine.js";
import { MAX_PAGE_BYTES } from "../store/limits.js";
import { bsonToStruct } from "../value/bson-to-json.js";
import type { EncodedMessage } from "./definition.js";
import {
  documentFieldSize,
  type MeasuredDocument,
  measureDocument,
  policyNumber,
  type ValueForm,
  writeDocumentField,
} from "./document-field.js";
import { bytesFieldSize, MessageWriter, stringFieldSize, stringItemSize } from "./message-writer.js";

/** The page token for a place in a list; empty for undefined. */
export type TokenOf<Cursor> = (next: Cursor | undefined) => string;

/** GetKeyResponse, UpdateTtlResponse, UpdatePolicyResponse: `document = 1`. */
export function documentResponse(measured: MeasuredDocument): EncodedMessage {
  const writer = new MessageWriter(documentFieldSize(measured));
  writeDocumentField(writer, 10, measured);
  return writer.finish();
}

/** As documentResponse, for a document without its value. */
export function metadataResponse(document: KeyDocument): EncodedMessage {
  return documentResponse(measureDocument(document, "none"));
}

/** SetKeyResponse, SetCacheKeyResponse and BatchSetKeysResponse.Result: `document = 1`, `created = 2`. */
export function setResponse({ document, created }: SetResult): EncodedMessage {
  const measured = measureDocument(document, "none");
  const writer = new MessageWriter(documentFieldSize(measured) + (created ? 2 : 0));
  writeDocumentField(writer, 10, measured);
  if (created) writer.byte(16).byte(1);
  return writer.finish();
}

/** SetKeyIfAbsentResponse, CompareAndSetKeyResponse: `set = 1`, `document = 2`. */
export function conditionalSetResponse({ set, document }: ConditionalSetResult): EncodedMessage {
  const measured = document === undefined ? undefined : measureDocument(document, "none");
  const writer = new MessageWriter(
    (set ? 2 : 0) + (measured === undefined ? 0 : documentFieldSize(measured)),
  );
  if (set) writer.byte(8).byte(1);
  if (measured !== undefined) writeDocumentField(writer, 18, measured);
  return writer.finish();
}

/** BatchSetKeysResponse: `repeated results = 1`. */
export function batchSetResponse(results: readonly SetResult[]): EncodedMessage {
  return repeatedResponse(results.map(setResponse), "");
}

/** Messages as `repeated = 1` and a string as field 2: the shape of all pages. */
function repeatedResponse(messages: readonly Uint8Array[], token: string): EncodedMessage {
  let size = stringFieldSize(token);
  for (const message of messages) size += bytesFieldSize(message.length);
  const writer = new MessageWriter(size);
  for (const message of messages) writer.bytesField(10, message);
  return writer.stringField(18, token).finish();
}

/** ListStoresResponse, ListKeysResponse: `repeated names = 1`, `next_page_token = 2`. */
export function namesPage(page: Page<string, string>, token: TokenOf<string>): EncodedMessage {
  let size = 0;
  let count = 0;
  for (const name of page.items) {
    const added = stringItemSize(name);
    // Were it the last one, the token would hold it again.
    if (size + 2 * added > MAX_PAGE_BYTES && count > 0) break;
    size += added;
    count += 1;
  }
  const next = token(nextCursor(page, count, (name) => name));
  const writer = new MessageWriter(size + stringFieldSize(next));
  for (const name of page.items.slice(0, count)) writer.stringItem(10, name);
  return writer.stringField(18, next).finish();
}

/** ListValuesResponse: `repeated documents = 1`, `next_page_token = 2`. */
export function documentsPage(
  page: Page<KeyDocument, string>,
  form: ValueForm,
  token: TokenOf<string>,
): EncodedMessage {
  const documents: MeasuredDocument[] = [];
  let size = 0;
  for (const document of page.items) {
    const measured = measureDocument(document, form);
    const added = documentFieldSize(measured);
    if (size + added + stringItemSize(document.key) > MAX_PAGE_BYTES && documents.length > 0) break;
    documents.push(measured);
    size += added;
  }
  const next = token(nextCursor(page, documents.length, (document) => document.key));
  const writer = new MessageWriter(size + stringFieldSize(next));
  for (const measured of documents) writeDocumentField(writer, 10, measured);
  return writer.stringField(18, next).finish();
}

/** ListStoresGlobalResponse: `repeated stores = 1`, `next_page_token = 2`. */
export function storesPage(
  page: Page<StoreDocument, GlobalCursor>,
  token: TokenOf<GlobalCursor>,
): EncodedMessage {
  const stores: Uint8Array[] = [];
  let size = 0;
  for (const store of page.items) {
    const bytes = StoreMessage.encode(storeMessage(store)).finish();
    const added = bytesFieldSize(bytes.length);
    if (size + added + stringItemSize(store.storeName) > MAX_PAGE_BYTES && stores.length > 0) break;
    stores.push(bytes);
    size += added;
  }
  return repeatedResponse(stores, token(nextCursor(page, stores.length, (store) => store)));
}

/**
 * BatchGetKeysResponse: `repeated documents = 1`, `repeated missing_keys = 2`, `repeated unprocessed_keys = 3`. What
 * does not fit any more is unprocessed; the names of the keys are counted in, too.
 */
export function batchGetResponse(
  keys: readonly string[],
  result: BatchResult,
  form: ValueForm,
): EncodedMessage {
  const documents: MeasuredDocument[] = [];
  const missing: string[] = [];
  let done = 0;
  // Every key takes this much, unless its document takes its place.
  let size = 0;
  for (const key of keys) size += stringItemSize(key);
  for (const document of result.documents) {
    const key = keys[done] ?? "";
    if (document === undefined) {
      missing.push(key);
    } else {
      const measured = measureDocument(document, form);
      const added = documentFieldSize(measured) - stringItemSize(key);
      if (size + added > MAX_PAGE_BYTES && documents.length > 0) break;
      documents.push(measured);
      size += added;
    }
    done += 1;
  }
  const writer = new MessageWriter(size);
  for (const measured of documents) writeDocumentField(writer, 10, measured);
  for (const key of missing) writer.stringItem(18, key);
  for (const key of keys.slice(done)) writer.stringItem(26, key);
  return writer.finish();
}

/** Where the page behind the first `count` items starts; undefined if none follows. */
function nextCursor<Item, Cursor>(
  page: Page<Item, Cursor>,
  count: number,
  cursorOf: (item: Item) => Cursor,
): Cursor | undefined {
  const last = page.items[count - 1];
  return count === page.items.length || last === undefined ? page.next : cursorOf(last);
}

function timestamp(ms: number): Timestamp {
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: (ms - seconds * 1000) * 1e6 };
}

/** A store as its message. */
export function storeMessage({ storeName, datasetId, own }: StoreDocument): StoreMessage {
  return {
    storeName,
    datasetId,
    // The generated type is that of a plain object; its codec takes the encoded bytes.
    metadata: own?.metadata && (bsonToStruct(own.metadata) as unknown as StoreMessage["metadata"]),
    createdAt: own && timestamp(own.createdAt),
    updatedAt: own && timestamp(own.updatedAt),
    expiresAt: own?.expiresAt === undefined ? undefined : timestamp(own.expiresAt),
    policy: own ? policyNumber(own.policy) : KeyPolicy.KEY_POLICY_UNSPECIFIED,
    etag: own?.etag ?? "",
  };
}
