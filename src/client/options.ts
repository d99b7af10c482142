import type { ObjectId } from "bson";
import type { Policy } from "../store/document.js";
import type { ValueEncoding } from "./documents.js";
import type { RetryOptions } from "./retry.js";

/** What every call takes. */
export interface CallOptions {
  /** Ends the call, which then rejects with StoreError CANCELLED. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Milliseconds until the call, with its retries, rejects with StoreError DEADLINE_EXCEEDED. Methods that send
   * several requests (lists, batches over the limits) have as long for each. Infinity, or more
   * than 1e9 (about 11 days): no limit.
   *
   * @default the service's timeoutMs
   */
  readonly timeoutMs?: number | undefined;
}

/** How a key is set. */
export interface SetOptions extends CallOptions {
  /** Seconds until the key expires; greater than 0, at most 100 years, rounded up to a millisecond. Makes the policy "evict". */
  readonly ttl?: number | undefined;
  /** @default "persist" */
  readonly policy?: Policy | undefined;
}

/** How a cache key is set. */
export interface SetCacheOptions extends CallOptions {
  /** As SetOptions.ttl. */
  readonly ttl?: number | undefined;
}

/** How a key is set by compare-and-set. Without ttl: no policy keeps policy and expiry, "persist" removes the expiry, "evict" keeps it. */
export interface CompareAndSetOptions extends CallOptions {
  /** As SetOptions.ttl. */
  readonly ttl?: number | undefined;
  /** As it is, if not given. */
  readonly policy?: Policy | undefined;
}

/** What must be there for a compare-and-set to write: an equal value, or exactly this version. */
export type Expectation = { readonly expected: unknown } | { readonly etag: string };

/** How a store is created. */
export interface CreateStoreOptions extends CallOptions {
  /** Free data about the store, at most 1 MiB as BSON. It travels as JSON: at most 30 levels deep. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  /** @default "persist" */
  readonly policy?: Policy | undefined;
}

/** How a key is deleted. */
export interface DeleteKeyOptions extends CallOptions {
  /** Delete only this version. Undefined is refused, lest a missing version become "any version". */
  readonly etag?: string;
}

/** How values are read. */
export interface ReadOptions<E extends ValueEncoding = ValueEncoding> extends CallOptions {
  /** @default "plain" */
  readonly encoding?: E | undefined;
}

/** Which names count. */
export interface PrefixOptions extends CallOptions {
  /** Only names that start with it. */
  readonly prefix?: string | undefined;
}

/** Which names are listed, and how. */
export interface ListOptions extends PrefixOptions {
  /**
   * The most items that one request fetches: 1 to 10,000. A matter of memory and speed only.
   *
   * @default 1000
   */
  readonly pageSize?: number | undefined;
}

/** Which documents are listed, and how. */
export interface ListValuesOptions<E extends ValueEncoding = ValueEncoding> extends ListOptions {
  /** @default "plain" */
  readonly encoding?: E | undefined;
}

/** One key of batchSetKeys. */
export interface SetEntry {
  readonly key: string;
  readonly value: unknown;
  /** As SetOptions.ttl. */
  readonly ttl?: number | undefined;
  /** @default "persist" */
  readonly policy?: Policy | undefined;
}

/** Which stores a service sees. */
export interface ContextOptions {
  /** The dataset whose stores these are: an ObjectId, or its 24 hex digits. Not given: stores tied to no dataset. */
  readonly datasetId?: string | ObjectId | undefined;
  /** The collection on the server. @default the server's default, `execution_store` */
  readonly collectionName?: string | undefined;
}

/** How TLS is done. */
export interface TlsOptions {
  /** PEM of the certificate authorities to trust. @default those of Node.js */
  readonly rootCertificates?: string | Uint8Array | undefined;
  /** PEM of the client's key, where the server asks for one; with certificateChain. */
  readonly privateKey?: string | Uint8Array | undefined;
  /** PEM of the client's certificate, where the server asks for one; with privateKey. */
  readonly certificateChain?: string | Uint8Array | undefined;
  /** The name that the server's certificate must carry. @default the host of the address */
  readonly serverName?: string | undefined;
}

/** Headers of every request, such as `{ authorization: "Bearer …" }`. */
export type RequestHeaders = Readonly<Record<string, string>>;

/** How a server is reached. */
export interface ConnectionOptions {
  /**
   * `HOST:PORT`, `unix:/PATH`, or a gRPC target such as `dns:///HOST:PORT`.
   *
   * @default the environment's EXECUTION_STORE_ADDRESS, or 127.0.0.1:50051
   */
  readonly address?: string | undefined;
  /** As CallOptions.timeoutMs, for every call. @default 30000 */
  readonly timeoutMs?: number | undefined;
  /** How failed calls are repeated, where that is safe; false: never. */
  readonly retry?: RetryOptions | false | undefined;
  /** True: TLS with the usual trust. @default false */
  readonly tls?: boolean | TlsOptions | undefined;
  /** Headers of every request; a function is asked before each, so that a token may change. */
  readonly headers?: RequestHeaders | (() => RequestHeaders | Promise<RequestHeaders>) | undefined;
}

/** How a service is opened. */
export interface ServiceOptions extends ConnectionOptions, ContextOptions {}
