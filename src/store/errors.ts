import { MAX_VALUE_BYTES } from "./limits.js";

/** What went wrong, as callers need to tell it apart. Named as the gRPC status that says it. */
export type ErrorKind =
  | "INVALID_ARGUMENT"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "FAILED_PRECONDITION"
  | "OUT_OF_RANGE"
  | "PERMISSION_DENIED"
  | "UNAUTHENTICATED"
  | "RESOURCE_EXHAUSTED"
  | "UNAVAILABLE"
  | "DEADLINE_EXCEEDED"
  | "CANCELLED"
  | "UNIMPLEMENTED"
  | "INTERNAL";

/** Every reason that the service gives, with its kind. A reason never changes its meaning or its kind. */
export const REASONS = {
  REQUEST_MALFORMED: "INVALID_ARGUMENT",
  DATASET_ID_INVALID: "INVALID_ARGUMENT",
  STORE_NAME_INVALID: "INVALID_ARGUMENT",
  KEY_INVALID: "INVALID_ARGUMENT",
  KEY_RESERVED: "INVALID_ARGUMENT",
  KEY_REPEATED: "INVALID_ARGUMENT",
  BATCH_TOO_LARGE: "INVALID_ARGUMENT",
  PREFIX_INVALID: "INVALID_ARGUMENT",
  PAGE_SIZE_INVALID: "INVALID_ARGUMENT",
  PAGE_TOKEN_INVALID: "INVALID_ARGUMENT",
  VALUE_MISSING: "INVALID_ARGUMENT",
  VALUE_AMBIGUOUS: "INVALID_ARGUMENT",
  VALUE_INVALID: "INVALID_ARGUMENT",
  VALUE_TOO_DEEP: "INVALID_ARGUMENT",
  METADATA_INVALID: "INVALID_ARGUMENT",
  EXPECTED_MISSING: "INVALID_ARGUMENT",
  EXPECTED_AMBIGUOUS: "INVALID_ARGUMENT",
  ETAG_EMPTY: "INVALID_ARGUMENT",
  TTL_MISSING: "INVALID_ARGUMENT",
  TTL_NOT_POSITIVE: "INVALID_ARGUMENT",
  TTL_TOO_LONG: "INVALID_ARGUMENT",
  TTL_INVALID: "INVALID_ARGUMENT",
  POLICY_INVALID: "INVALID_ARGUMENT",
  ENCODING_INVALID: "INVALID_ARGUMENT",
  SELECTOR_AMBIGUOUS: "INVALID_ARGUMENT",
  EVENT_TYPE_INVALID: "INVALID_ARGUMENT",
  PROGRESS_INTERVAL_INVALID: "INVALID_ARGUMENT",
  RESUME_TOKEN_INVALID: "INVALID_ARGUMENT",
  STORE_NOT_FOUND: "NOT_FOUND",
  KEY_NOT_FOUND: "NOT_FOUND",
  SERVICE_NOT_FOUND: "NOT_FOUND",
  STORE_ALREADY_EXISTS: "ALREADY_EXISTS",
  VALUE_TOO_DEEP_FOR_JSON: "FAILED_PRECONDITION",
  REPLICA_SET_REQUIRED: "FAILED_PRECONDITION",
  PREVIOUS_UNAVAILABLE: "FAILED_PRECONDITION",
  HISTORY_LOST: "OUT_OF_RANGE",
  WATCH_TOO_SLOW: "RESOURCE_EXHAUSTED",
  COLLECTION_NOT_ALLOWED: "PERMISSION_DENIED",
  REQUEST_TOO_LARGE: "RESOURCE_EXHAUSTED",
  VALUE_TOO_LARGE: "RESOURCE_EXHAUSTED",
  METADATA_TOO_LARGE: "RESOURCE_EXHAUSTED",
  STORAGE_FULL: "RESOURCE_EXHAUSTED",
  WRITES_BACKED_UP: "RESOURCE_EXHAUSTED",
  DIRECTORY_IN_USE: "FAILED_PRECONDITION",
  FORMAT_UNKNOWN: "FAILED_PRECONDITION",
  DIRECTORY_UNUSABLE: "FAILED_PRECONDITION",
  SHUTTING_DOWN: "UNAVAILABLE",
  DATABASE_UNREACHABLE: "UNAVAILABLE",
  DATABASE_PERMISSION_DENIED: "PERMISSION_DENIED",
  DATABASE_CONFLICT: "UNAVAILABLE",
  KEY_TAKEN: "FAILED_PRECONDITION",
  DATABASE_BUSY: "RESOURCE_EXHAUSTED",
  DATABASE_UNUSABLE: "FAILED_PRECONDITION",
  DATABASE_URI_INVALID: "INVALID_ARGUMENT",
  SERVER_UNREACHABLE: "UNAVAILABLE",
  DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED",
  CANCELLED: "CANCELLED",
  INTERNAL: "INTERNAL",

  // Of client libraries, which never travel.
  CLIENT_OPTION_INVALID: "INVALID_ARGUMENT",
  CLIENT_CLOSED: "FAILED_PRECONDITION",

  // The kind alone: where an answer names no reason, or one that this version does not know.
  INVALID_ARGUMENT: "INVALID_ARGUMENT",
  NOT_FOUND: "NOT_FOUND",
  ALREADY_EXISTS: "ALREADY_EXISTS",
  FAILED_PRECONDITION: "FAILED_PRECONDITION",
  OUT_OF_RANGE: "OUT_OF_RANGE",
  PERMISSION_DENIED: "PERMISSION_DENIED",
  UNAUTHENTICATED: "UNAUTHENTICATED",
  RESOURCE_EXHAUSTED: "RESOURCE_EXHAUSTED",
  UNAVAILABLE: "UNAVAILABLE",
  UNIMPLEMENTED: "UNIMPLEMENTED",
} as const satisfies Record<string, ErrorKind>;

/** A stable name for one cause, for programs. */
export type Reason = keyof typeof REASONS;

/** Whether a failed write changed anything: certainly not, or nobody knows. */
export type Outcome = "NOT_APPLIED" | "UNKNOWN";

/** What one field of a request has wrong. `field` is a path in the wire's names, such as `entries[3].key`. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/** What a NOT_FOUND or ALREADY_EXISTS is about. */
export interface Resource {
  readonly type: "key" | "store" | "service";
  readonly name: string;
}

/** What an error carries besides its reason and its message. */
export interface ErrorDetails {
  /** The fields at fault, for INVALID_ARGUMENT. */
  readonly violations?: readonly FieldViolation[];
  /** The thing that is, or is not, there. */
  readonly resource?: Resource;
  /** For errors of writes. */
  readonly outcome?: Outcome;
  /** For UNAVAILABLE: when to try again, in milliseconds. */
  readonly retryAfterMs?: number;
  /** For INTERNAL: what the log files the cause under. */
  readonly errorId?: string;
  /** For the end of a watch: where it can go on. */
  readonly resumeToken?: string;
  /** The underlying error. Stays in the process: it is logged and never sent. */
  readonly cause?: unknown;
}

/**
 * The one error that the service, its engines and its clients throw. Tell errors apart by `kind` or, finer, by
 * `reason`; the message is for people. It names what was wrong, what was expected and what to do, and never
 * holds a value.
 */
export class StoreError extends Error {
  override readonly name = "StoreError";
  /** The class of the error. */
  readonly kind: ErrorKind;
  /** The fields at fault, for INVALID_ARGUMENT; else empty. */
  readonly violations: readonly FieldViolation[];
  readonly resource: Resource | undefined;
  readonly outcome: Outcome | undefined;
  readonly retryAfterMs: number | undefined;
  readonly errorId: string | undefined;
  /** For the end of a watch: where it can go on; undefined if there is no such place. */
  readonly resumeToken: string | undefined;

  constructor(
    /** The stable cause. */
    readonly reason: Reason,
    message: string,
    details: ErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.kind = REASONS[reason];
    this.violations = details.violations ?? [];
    this.resource = details.resource;
    this.outcome = details.outcome;
    this.retryAfterMs = details.retryAfterMs;
    this.errorId = details.errorId;
    this.resumeToken = details.resumeToken;
  }
}

/** Narrows an unknown error to a StoreError, optionally of one kind or one reason. */
export function isStoreError(error: unknown, kindOrReason?: ErrorKind | Reason): error is StoreError {
  return (
    error instanceof StoreError &&
    (kindOrReason === undefined || error.kind === kindOrReason || error.reason === kindOrReason)
  );
}

/** The same error with other words or details. */
function changed(error: StoreError, changes: ErrorDetails, message = error.message): StoreError {
  const { reason, violations, resource, outcome, retryAfterMs, errorId, resumeToken, cause } = error;
  return new StoreError(reason, message, {
    violations,
    cause: cause ?? error,
    ...(resource !== undefined && { resource }),
    ...(outcome !== undefined && { outcome }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(errorId !== undefined && { errorId }),
    ...(resumeToken !== undefined && { resumeToken }),
    ...changes,
  });
}

/** The same error with another outcome, and perhaps other words. */
export function withOutcome(error: StoreError, outcome: Outcome, message = error.message): StoreError {
  return changed(error, { outcome }, message);
}

/** The same error, which ends a watch that can go on at a token. */
export function withResumeToken(error: StoreError, resumeToken: string | undefined): StoreError {
  return resumeToken === undefined ? error : changed(error, { resumeToken });
}

/** The end of a watch whose place is not in the history any more, or never was. */
export function historyLost(why: string): StoreError {
  return new StoreError(
    "HISTORY_LOST",
    `the changes after this place cannot be told: ${why}; take a snapshot and go on from there`,
  );
}

/** An INVALID_ARGUMENT about one field; its message is the field's name followed by the description. */
export function invalidField(reason: Reason, field: string, description: string): StoreError {
  return new StoreError(reason, `${field} ${description}`, { violations: [{ field, description }] });
}

/** A NOT_FOUND about a key. The outcome of a failed lookup is known: nothing was written. */
export function keyNotFound(storeName: string, key: string): StoreError {
  return new StoreError(
    "KEY_NOT_FOUND",
    `key ${JSON.stringify(key)} is not in store ${JSON.stringify(storeName)}; set it first, or check dataset_id and spelling`,
    { resource: { type: "key", name: `${storeName}/${key}` }, outcome: "NOT_APPLIED" },
  );
}

/** A NOT_FOUND about a store. */
export function storeNotFound(storeName: string): StoreError {
  return new StoreError(
    "STORE_NOT_FOUND",
    `store ${JSON.stringify(storeName)} does not exist in this context; create it or set a key in it, or check dataset_id and spelling`,
    { resource: { type: "store", name: storeName }, outcome: "NOT_APPLIED" },
  );
}

/** An ALREADY_EXISTS about a store's own document. */
export function storeAlreadyExists(storeName: string): StoreError {
  return new StoreError(
    "STORE_ALREADY_EXISTS",
    `store ${JSON.stringify(storeName)} already has a document in this context; use it, or delete the store first`,
    { resource: { type: "store", name: storeName }, outcome: "NOT_APPLIED" },
  );
}

/** A compare-and-set whose two values are over the limit together; `bytes` is their sum. */
export function expectedAndValueTooLarge(bytes: number): StoreError {
  return new StoreError(
    "VALUE_TOO_LARGE",
    `expected and value take ${bytes} bytes together as BSON; expected at most ${MAX_VALUE_BYTES}, so compare by etag or store less`,
  );
}
