import {
  MongoAPIError,
  MongoClientClosedError,
  MongoError,
  MongoNetworkError,
  MongoNotConnectedError,
  MongoServerClosedError,
  MongoServerError,
  MongoServerSelectionError,
  MongoTopologyClosedError,
  MongoWriteConcernError,
} from "mongodb";
import { type Outcome, type Reason, StoreError } from "../../store/errors.js";

/** Whether a call may change something. */
export type Access = "read" | "write";

/** When a caller may try again while the database is away, in milliseconds. */
export const RETRY_AFTER_MS = 1_000;

/** The server's error codes that this engine tells apart; the server's error_codes.yml explains them. */
export const CODES = {
  badValue: 2,
  unauthorized: 13,
  authenticationFailed: 18,
  namespaceNotFound: 26,
  maxTimeExpired: 50,
  indexOptionsConflict: 85,
  indexKeySpecsConflict: 86,
  writeConflict: 112,
  mechanismUnavailable: 334,
  atlasError: 8_000,
  duplicateKey: 11_000,
  outOfDiskSpace: 14_031,
} as const;

/** Of elections, shutdowns, and servers that lost each other: another attempt, or another server, may do. */
const AWAY: ReadonlySet<number> = new Set([
  6, 7, 89, 91, 133, 134, 189, 202, 262, 9001, 10_058, 10_107, 11_600, 11_602, 13_435, 13_436,
]);
/** Of sockets that the other side has ended. */
const SOCKET_CODES: ReadonlySet<unknown> = new Set(["EPIPE", "ECONNRESET", "ERR_STREAM_DESTROYED"]);
/** A cursor that went with its server, or with an index that its plan used. */
const CURSOR_LOST: ReadonlySet<number> = new Set([43, 175, 237, 136, 11_601]);
/** The document that a write would make is larger than MongoDB takes. */
const TOO_LARGE: ReadonlySet<number> = new Set([10_334, 17_419, 17_420, 17_260]);
/** No such user, a wrong password, a mechanism that is not enabled; Atlas has one code for many things. */
const REFUSED: ReadonlySet<number> = new Set([
  11,
  CODES.authenticationFailed,
  CODES.mechanismUnavailable,
  CODES.atlasError,
]);
/** The driver's label of errors that a connection met before it could be used. */
const HANDSHAKE = "HandshakeError";
/** Its operator keeps users from writing, as during a migration. */
const USER_WRITES_BLOCKED = 371;
const QUOTA_EXCEEDED = 12_501;

/** The details of an error of a call: its outcome is of writes alone. */
function details(access: Access, outcome: Outcome, cause: unknown) {
  return { cause, ...(access === "write" && { outcome }) };
}

/** An error for callers who come while no primary can be reached, or who lost it on the way. */
export function databaseUnreachable(access: Access, outcome: Outcome, cause?: unknown): StoreError {
  return new StoreError(
    "DATABASE_UNREACHABLE",
    "the server's MongoDB cannot be reached, has no primary or does not answer; try again in a moment, and tell the operator if it lasts",
    { ...details(access, outcome, cause), retryAfterMs: RETRY_AFTER_MS },
  );
}

/** An error for callers who find too many before them. */
export function databaseBusy(access: Access): StoreError {
  return new StoreError(
    "DATABASE_BUSY",
    "more calls wait for the server's MongoDB than it answers; try again in a moment, and call less at a time",
    details(access, "NOT_APPLIED", undefined),
  );
}

/** An error for callers who come when the engine closes. */
export function closing(access: Access, outcome: Outcome, cause?: unknown): StoreError {
  return new StoreError("SHUTTING_DOWN", "the database is closing; try again in a moment", {
    ...details(access, outcome, cause),
    retryAfterMs: RETRY_AFTER_MS,
  });
}

/** The server's code of an error, whoever decoded it; undefined if it is none of the server's. */
export function serverCode(error: unknown): number | undefined {
  if (!(error instanceof MongoServerError)) return undefined;
  const code = Number(error.code);
  return Number.isNaN(code) ? undefined : code;
}

/** Whether a server lets a new connection's user not in: no other attempt helps until somebody mends that. */
export function isRefused(error: unknown): error is MongoServerError {
  if (!(error instanceof MongoServerError) || !error.hasErrorLabel(HANDSHAKE)) return false;
  return REFUSED.has(serverCode(error) ?? 0);
}

/** Whether a read that failed so may well succeed when it is made again. */
export function isTransient(error: unknown): boolean {
  if (isAway(error)) return true;
  const code = serverCode(error);
  return code !== undefined && (CURSOR_LOST.has(code) || code === CODES.writeConflict);
}

/**
 * The one translation of the driver's errors: by type and code, never by text.
 *
 * Of a write's outcome only what is certain is NOT_APPLIED. The driver repeats a write that got no answer once, and
 * tells of the second attempt only, so an error that could also follow a first attempt that was carried out (no
 * primary, no connection, refused by a former primary) says UNKNOWN. The server's verdict on the statement itself is
 * certain: were it carried out before, the server would know and say so.
 */
export function translate(error: unknown, access: Access): StoreError {
  if (error instanceof StoreError) return error;
  if (isClosed(error)) return closing(access, "UNKNOWN", harmless(error));
  // Also of those below that reach no majority: it was carried out, and may yet be undone.
  if (error instanceof MongoWriteConcernError || isAway(error)) {
    return databaseUnreachable(access, "UNKNOWN", harmless(error));
  }
  return ofServer(serverCode(error), error, access) ?? unexpected(error, access);
}

function ofServer(code: number | undefined, error: unknown, access: Access): StoreError | undefined {
  const make = (reason: Reason, message: string, outcome: Outcome, retryAfterMs?: number): StoreError =>
    new StoreError(reason, message, {
      ...details(access, outcome, harmless(error)),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    });
  switch (code) {
    case undefined:
      return undefined;
    case CODES.unauthorized:
      return make("DATABASE_PERMISSION_DENIED", permissionDenied(access), "NOT_APPLIED");
    case USER_WRITES_BLOCKED:
      return make(
        "DATABASE_UNREACHABLE",
        "the server's MongoDB takes no writes for now, by its operator's order; try again later",
        "NOT_APPLIED",
        RETRY_AFTER_MS,
      );
    case CODES.writeConflict:
      return make(
        "DATABASE_CONFLICT",
        "MongoDB gave this call up for others at the same time; try again",
        "NOT_APPLIED",
        0,
      );
    case CODES.outOfDiskSpace:
    case QUOTA_EXCEEDED:
      return make(
        "STORAGE_FULL",
        "MongoDB has no disk space left; free some there, or delete what is not needed",
        "UNKNOWN",
      );
    default:
      return TOO_LARGE.has(code)
        ? make(
            "VALUE_TOO_LARGE",
            "the document would be larger than the 16 MiB that MongoDB takes; store less",
            "NOT_APPLIED",
          )
        : undefined;
  }
}

function permissionDenied(access: Access): string {
  const role = access === "write" ? "readWrite" : "read";
  return `the server's user may not ${access} in its MongoDB; the operator may give it the role ${role} on the database`;
}

function unexpected(error: unknown, access: Access): StoreError {
  const outcome = serverCode(error) === CODES.duplicateKey ? "NOT_APPLIED" : "UNKNOWN";
  return new StoreError(
    "INTERNAL",
    "MongoDB, or its driver, failed unexpectedly",
    details(access, outcome, harmless(error)),
  );
}

/** Whether a connection was lost. The driver lets some errors of its sockets through as they are. */
export function isNetworkError(error: unknown): boolean {
  if (error instanceof MongoNetworkError) return true;
  return error instanceof Error && "code" in error && SOCKET_CODES.has(error.code);
}

/** Whether the database was not there, or went away, or took too long. */
function isAway(error: unknown): boolean {
  if (isNetworkError(error) || error instanceof MongoServerSelectionError) return true;
  // Not exported by the driver: it waited for a free connection for too long.
  if (error instanceof MongoError && error.name === "MongoWaitQueueTimeoutError") return true;
  const code = serverCode(error);
  if (code === undefined) return false;
  return AWAY.has(code) || code === CODES.maxTimeExpired || isRefused(error);
}

function isClosed(error: unknown): boolean {
  return (
    error instanceof MongoClientClosedError ||
    error instanceof MongoNotConnectedError ||
    error instanceof MongoTopologyClosedError ||
    error instanceof MongoServerClosedError ||
    (error instanceof MongoError && error.name === "MongoPoolClosedError") ||
    (error instanceof MongoAPIError && error.name === "MongoExpiredSessionError")
  );
}

/**
 * What may be logged of an error. A server's text repeats the command that it refuses, keys and values with it, so
 * its number and name stand for it.
 */
function harmless(error: unknown): unknown {
  if (!(error instanceof MongoServerError)) return error;
  const { codeName } = error;
  const name = typeof codeName === "string" ? ` (${codeName})` : "";
  const copy = new Error(`MongoDB answered with error ${serverCode(error) ?? "without a code"}${name}`);
  copy.name = error.name;
  if (error.stack !== undefined) {
    // Of the stack, too, the text is the first lines.
    const frames = error.stack.split("\n").filter((line) => line.startsWith("    at "));
    copy.stack = [`${copy.name}: ${copy.message}`, ...frames].join("\n");
  }
  return Object.assign(copy, { code: serverCode(error) });
}
