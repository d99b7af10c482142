import { createHash } from "node:crypto";
import type { HistoryPoint, Position, Selector } from "../store/changes.js";
import { invalidField, type StoreError } from "../store/errors.js";

const VERSION = 1;
const HASH_BYTES = 12;
/** The version, the checksum and the length of the history's name. */
const HEADER_BYTES = 1 + HASH_BYTES + 1;

function tokenInvalid(): StoreError {
  return invalidField(
    "RESUME_TOKEN_INVALID",
    "resume_token",
    "is no token of this watch; pass the last resume_token as it came, with the same collection_name, dataset_id, all_contexts, store_name, key and key_prefix, or leave it empty and take a snapshot",
  );
}

/**
 * Makes and reads the resume tokens of the watches of one selector. A token holds its place whole, so that it outlives
 * restarts and works on every server of the deployment; the checksum binds it to the selector. It guards against
 * mistakes, not against forgery: a forged one can name no more than another place in the same history.
 */
export class ResumeTokens {
  /** Those of a selector and a history have one name. */
  readonly name: string;
  /** How many use it. */
  users = 0;
  readonly #selectorLength: number;
  #position: Position | undefined;
  #token = "";

  constructor(selector: string, history: string) {
    this.name = selector + history;
    this.#selectorLength = selector.length;
  }

  at(position: Position): string {
    if (position !== this.#position) {
      const header = Buffer.of(VERSION);
      const selector = this.name.slice(0, this.#selectorLength);
      const history = this.name.slice(this.#selectorLength);
      const content = Buffer.from(`${String.fromCharCode(history.length)}${history}${position}`, "latin1");
      this.#token = Buffer.concat([header, checksum(selector, content), content]).toString("base64url");
      this.#position = position;
    }
    return this.#token;
  }
}

/** Throws RESUME_TOKEN_INVALID for all but a token of this selector. */
export function decodeResumeToken(collection: string, selector: Selector, token: string): HistoryPoint {
  const bytes = Buffer.from(token, "base64url");
  // Decoding skips what is none; only the canonical spelling is a token.
  if (bytes.toString("base64url") !== token || bytes.length < HEADER_BYTES) throw tokenInvalid();
  const content = bytes.subarray(1 + HASH_BYTES);
  const expected = checksum(selectorText(collection, selector), content);
  if (bytes[0] !== VERSION || !expected.equals(bytes.subarray(1, 1 + HASH_BYTES))) throw tokenInvalid();
  const split = 1 + (content[0] ?? 0);
  return { history: content.toString("latin1", 1, split), position: content.toString("latin1", split) };
}

/** Names a selector. */
export function selectorText(collection: string, { datasetId, storeName, key, keyPrefix }: Selector): string {
  return JSON.stringify([collection, datasetId ?? null, storeName ?? null, key ?? null, keyPrefix]);
}

function checksum(selector: string, content: Buffer): Buffer {
  return createHash("sha256").update(selector).update(content).digest().subarray(0, HASH_BYTES);
}
