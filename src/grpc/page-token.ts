import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { invalidField, type StoreError } from "../store/errors.js";
import { MAX_KEY_BYTES } from "../store/limits.js";

const VERSION = 1;
const HASH_BYTES = 12;
const HEADER_BYTES = 1 + HASH_BYTES;
/**
 * Bytes of the longest cursor: a key, or a dataset id, a slash and a store name. An engine that lists longer names,
 * which other writers made, needs more; the bound keeps a forged token from asking an engine for a name beyond it.
 */
const MAX_CURSOR_BYTES = MAX_KEY_BYTES;

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
  const bytes = Buffer.from(cursor, "utf8");
  return Buffer.concat([Buffer.of(VERSION), checksum(listing, cursor), bytes]).toString("base64url");
}

/** A PAGE_TOKEN_INVALID. */
export function pageTokenInvalid(): StoreError {
  return invalidField(
    "PAGE_TOKEN_INVALID",
    "page_token",
    "is no token of this listing; pass next_page_token of the page before with the same method, dataset_id, collection_name, store_name and prefix, or leave it empty to start over",
  );
}

/** The cursor in a token of this listing. Throws PAGE_TOKEN_INVALID for anything else. */
export function decodePageToken(listing: Listing, token: string): string {
  const bytes = Buffer.from(token, "base64url");
  const cursor = bytes.subarray(HEADER_BYTES);
  // Decoding skips what is no base64url; only the canonical spelling is a token.
  if (bytes.toString("base64url") !== token || bytes[0] !== VERSION) throw pageTokenInvalid();
  if (cursor.length === 0 || cursor.length > MAX_CURSOR_BYTES || !isUtf8(cursor)) throw pageTokenInvalid();
  const text = cursor.toString("utf8");
  if (!checksum(listing, text).equals(bytes.subarray(1, HEADER_BYTES))) throw pageTokenInvalid();
  return text;
}
