import { type Metadata, status } from "@grpc/grpc-js";
import { BadRequest, ErrorInfo, ResourceInfo, RetryInfo } from "../../gen/ts/google/rpc/error_details.js";
import { Status } from "../../gen/ts/google/rpc/status.js";
import {
  type ErrorDetails,
  type ErrorKind,
  type Outcome,
  REASONS,
  type Reason,
  StoreError,
  withOutcome,
} from "../store/errors.js";
import { DETAIL_TYPE_PREFIX, ERROR_DOMAIN, STATUS_TRAILER } from "../store/wire-names.js";
import type { Failure } from "./transport.js";

/** What is known of a call that failed. */
export interface CallFacts {
  /** The method's name, for messages. */
  readonly method: string;
  /** Whether the method may write. */
  readonly writes: boolean;
  /** The server's address, for messages. */
  readonly address: string;
  /** What the call was given, in milliseconds. */
  readonly timeoutMs: number;
  /** The caller's. */
  readonly signal: AbortSignal | undefined;
}

const KINDS: Record<status, ErrorKind> = {
  [status.OK]: "INTERNAL",
  // Bare, it says that somebody other than the caller ended the call: a server or a proxy that goes down.
  [status.CANCELLED]: "UNAVAILABLE",
  [status.UNKNOWN]: "INTERNAL",
  [status.INVALID_ARGUMENT]: "INVALID_ARGUMENT",
  [status.DEADLINE_EXCEEDED]: "DEADLINE_EXCEEDED",
  [status.NOT_FOUND]: "NOT_FOUND",
  [status.ALREADY_EXISTS]: "ALREADY_EXISTS",
  [status.PERMISSION_DENIED]: "PERMISSION_DENIED",
  [status.RESOURCE_EXHAUSTED]: "RESOURCE_EXHAUSTED",
  [status.FAILED_PRECONDITION]: "FAILED_PRECONDITION",
  [status.ABORTED]: "INTERNAL",
  [status.OUT_OF_RANGE]: "OUT_OF_RANGE",
  [status.UNIMPLEMENTED]: "UNIMPLEMENTED",
  [status.INTERNAL]: "INTERNAL",
  [status.UNAVAILABLE]: "UNAVAILABLE",
  [status.DATA_LOSS]: "INTERNAL",
  [status.UNAUTHENTICATED]: "UNAUTHENTICATED",
};

/** Turns the failure of an attempt into the error that the caller gets. */
export function toStoreError(failure: Failure, facts: CallFacts): StoreError {
  if (facts.signal?.aborted === true) return cancelledError(facts, failure.sent ? "UNKNOWN" : "NOT_APPLIED");
  const rich = richDetails(failure.metadata);
  if (rich.info === undefined) return bareError(failure, facts, rich.details);
  const { reason, metadata } = rich.info;
  const kind = failure.code === status.CANCELLED ? "CANCELLED" : (KINDS[failure.code] ?? "INTERNAL");
  const said = metadata["outcome"];
  return new StoreError(knownReason(reason, kind) ?? kind, failure.details, {
    ...rich.details,
    ...(facts.writes ? { outcome: said === "NOT_APPLIED" ? said : "UNKNOWN" } : {}),
    ...(metadata["error_id"] === undefined ? {} : { errorId: metadata["error_id"] }),
  });
}

/** What a stream, which has no deadline, ends with on its way if the server does not say otherwise. */
const BREAKS: ReadonlySet<ErrorKind> = new Set(["INTERNAL", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"]);
/** How gRPC libraries say that a message is too large, which it would be again. */
const TOO_LARGE = /message.* larger than/is;

/**
 * As toStoreError, for the end of a stream: one that ends without a word of the server's broke off on its way, by a
 * fault or a limit of something there, and who knows where it was may open it again.
 */
export function toStreamError(failure: Failure, facts: CallFacts): StoreError {
  const error = toStoreError(failure, facts);
  const bare = richDetails(failure.metadata).info === undefined;
  const tooLarge = failure.code === status.RESOURCE_EXHAUSTED && TOO_LARGE.test(failure.details);
  if (!bare || tooLarge || !BREAKS.has(error.kind)) return error;
  const { method, address } = facts;
  const { retryAfterMs } = error;
  const said = `${status[failure.code] ?? failure.code}: ${failure.details}`;
  return new StoreError("UNAVAILABLE", `${method} broke off at ${address} with ${said}`, {
    cause: error,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

/** Does what comes before the first attempt; for a write, an error then says that nothing was written. */
export function beforeSending<T>(writes: boolean, prepare: () => T): T {
  try {
    return prepare();
  } catch (error) {
    throw writes && error instanceof StoreError && error.outcome === undefined
      ? withOutcome(error, "NOT_APPLIED")
      : error;
  }
}

/** For a caller who gave up; `outcome` counts for writes. */
export function cancelledError(facts: CallFacts, outcome: Outcome): StoreError {
  return new StoreError("CANCELLED", `${facts.method} was cancelled by its caller's signal`, {
    ...(facts.writes ? { outcome } : {}),
    cause: facts.signal?.reason,
  });
}

/** A reason that this version knows, if it is of the kind that the status says. */
function knownReason(reason: string, kind: ErrorKind): Reason | undefined {
  const known = reason as Reason;
  return REASONS[known] === kind ? known : undefined;
}

/** An error of the gRPC library, of a proxy, or of a server that is not ours. */
function bareError(failure: Failure, facts: CallFacts, details: ErrorDetails): StoreError {
  const kind = KINDS[failure.code] ?? "INTERNAL";
  const outcome: Outcome = failure.sent ? "UNKNOWN" : "NOT_APPLIED";
  const all = { ...details, ...(facts.writes ? { outcome } : {}), cause: failure.cause };
  const { method, address, timeoutMs } = facts;
  if (kind === "UNAVAILABLE" && !failure.sent) {
    const why =
      /Last error: (?:Error: )?(.+?)\.? Resolution note:/s.exec(failure.details)?.[1] ?? failure.details;
    const message = `the server at ${address} cannot be reached (${why}); is it running? Start it with: npx execution-store serve`;
    return new StoreError("SERVER_UNREACHABLE", message, all);
  }
  if (kind === "DEADLINE_EXCEEDED") {
    const where = failure.sent
      ? `the server at ${address} did not answer in time`
      : `no connection to ${address} came about`;
    const message = `${method} did not finish within ${timeoutMs} ms: ${where}; give it a longer timeoutMs, or check the server`;
    return new StoreError("DEADLINE_EXCEEDED", message, all);
  }
  if (kind === "UNIMPLEMENTED") {
    const message = `the server at ${address} does not know ${method} (${failure.details}); is it an execution store, and as new as this client?`;
    return new StoreError("UNIMPLEMENTED", message, all);
  }
  const said = `${status[failure.code] ?? failure.code}: ${failure.details}`;
  return new StoreError(kind, `${method} failed at ${address} with ${said}`, all);
}

/** The google.rpc details of the trailers, as far as they can be read. */
function richDetails(metadata: Metadata): { info: ErrorInfo | undefined; details: ErrorDetails } {
  let info: ErrorInfo | undefined;
  let details: ErrorDetails = {};
  const encoded = metadata.get(STATUS_TRAILER)[0];
  if (!Buffer.isBuffer(encoded)) return { info, details };
  try {
    for (const { typeUrl, value } of Status.decode(encoded).details) {
      if (typeUrl === `${DETAIL_TYPE_PREFIX}ErrorInfo`) {
        const decoded = ErrorInfo.decode(value);
        if (decoded.domain === ERROR_DOMAIN) info = decoded;
      } else if (typeUrl === `${DETAIL_TYPE_PREFIX}BadRequest`) {
        const violations = BadRequest.decode(value).fieldViolations.map(({ field, description }) => ({
          field,
          description,
        }));
        details = { ...details, violations };
      } else if (typeUrl === `${DETAIL_TYPE_PREFIX}ResourceInfo`) {
        const { resourceType: type, resourceName: name } = ResourceInfo.decode(value);
        if (type === "key" || type === "store" || type === "service")
          details = { ...details, resource: { type, name } };
      } else if (typeUrl === `${DETAIL_TYPE_PREFIX}RetryInfo`) {
        const { seconds, nanos } = RetryInfo.decode(value).retryDelay ?? { seconds: 0n, nanos: 0 };
        details = { ...details, retryAfterMs: Number(seconds) * 1000 + Math.ceil(nanos / 1e6) };
      }
    }
  } catch {
    // Trailers that are no google.rpc.Status come from a server that is not ours; the status itself stays.
  }
  return { info, details };
}
