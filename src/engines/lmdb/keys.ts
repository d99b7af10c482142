/**
 * The composite keys of the databases. Names hold no NUL, so NUL ends a store name and the byte order of the
 * composite is: no dataset, then datasets by id; within them stores, then keys, each in UTF-8 byte order.
 *
 *   context   00                     no dataset
 *             01 <12 bytes>          a dataset
 *   store     <context><store>
 *   document  <context><store> 00 <key>        an empty key is the store's own document
 *   time      <8 bytes, big endian, ms>        FF… sorts behind every time
 */

import { isWritableKey, isWritableStoreName } from "../../store/names.js";

/** Behind every continuation of a prefix: UTF-8 has no such byte. */
const PREFIX_END = 0xff;
/** The time of what is evictable but does not expire; sorts behind every real time. */
export const NO_TIME = Number.MAX_SAFE_INTEGER;

const NO_DATASET = Buffer.from([0]);

/** Where the stores, and the documents, of all contexts start, and their exclusive end. */
export const FIRST_CONTEXT = NO_DATASET;
export const CONTEXTS_END = Buffer.from([2]);

/** Longer than every key of a database here, which hold a store name, a key, and up to 22 bytes more. */
const MAX_BOUND_BYTES = 1400;

/**
 * Whether a store of this name may be here. Others, which reads may ask for, have no place in the keys: they could be
 * too long for LMDB, or, by their NULs, be taken for something else.
 */
export const canHoldStore = isWritableStoreName;

/** Whether a key of this name may be here. */
export const canHoldKey = isWritableKey;

/** Whether a key of this name, in a store of this name, may be here. */
export function canHold(storeName: string, key: string): boolean {
  return isWritableStoreName(storeName) && isWritableKey(key);
}

/**
 * A bound of a range that LMDB takes, for any name: no key here is long enough to tell it from the bound that was cut
 * off.
 */
export function toBound(key: Buffer): Buffer {
  return key.length > MAX_BOUND_BYTES ? key.subarray(0, MAX_BOUND_BYTES) : key;
}

function utf8Into(target: Buffer, text: string, at: number): number {
  return at + target.write(text, at, "utf8");
}

/** The key prefix of a context. */
export function contextKey(datasetId: string): Buffer {
  if (datasetId === "") return NO_DATASET;
  const key = Buffer.allocUnsafe(13);
  key[0] = 1;
  key.write(datasetId, 1, 12, "hex");
  return key;
}

/** The key of a store's record. */
export function storeKey(datasetId: string, storeName: string): Buffer {
  return Buffer.concat([contextKey(datasetId), Buffer.from(storeName)]);
}

/** The key of a document; `key` empty: the store's own document, and the start of the store's documents. */
export function documentKey(datasetId: string, storeName: string, key: string): Buffer {
  const contextBytes = datasetId === "" ? 1 : 13;
  const target = Buffer.allocUnsafe(contextBytes + (storeName.length + key.length) * 3 + 1);
  let at = contextBytes;
  if (datasetId === "") {
    target[0] = 0;
  } else {
    target[0] = 1;
    target.write(datasetId, 1, 12, "hex");
  }
  at = utf8Into(target, storeName, at);
  target[at++] = 0;
  at = utf8Into(target, key, at);
  return target.subarray(0, at);
}

/** The document keys of one store, one at a time: each is good until the next one is made. */
export class DocumentKeys {
  private readonly prefix: Buffer;
  private buffer = Buffer.alloc(0);

  constructor(datasetId: string, storeName: string) {
    this.prefix = documentKey(datasetId, storeName, "");
  }

  of(key: string): Buffer {
    const most = this.prefix.length + key.length * 3;
    if (this.buffer.length < most) {
      this.buffer = Buffer.allocUnsafe(most * 2);
      this.buffer.set(this.prefix);
    }
    return this.buffer.subarray(0, utf8Into(this.buffer, key, this.prefix.length));
  }
}

/** The smallest key behind `key`. */
export function after(key: Uint8Array): Buffer {
  return Buffer.concat([key, NO_DATASET]);
}

/** The prefix of a store's document keys, and of its evictable keys. `store` is a store key. */
export const storePrefix = after;

/** Exclusive end of all keys that start with `prefix`. */
export function prefixEnd(prefix: Uint8Array): Buffer {
  const end = Buffer.allocUnsafe(prefix.length + 1);
  end.set(prefix);
  end[prefix.length] = PREFIX_END;
  return end;
}

/** The context of a store key or a document key. */
export function datasetIdOf(key: Buffer): string {
  return key[0] === 0 ? "" : key.toString("hex", 1, 13);
}

function contextLength(key: Buffer): number {
  return key[0] === 0 ? 1 : 13;
}

/** The store name of a store key. */
export function storeNameOfStoreKey(key: Buffer): string {
  return key.toString("utf8", contextLength(key));
}

/** Where a document key's store name ends: the place of the NUL. */
function storeNameEnd(key: Buffer): number {
  return key.indexOf(0, contextLength(key));
}

/** The store key of a document key: a view. */
export function storeKeyOf(key: Buffer): Buffer {
  return key.subarray(0, storeNameEnd(key));
}

/** Whether a document key is that of a store's own document. */
export function isStoreDocument(key: Buffer): boolean {
  return storeNameEnd(key) === key.length - 1;
}

/** What a document key names; an empty key is the store's own document. */
export function splitDocumentKey(key: Buffer): { datasetId: string; storeName: string; key: string } {
  const end = storeNameEnd(key);
  return {
    datasetId: datasetIdOf(key),
    storeName: key.toString("utf8", contextLength(key), end),
    key: key.toString("utf8", end + 1),
  };
}

/** A time, or another whole number up to 2^53, as a key that sorts like the number. */
export function timeKey(time: number): Buffer {
  const key = Buffer.allocUnsafe(8);
  key.writeUInt32BE(Math.floor(time / 0x1_0000_0000), 0);
  key.writeUInt32BE(time % 0x1_0000_0000, 4);
  return key;
}

/** The number in `timeKey` at an offset. */
export function timeAt(key: Buffer, offset: number): number {
  return key.readUInt32BE(offset) * 0x1_0000_0000 + key.readUInt32BE(offset + 4);
}

/** The key of the queue of all expiries: time, then document key. */
export function expiryKey(time: number, document: Buffer): Buffer {
  return Buffer.concat([timeKey(time), document]);
}

/** The document key of an expiry key. */
export function documentOfExpiryKey(key: Buffer): Buffer {
  return key.subarray(8);
}

/** The key of a store's evictable documents: store, then time (NO_TIME: does not expire), then key. */
export function evictableKey(time: number, document: Buffer): Buffer {
  const end = storeNameEnd(document) + 1;
  return Buffer.concat([document.subarray(0, end), timeKey(time), document.subarray(end)]);
}

/** Start of a store's evictable documents at or after a time. `store` is a store key. */
export function evictableFrom(store: Uint8Array, time: number): Buffer {
  return Buffer.concat([store, NO_DATASET, timeKey(time)]);
}

/** The time and the document key of an evictable key. */
export function splitEvictableKey(key: Buffer): { time: number; document: Buffer } {
  const end = storeNameEnd(key) + 1;
  return { time: timeAt(key, end), document: Buffer.concat([key.subarray(0, end), key.subarray(end + 8)]) };
}

/** The key of the index from names to contexts: store name, NUL, context. */
export function nameKey(store: Buffer): Buffer {
  const at = contextLength(store);
  return Buffer.concat([store.subarray(at), NO_DATASET, store.subarray(0, at)]);
}

/** Start of the contexts that have a store of this name. */
export function namePrefix(storeName: string): Buffer {
  return Buffer.from(`${storeName}\0`);
}

/** The store key of a name key. */
export function storeKeyOfNameKey(key: Buffer): Buffer {
  const end = key.indexOf(0);
  return Buffer.concat([key.subarray(end + 1), key.subarray(0, end)]);
}
