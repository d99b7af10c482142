import { isUtf8 } from "node:buffer";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import type { Descriptors } from "./descriptors.js";
import { isWellFormed, type MessageShape } from "./well-formed.js";

/** What a request that is no valid protobuf decodes to. */
export const MALFORMED = Object.freeze({ malformed: true });
/** See MALFORMED. */
export type Malformed = typeof MALFORMED;

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
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

function decodeStrictly<Message>(
  codec: Codec<Message>,
  shape: MessageShape,
  bytes: Uint8Array,
): Message | Malformed {
  if (!isWellFormed(bytes, shape)) return MALFORMED;
  try {
    return codec.decode(new BinaryReader(bytes, decodeUtf8));
  } catch {
    return MALFORMED;
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
      // Malformed bytes are the caller's mistake; thrown here they would be an INTERNAL without details.
      decode: (bytes: Uint8Array): unknown => decodeStrictly(requestType, shape, bytes),
    },
    responseType: {
      encode: (message: unknown) =>
        message instanceof Uint8Array ? { finish: () => message } : responseType.encode(message),
      decode: (bytes: Uint8Array): unknown => responseType.decode(bytes),
    },
  };
}

/**
 * A generated service as the server speaks it: requests are decoded strictly, or to MALFORMED; responses may be
 * ready bytes and are not copied through `fromPartial`, which costs time.
 */
export function servedDefinition(service: ServiceDefinition, descriptors: Descriptors) {
  const { name, fullName } = service;
  const methods = Object.entries(service.methods).map(([key, method]) => {
    const shape = descriptors.requestShape(`${fullName}/${method.name}`);
    return [key, servedMethod(method, shape)] as const;
  });
  return { name, fullName, methods: Object.fromEntries(methods) };
}
