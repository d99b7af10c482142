import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";

/** `message Echo { bytes payload = 1; }` */
export interface EchoMessage {
  payload: Buffer;
}

const PAYLOAD_TAG = 10;

/** The codec of the message, shaped as ts-proto generates it for nice-grpc. */
export const EchoMessage = {
  encode(message: EchoMessage, writer: BinaryWriter = new BinaryWriter()): BinaryWriter {
    if (message.payload.length !== 0) writer.uint32(PAYLOAD_TAG).bytes(message.payload);
    return writer;
  },

  decode(input: BinaryReader | Uint8Array, length?: number): EchoMessage {
    const reader = input instanceof BinaryReader ? input : new BinaryReader(input);
    const end = length === undefined ? reader.len : reader.pos + length;
    const message: EchoMessage = { payload: Buffer.alloc(0) };
    while (reader.pos < end) {
      const tag = reader.uint32();
      if (tag !== PAYLOAD_TAG) throw new RangeError(`tag ${tag} is not one of an Echo`);
      message.payload = Buffer.from(reader.bytes());
    }
    return message;
  },

  fromPartial(object: Partial<EchoMessage>): EchoMessage {
    return { payload: object.payload ?? Buffer.alloc(0) };
  },
};

/** Bytes of a length before a field of bytes. */
function prefixBytes(length: number): number {
  return Math.max(1, Math.ceil(Math.log2(length + 1) / 7));
}

/** The message whose encoding is `bytes` long, or one less where no length prefix comes out even. */
export function echoMessageOf(bytes: number): EchoMessage {
  let payload = Math.max(0, bytes - 1 - prefixBytes(bytes));
  if (1 + prefixBytes(payload + 1) + payload + 1 <= bytes) payload++;
  return { payload: Buffer.alloc(payload, 0x61) };
}
