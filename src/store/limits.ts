/** The longest time of a timer of Node.js, in milliseconds. */
export const MAX_TIMER_MS = 2 ** 31 - 1;
/** Where a server listens, and clients look for one, if nobody says otherwise. */
export const DEFAULT_ADDRESS = "127.0.0.1:50051";
/** Bytes of UTF-8 in a store name. */
export const MAX_STORE_NAME_BYTES = 255;
/** Bytes of UTF-8 in a key. */
export const MAX_KEY_BYTES = 1024;
/** Bytes of UTF-8 in a prefix: beyond those that are of use, within what a query can say twice. */
export const MAX_PREFIX_BYTES = 1024 * 1024;
/** Bytes of a value's BSON document `{value: …}`; also of the expected and the new value of a compare-and-set together. */
export const MAX_VALUE_BYTES = 15 * 1024 * 1024;
/** Bytes of a store's metadata as a BSON document. */
export const MAX_METADATA_BYTES = 1024 * 1024;
/**
 * Objects and arrays inside each other in a JSON value; a scalar has none. Other languages' protobuf readers
 * stop at 100 nested messages, which is 33 levels of google.protobuf.Value.
 */
export const MAX_JSON_LEVELS = 30;
/** Objects and arrays inside each other in a BSON value that a caller writes. */
export const MAX_BSON_LEVELS = 100;
/** The longest time to live, in milliseconds: 100 years, which are 36,525 days. */
export const MAX_TTL_MS = 36_525 * 24 * 60 * 60 * 1000;
/** Items of a page when the caller names no size. */
export const DEFAULT_PAGE_SIZE = 1000;
/** The most items of a page. */
export const MAX_PAGE_SIZE = 10_000;
/** The most keys or entries of a batch. */
export const MAX_BATCH_KEYS = 1000;
/** Bytes at which pages, batch answers and event messages are cut, so that a default receive limit of 4 MiB holds. */
export const MAX_PAGE_BYTES = 3 * 1024 * 1024;
/** Bytes of a request. */
export const MAX_REQUEST_BYTES = 16 * 1024 * 1024;
/** Bytes of a response. */
export const MAX_RESPONSE_BYTES = 32 * 1024 * 1024;
/** The collection of requests that name none; FiftyOne's own name. */
export const DEFAULT_COLLECTION = "execution_store";

/** The database of a MongoDB whose URI names none. */
export const DEFAULT_DATABASE = "execution_store";
/** The key that marks a store's own document in FiftyOne's collection; reserved. */
export const STORE_KEY = "__store__";
