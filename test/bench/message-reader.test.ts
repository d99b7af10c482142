import * as fc from "fast-check";
import { expect, test } from "vitest";
import { MessageReader } from "../../bench/watch/message-reader.js";

function framed(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

test("messages come whole, however the bytes are cut, and of buffers that are used again", () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 10 });
  fc.assert(
    fc.property(messages, fc.infiniteStream(fc.integer({ min: 1, max: 60 })), (sent, lengths) => {
      const bytes = Buffer.concat(sent.map(framed));
      const received: Buffer[] = [];
      const reader = new MessageReader((message) => received.push(Buffer.from(message)));
      for (let at = 0; at < bytes.length; ) {
        const length: number = lengths.next().value;
        const piece = Buffer.from(bytes.subarray(at, at + length));
        reader.add(piece);
        piece.fill(0xff);
        at += length;
      }
      expect(received.map((message) => message.toString("hex"))).toEqual(
        sent.map((message) => Buffer.from(message).toString("hex")),
      );
    }),
  );
});
