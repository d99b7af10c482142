import { KeyPolicy, ValueEncoding } from "../../gen/ts/execution_store/v1/execution_store.js";
import type { Duration } from "../../gen/ts/google/protobuf/duration.js";
import type { Policy, Scope } from "../store/document.js";
import type { BatchEntry, Expectation, GlobalCursor, PageRequest, Write } from "../store/engine.js";
import {
  expectedAndValueTooLarge,
  type FieldViolation,
  invalidField,
  isStoreError,
  StoreError,
} from "../store/errors.js";
import {
  DEFAULT_COLLECTION,
  DEFAULT_PAGE_SIZE,
  MAX_BATCH_KEYS,
  MAX_METADATA_BYTES,
  MAX_PAGE_SIZE,
  MAX_VALUE_BYTES,
} from "../store/limits.js";
import {
  checkDatasetId,
  checkKey,
  checkPrefix,
  checkStoreName,
  keyError,
  type NameUse,
} from "../store/names.js";
import { checkValueBson } from "../value/check-bson.js";
import { jsonToBson, structToBson } from "../value/json-to-bson.js";
import type { ValueForm } from "./document-field.js";
import { decodePageToken, encodePageToken, type Listing, pageTokenInvalid } from "./page-token.js";
import { ttlToMs } from "./ttl.js";

/** A value as requests carry it; the generated types of its fields hold encoded bytes. */
interface ValueFields {
  readonly value: unknown;
  readonly valueBson?: Uint8Array | undefined;
}

/** The expected state as CompareAndSetKey carries it. */
interface ExpectedFields {
  readonly expected: unknown;
  readonly expectedBson?: Uint8Array | undefined;
  readonly etag?: string | undefined;
}

/** How requests say how long a key lives. */
interface TtlFields {
  readonly ttl: Duration | undefined;
  readonly policy: KeyPolicy;
}

/** What the paged requests have in common. */
interface PageFields {
  readonly pageSize: number;
  readonly pageToken: string;
  readonly prefix: string;
}

/** A page to ask for, and the token for the place behind it. */
interface List<Cursor> {
  readonly page: PageRequest<Cursor>;
  readonly token: (next: Cursor | undefined) => string;
}

/** The text of a place among the stores of all contexts: dataset id, slash, store name. */
const GLOBAL_CURSOR = /^(?<datasetId>(?:[0-9a-f]{24})?)\/(?<storeName>.*)$/su;

function globalCursor(text = ""): GlobalCursor {
  const { datasetId, storeName } = GLOBAL_CURSOR.exec(text)?.groups ?? {};
  if (datasetId === undefined || storeName === undefined) throw pageTokenInvalid();
  return { datasetId, storeName };
}

const NO_BYTES = new Uint8Array(0);

/**
 * Turns the fields of one request into what an engine takes. A field at fault is noted, not thrown, and gives a
 * stand-in, so that one answer names all of them: `done()` must be called before anything is used.
 */
export class RequestCheck {
  #first: StoreError | undefined;
  readonly #violations: FieldViolation[] = [];

  constructor(readonly collections: ReadonlySet<string>) {}

  /** Throws if a field was at fault: the first error's reason, with the violations of all. Nothing was written. */
  done(): void {
    const first = this.#first;
    if (first === undefined) return;
    if (first.kind !== "INVALID_ARGUMENT" || this.#violations.length < 2) {
      throw new StoreError(first.reason, first.message, {
        violations: first.violations,
        outcome: "NOT_APPLIED",
      });
    }
    const others = this.#violations.slice(1, 11).map((violation) => violation.field);
    const more = this.#violations.length > 11 ? ", …" : "";
    const message = `${first.message} (also at fault: ${others.join(", ")}${more})`;
    throw new StoreError(first.reason, message, { violations: this.#violations, outcome: "NOT_APPLIED" });
  }

  /** Runs a check; a StoreError that it throws is noted, and the stand-in answered. */
  attempt<T>(check: () => T, standIn: T): T {
    try {
      return check();
    } catch (error) {
      if (!isStoreError(error)) throw error;
      return this.#note(error, standIn);
    }
  }

  scope(request: { readonly collectionName: string; readonly datasetId: string }): Scope {
    const collection = this.collection(request);
    const datasetId = this.attempt(() => checkDatasetId(request.datasetId), "");
    return { collection, datasetId };
  }

  collection(request: { readonly collectionName: string }): string {
    const collection = request.collectionName === "" ? DEFAULT_COLLECTION : request.collectionName;
    if (!this.collections.has(collection)) {
      this.#note(
        new StoreError(
          "COLLECTION_NOT_ALLOWED",
          "collection_name is none that this server serves; leave it empty for the default, or have the server started with its name in --collections (EXECUTION_STORE_COLLECTIONS)",
        ),
      );
    }
    return collection;
  }

  storeName(storeName: string, use: NameUse): string {
    return this.attempt(() => checkStoreName(storeName, use), storeName);
  }

  key(key: string, use: NameUse, field = "key"): string {
    return this.attempt(() => checkKey(key, field, use), key);
  }

  /** The distinct keys of a batch to find, in the order of first mention. */
  keys(keys: readonly string[]): string[] {
    if (!this.#batchSize(keys.length, "keys")) return [];
    for (const [index, key] of keys.entries()) {
      const error = keyError(key, `keys[${index}]`, "find");
      if (error !== undefined) this.#note(error);
    }
    return [...new Set(keys)];
  }

  /** The value document of a request's value. `path` comes before the names of the fields. */
  value(request: ValueFields, path = ""): Uint8Array {
    const { value, valueBson } = request;
    if (value !== undefined && valueBson !== undefined) {
      const problem = "and value_bson are both set; expected exactly one of them, so leave the other out";
      return this.#note(invalidField("VALUE_AMBIGUOUS", `${path}value`, problem), NO_BYTES);
    }
    if (value === undefined && valueBson === undefined) {
      const problem = "and value_bson are both unset; expected exactly one of them (JSON null is a value)";
      return this.#note(invalidField("VALUE_MISSING", `${path}value`, problem), NO_BYTES);
    }
    return this.#document(value, valueBson, `${path}value`);
  }

  /** What CompareAndSetKey expects; `value` is its new value, since both together are limited. */
  expected(request: ExpectedFields, value: Uint8Array): Expectation {
    const { expected, expectedBson, etag } = request;
    const count =
      Number(expected !== undefined) + Number(expectedBson !== undefined) + Number(etag !== undefined);
    if (count !== 1) {
      const problem = `and its alternatives expected_bson and etag: ${count} of the three are set; expected exactly one`;
      const reason = count === 0 ? "EXPECTED_MISSING" : "EXPECTED_AMBIGUOUS";
      return this.#note(invalidField(reason, "expected", problem), { etag: "" });
    }
    if (etag !== undefined) return { etag: this.etag(etag) ?? "" };
    const document = this.#document(expected, expectedBson, "expected");
    const bytes = document.length + value.length;
    if (bytes > MAX_VALUE_BYTES) {
      this.#note(expectedAndValueTooLarge(bytes));
    }
    return { value: document };
  }

  /** An optional condition: unset is none, empty is a mistake. */
  etag(etag: string | undefined): string | undefined {
    if (etag !== "") return etag;
    const problem = "is empty; expected the etag of a document, or leave it unset for no condition";
    return this.#note(invalidField("ETAG_EMPTY", "etag", problem), etag);
  }

  metadata(struct: unknown): Uint8Array | undefined {
    if (struct === undefined) return undefined;
    const metadata = this.attempt(() => structToBson(struct as Uint8Array, "metadata"), NO_BYTES);
    if (metadata.length > MAX_METADATA_BYTES) {
      const problem = `metadata takes ${metadata.length} bytes as BSON; expected at most ${MAX_METADATA_BYTES}, so keep large data under a key`;
      this.#note(new StoreError("METADATA_TOO_LARGE", problem));
    }
    return metadata;
  }

  /** Whole milliseconds; undefined where the request has none. */
  ttl(ttl: Duration | undefined, path = ""): number | undefined {
    return ttl === undefined ? undefined : this.attempt(() => ttlToMs(ttl, `${path}ttl`), 1);
  }

  requiredTtl(ttl: Duration | undefined): number {
    if (ttl !== undefined) return this.attempt(() => ttlToMs(ttl, "ttl"), 1);
    const problem = "is unset; expected a duration, or use UpdatePolicy with PERSIST to remove the expiry";
    return this.#note(invalidField("TTL_MISSING", "ttl", problem), 1);
  }

  /** The policy that a request names; undefined where it names none. */
  policy(policy: KeyPolicy, path = ""): Policy | undefined {
    switch (policy) {
      case KeyPolicy.KEY_POLICY_UNSPECIFIED:
        return undefined;
      case KeyPolicy.KEY_POLICY_PERSIST:
        return "persist";
      case KeyPolicy.KEY_POLICY_EVICT:
        return "evict";
    }
    // A caller with a newer contract may send numbers that the generated type does not have.
    const problem = `is ${String(policy)}, which is no KeyPolicy; expected 0 (unspecified), 1 (PERSIST) or 2 (EVICT)`;
    return this.#note(invalidField("POLICY_INVALID", `${path}policy`, problem), undefined);
  }

  requiredPolicy(policy: KeyPolicy): Policy {
    const named = this.policy(policy);
    if (named === undefined && policy === KeyPolicy.KEY_POLICY_UNSPECIFIED) {
      this.#note(
        invalidField("POLICY_INVALID", "policy", "is unspecified; expected 1 (PERSIST) or 2 (EVICT)"),
      );
    }
    return named ?? "persist";
  }

  encoding(encoding: ValueEncoding): ValueForm {
    switch (encoding) {
      case ValueEncoding.VALUE_ENCODING_UNSPECIFIED:
      case ValueEncoding.VALUE_ENCODING_JSON:
        return "json";
      case ValueEncoding.VALUE_ENCODING_BSON:
        return "bson";
      case ValueEncoding.VALUE_ENCODING_NONE:
        return "none";
    }
    const problem = `is ${String(encoding)}, which is no ValueEncoding; expected 0 or 1 (JSON), 2 (BSON) or 3 (NONE)`;
    return this.#note(invalidField("ENCODING_INVALID", "encoding", problem), "none");
  }

  prefix(prefix: string): string {
    return this.attempt(() => checkPrefix(prefix), "");
  }

  /** What a set writes. `path` comes before the names of the fields. */
  write(request: ValueFields & TtlFields, path = ""): Write {
    const value = this.value(request, path);
    const ttlMs = this.ttl(request.ttl, path);
    return { value, ttlMs, policy: this.policy(request.policy, path) ?? "persist" };
  }

  /** The entries of a batch: each valid, each key once. */
  entries(entries: readonly (ValueFields & TtlFields & { readonly key: string })[]): BatchEntry[] {
    if (!this.#batchSize(entries.length, "entries")) return [];
    const indexes = new Map<string, number>();
    return entries.map((entry, index) => {
      const path = `entries[${index}].`;
      const key = this.key(entry.key, "write", `${path}key`);
      const first = indexes.get(key);
      if (first === undefined) {
        indexes.set(key, index);
      } else {
        const problem = `is the key of entries[${first}], too; expected each key once, so leave one entry out`;
        this.#note(invalidField("KEY_REPEATED", `${path}key`, problem));
      }
      return { key, ...this.write(entry, path) };
    });
  }

  /** Which part of a listing of stores or keys a request asks for, and how the place behind it is named. */
  list(request: PageFields, listing: Omit<Listing, "prefix">): List<string> {
    const prefix = this.prefix(request.prefix);
    const bound = { ...listing, prefix };
    const after = this.#pageToken(request, bound);
    return {
      page: { prefix, after, limit: this.#pageSize(request) },
      token: (next) => (next === undefined ? "" : encodePageToken(bound, next)),
    };
  }

  /** As list, for the stores of all contexts. */
  globalList(request: PageFields, listing: Pick<Listing, "method" | "collection">): List<GlobalCursor> {
    const { page, token } = this.list(request, { ...listing, datasetId: "", storeName: "" });
    const after =
      page.after === undefined ? undefined : this.attempt(() => globalCursor(page.after), undefined);
    return {
      page: { ...page, after },
      token: (next) => token(next && `${next.datasetId}/${next.storeName}`),
    };
  }

  #pageSize({ pageSize }: PageFields): number {
    if (pageSize < 0 || pageSize > MAX_PAGE_SIZE) {
      const problem = `is ${pageSize}; expected 1 to ${MAX_PAGE_SIZE}, or 0 for ${DEFAULT_PAGE_SIZE}`;
      this.#note(invalidField("PAGE_SIZE_INVALID", "page_size", problem));
    }
    return pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize;
  }

  #pageToken({ pageToken }: PageFields, listing: Listing): string | undefined {
    return pageToken === "" ? undefined : this.attempt(() => decodePageToken(listing, pageToken), undefined);
  }

  /** Whether a batch is small enough to be looked at. */
  #batchSize(length: number, field: string): boolean {
    if (length <= MAX_BATCH_KEYS) return true;
    const problem = `has ${length} items; expected at most ${MAX_BATCH_KEYS}, so split the batch`;
    this.#note(invalidField("BATCH_TOO_LARGE", field, problem));
    return false;
  }

  #document(json: unknown, bson: Uint8Array | undefined, field: string): Uint8Array {
    if (bson === undefined) return this.attempt(() => jsonToBson(json as Uint8Array, field), NO_BYTES);
    return this.attempt(() => {
      checkValueBson(bson, `${field}_bson`);
      return bson;
    }, NO_BYTES);
  }

  #note<T = undefined>(error: StoreError, standIn?: T): T {
    this.#first ??= error;
    this.#violations.push(...error.violations);
    return standIn as T;
  }
}
