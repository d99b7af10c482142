import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { Status } from "nice-grpc";
import type { Any } from "../../gen/ts/google/protobuf/any.js";
import { BadRequest, ErrorInfo, ResourceInfo, RetryInfo } from "../../gen/ts/google/rpc/error_details.js";
import { Status as RpcStatus } from "../../gen/ts/google/rpc/status.js";
import type { ErrorKind, FieldViolation, Outcome, StoreError } from "../store/errors.js";
import { MAX_KEY_BYTES, MAX_STORE_NAME_BYTES } from "../store/limits.js";
import { DETAIL_TYPE_PREFIX, ERROR_DOMAIN } from "../store/wire-names.js";

// gRPC's C core, and with it Python's clients, may drop a response whose header block exceeds 8 KiB. These
// bounds keep the status message, its copy in the details, and the details themselves below that.
const MAX_MESSAGE_CHARS = 1_800;
const MAX_VIOLATION_BYTES = 2_400;
/** Bytes of a resource's name: any that may be written goes whole, STORE/KEY; other writers' may be far longer. */
const MAX_RESOURCE_BYTES = MAX_STORE_NAME_BYTES + 1 + MAX_KEY_BYTES;

/** Characters of a resume token: one that holds a long `_id` of another writer is left out. */
const MAX_TOKEN_CHARS = 2_400;

/** When a caller may try again after an UNAVAILABLE that does not say it, in milliseconds. */
const DEFAULT_RETRY_MS = 1_000;

/** An error as it leaves the service. */
export interface WireStatus {
  readonly code: Status;
  readonly message: string;
  /** An encoded google.rpc.Status, for the trailer STATUS_TRAILER. */
  readonly details: Uint8Array;
}

const CODES: Readonly<Record<ErrorKind, Status>> = {
  INVALID_ARGUMENT: Status.INVALID_ARGUMENT,
  NOT_FOUND: Status.NOT_FOUND,
  ALREADY_EXISTS: Status.ALREADY_EXISTS,
  FAILED_PRECONDITION: Status.FAILED_PRECONDITION,
  OUT_OF_RANGE: Status.OUT_OF_RANGE,
  PERMISSION_DENIED: Status.PERMISSION_DENIED,
  UNAUTHENTICATED: Status.UNAUTHENTICATED,
  RESOURCE_EXHAUSTED: Status.RESOURCE_EXHAUSTED,
  UNAVAILABLE: Status.UNAVAILABLE,
  DEADLINE_EXCEEDED: Status.DEADLINE_EXCEEDED,
  CANCELLED: Status.CANCELLED,
  UNIMPLEMENTED: Status.UNIMPLEMENTED,
  INTERNAL: Status.INTERNAL,
};

/** What a failed write did when its error does not say it: these kinds are decided before anything is written. */
const DEFAULT_OUTCOMES: Readonly<Record<ErrorKind, Outcome>> = {
  INVALID_ARGUMENT: "NOT_APPLIED",
  NOT_FOUND: "NOT_APPLIED",
  ALREADY_EXISTS: "NOT_APPLIED",
  FAILED_PRECONDITION: "NOT_APPLIED",
  OUT_OF_RANGE: "NOT_APPLIED",
  PERMISSION_DENIED: "NOT_APPLIED",
  UNAUTHENTICATED: "NOT_APPLIED",
  RESOURCE_EXHAUSTED: "UNKNOWN",
  UNAVAILABLE: "UNKNOWN",
  DEADLINE_EXCEEDED: "UNKNOWN",
  CANCELLED: "UNKNOWN",
  UNIMPLEMENTED: "NOT_APPLIED",
  INTERNAL: "UNKNOWN",
};

interface DetailCodec<Message> {
  encode(message: Message, writer?: BinaryWriter): BinaryWriter;
}

function pack<Message>(name: string, codec: DetailCodec<Message>, message: Message): Any {
  const value = Buffer.from(codec.encode(message, new BinaryWriter()).finish());
  return { typeUrl: `${DETAIL_TYPE_PREFIX}${name}`, value };
}

/** Shortens a message so that it takes at most MAX_MESSAGE_CHARS in the percent-encoding of grpc-message. */
function clip(text: string): string {
  // Through UTF-8, since the percent-encoding throws at half of a surrogate pair.
  const message = Buffer.from(text, "utf8").toString("utf8");
  // A UTF-16 unit takes at most nine characters.
  if (message.length * 9 <= MAX_MESSAGE_CHARS) return message;
  let room = MAX_MESSAGE_CHARS;
  let end = 0;
  for (const character of message) {
    room -= encodeURI(character).length;
    if (room < 0) return `${message.slice(0, end)}…`;
    end += character.length;
  }
  return message;
}

/** Shortens a name to MAX_RESOURCE_BYTES of UTF-8. */
function clipName(name: string): string {
  const bytes = Buffer.from(name, "utf8");
  if (bytes.length <= MAX_RESOURCE_BYTES) return name;
  let end = MAX_RESOURCE_BYTES;
  // Not in the middle of a character.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return `${bytes.toString("utf8", 0, end)}…`;
}

function violation(field: string, description: string): BadRequest["fieldViolations"][number] {
  return { field, description, reason: "", localizedMessage: undefined };
}

function badRequest(violations: readonly FieldViolation[]): BadRequest {
  const fieldViolations: BadRequest["fieldViolations"] = [];
  let room = MAX_VIOLATION_BYTES;
  for (const [index, { field, description }] of violations.entries()) {
    room -= Buffer.byteLength(field) + Buffer.byteLength(description) + 8;
    if (room < 0 && index > 0) {
      const rest = `has ${violations.length - index} more fields at fault; correct these first`;
      fieldViolations.push(violation("request", rest));
      break;
    }
    fieldViolations.push(violation(field, description));
  }
  return { fieldViolations };
}

function retryInfo(retryAfterMs: number): RetryInfo {
  const seconds = Math.floor(retryAfterMs / 1000);
  const nanos = Math.round((retryAfterMs - seconds * 1000) * 1e6);
  return { retryDelay: { seconds: BigInt(seconds), nanos } };
}

/**
 * The one translation of an error for the wire.
 *
 * @param write whether the method writes: its errors say in the ErrorInfo metadata `outcome` what became of it
 */
export function toWireStatus(error: StoreError, write: boolean): WireStatus {
  const code = CODES[error.kind];
  const message = clip(error.message);
  const metadata: { [name: string]: string } = {};
  if (write) metadata["outcome"] = error.outcome ?? DEFAULT_OUTCOMES[error.kind];
  if (error.errorId !== undefined) metadata["error_id"] = error.errorId;
  const { resumeToken } = error;
  if (resumeToken !== undefined && resumeToken.length <= MAX_TOKEN_CHARS)
    metadata["resume_token"] = resumeToken;
  const details = [pack("ErrorInfo", ErrorInfo, { reason: error.reason, domain: ERROR_DOMAIN, metadata })];
  if (error.violations.length > 0) details.push(pack("BadRequest", BadRequest, badRequest(error.violations)));
  if (error.resource !== undefined) {
    const { type, name } = error.resource;
    const info = { resourceType: type, resourceName: clipName(name), owner: "", description: "" };
    details.push(pack("ResourceInfo", ResourceInfo, info));
  }
  if (error.kind === "UNAVAILABLE") {
    details.push(pack("RetryInfo", RetryInfo, retryInfo(error.retryAfterMs ?? DEFAULT_RETRY_MS)));
  }
  return { code, message, details: RpcStatus.encode({ code, message, details }).finish() };
}
