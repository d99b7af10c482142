import { isUtf8 } from "node:buffer";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { StoreError } from "../store/errors.js";
import { MAX_REQUEST_BYTES } from "../store/limits.js";
import type { Descriptors } from "./descriptors.js";
import { StreamMessage } from "./stream-message.js";
import { isWellFormed, type MessageShape } from "./well-formed.js";

/** The encoded bytes of a response message: a handler may answer them in place of the message. */
export type EncodedMessage = Uint8Array;

/** A message of the generated code. */
export interface Codec<Message> {
  encode(message: Message): { finish(): Uint8Array };
  decode(input: BinaryReader | Uint8Array, length?: number): Message;
}

/** A method of the generated code. */
export interface MethodDefinition {
  readonly name: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- a codec is invariant in its message
  readonly requestType: Codec<any>;
  readonly requestStream: boolean;
  // oxlint-disable-next-line typescript/no-explicit-any -- as above
  readonly responseType: Codec<any>;
  readonly responseStream: boolean;
  readonly options: { readonly idempotencyLevel?: "IDEMPOTENT" | "NO_SIDE_EFFECTS" };
}

/** A service of the generated code. */
export interface ServiceDefinition {
  readonly name: string;
  readonly fullName: string;
  readonly methods: { readonly [method: string]: MethodDefinition };
}

/** The default decoder of the protobuf runtime replaces bytes that are no UTF-8: two keys could become one. */
function decodeUtf8(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw new TypeError("invalid UTF-8");
  // The reader's bytes are a Buffer already, and this runs for every name of every request.
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return buffer.toString("utf8");
}

function malformed(): StoreError {
  return new StoreError(
    "REQUEST_MALFORMED",
    "the request is no valid protobuf message of this method; expected well-formed fields and strings in UTF-8, so check the client's generated code",
    { violations: [{ field: "request", description: "is malformed" }], outcome: "NOT_APPLIED" },
  );
}

function tooLarge(bytes: number): StoreError {
  return new StoreError(
    "REQUEST_TOO_LARGE",
    `the request is ${bytes} bytes long; expected at most ${MAX_REQUEST_BYTES} (16 MiB), so send less at once`,
    { outcome: "NOT_APPLIED" },
  );
}

/** The message, or the error to answer in its place. */
function decodeStrictly<Message>(
  codec: Codec<Message>,
  shape: MessageShape,
  bytes: Uint8Array,
): Message | StoreError {
  if (bytes.length > MAX_REQUEST_BYTES) return tooLarge(bytes.length);
  if (!isWellFormed(bytes, shape)) return malformed();
  try {
    return codec.decode(new BinaryReader(bytes, decodeUtf8));
  } catch {
    return malformed();
  }
}

function servedMethod(method: MethodDefinition, shape: MessageShape) {
  const { requestType, responseType } = method;
  return {
    name: method.name,
    requestStream: method.requestStream,
    responseStream: method.responseStream,
    options: method.options,
    requestType: {
      encode: (message: unknown) => requestType.encode(message),
      // What is wrong with the bytes is the caller's mistake; thrown here it would be an INTERNAL without details.
      decode: (bytes: Uint8Array): unknown => decodeStrictly(requestType, shape, bytes),
    },
    responseType: {
      encode: (message: unknown) => {
        if (message instanceof Uint8Array) return { finish: () => message };
        return message instanceof StreamMessage
          ? { finish: () => message.take() }
          : responseType.encode(message);
      },
      decode: (bytes: Uint8Array): unknown => responseType.decode(bytes),
    },
  };
}

/**
 * A generated service as the server speaks it: requests are decoded strictly, or to the StoreError to answer;
 * responses may be ready bytes and are not copied through `fromPartial`, which costs time.
 */
export function servedDefinition(service: ServiceDefinition, descriptors: Descriptors) {
  const { name, fullName } = service;
  const methods = Object.entries(service.methods).map(([key, method]) => {
    const shape = descriptors.requestShape(`${fullName}/${method.name}`);
    return [key, servedMethod(method, shape)] as const;
  });
  return { name, fullName, methods: Object.fromEntries(methods) };
}
