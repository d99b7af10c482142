/**
 * google.protobuf.Value and Struct for the generated code, as the bytes that travel on the wire. Nothing is
 * decoded here: the service passes values on as bytes, JSON null, `__proto__` and 64-bit numbers survive, and
 * how deep a stored value nests cannot make a message unreadable.
 */
import { BinaryReader, type BinaryWriter } from "@bufbuild/protobuf/wire";

/** The encoded fields of one message, without a tag or a length before them. */
export type WireBytes = Uint8Array;

function encode(message: WireBytes, writer: BinaryWriter): BinaryWriter {
  return writer.raw(message);
}

function decode(input: BinaryReader | Uint8Array, length?: number): WireBytes {
  if (!(input instanceof BinaryReader)) return input;
  const end = length === undefined ? input.len : input.pos + length;
  if (end > input.len) throw new RangeError("premature EOF");
  // `buf` is private in the typings only; the reader has no method for raw bytes without a length before them.
  const { buf } = input as unknown as { buf: Uint8Array };
  const bytes = buf.subarray(input.pos, end);
  input.pos = end;
  return bytes;
}

function asBytes(message: unknown): WireBytes {
  if (message instanceof Uint8Array) return message;
  throw new TypeError("expected the encoded bytes of a google.protobuf.Value or Struct");
}

/** google.protobuf.Value as bytes. */
export const Value = { encode, decode, wrap: asBytes, unwrap: (bytes: WireBytes): unknown => bytes };

/** google.protobuf.Struct as bytes; the generated code declares such fields as objects, whatever they are. */
export const Struct = {
  encode,
  decode,
  wrap: asBytes,
  unwrap: (bytes: WireBytes): { [name: string]: unknown } => bytes as unknown as { [name: string]: unknown },
};
