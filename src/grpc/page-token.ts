import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { invalidField, type StoreError } from "../store/errors.js";
import { MAX_KEY_BYTES } from "../store/limits.js";

const VERSION = 1;
const HASH_BYTES = 12;
const HEADER_BYTES = 1 + HASH_BYTES;
/** Characters of the header in base64url. */
const HEADER_CHARS = Math.ceil((HEADER_BYTES * 4) / 3);
/** Bytes of the longest cursor that base64url carries: a key, or a dataset id, a slash and a store name. */
const MAX_ENCODED_BYTES = MAX_KEY_BYTES;
/**
 * Begins the token of a longer cursor: a name that another writer made, which may take nearly all that a request may.
 * It goes as it is behind the header, since base64url would make it too long to be sent back.
 */
const LONG = "~";

/** What a page token belongs to: a token of one listing is no token of another. */
export interface Listing {
  readonly method: string;
  readonly collection: string;
  readonly datasetId: string;
  readonly storeName: string;
  readonly prefix: string;
}

function checksum(listing: Listing, cursor: string): Buffer {
  const { method, collection, datasetId, storeName, prefix } = listing;
  const text = JSON.stringify([method, collection, datasetId, storeName, prefix, cursor]);
  return createHash("sha256").update(text).digest().subarray(0, HASH_BYTES);
}

/**
 * An opaque token for the place behind `cursor` in a listing. It holds all of its state, so it outlives restarts
 * and works on every server. It guards against mistakes, not against forgery: a forged one can name no more than
 * another place in the same listing.
 */
export function encodePageToken(listing: Listing, cursor: string): string {
  const header = Buffer.concat([Buffer.of(VERSION), checksum(listing, cursor)]);
  const bytes = Buffer.from(cursor, "utf8");
  if (bytes.length > MAX_ENCODED_BYTES) return `${LONG}${header.toString("base64url")}${cursor}`;
  return Buffer.concat([header, bytes]).toString("base64url");
}

/** A PAGE_TOKEN_INVALID. */
export function pageTokenInvalid(): StoreError {
  return invalidField(
    "PAGE_TOKEN_INVALID",
    "page_token",
    "is no token of this listing; pass next_page_token of the page before with the same method, dataset_id, collection_name, store_name and prefix, or leave it empty to start over",
  );
}

interface TokenParts {
  readonly header: Buffer;
  readonly cursor: string;
}

/** Decodes base64url. Decoding skips what is none; only the canonical spelling is a token. */
function decode(text: string): Buffer {
  const bytes = Buffer.from(text, "base64url");
  if (bytes.toString("base64url") !== text) throw pageTokenInvalid();
  return bytes;
}

function splitEncoded(token: string): TokenParts {
  const bytes = decode(token);
  const cursor = bytes.subarray(HEADER_BYTES);
  if (!isUtf8(cursor)) throw pageTokenInvalid();
  return { header: bytes.subarray(0, HEADER_BYTES), cursor: cursor.toString("utf8") };
}

function splitLong(token: string): TokenParts {
  const at = LONG.length + HEADER_CHARS;
  return { header: decode(token.slice(LONG.length, at)), cursor: token.slice(at) };
}

/** The cursor in a token of this listing. Throws PAGE_TOKEN_INVALID for anything else. */
export function decodePageToken(listing: Listing, token: string): string {
  const { header, cursor } = token.startsWith(LONG) ? splitLong(token) : splitEncoded(token);
  if (header[0] !== VERSION || !checksum(listing, cursor).equals(header.subarray(1)))
    throw pageTokenInvalid();
  return cursor;
}
