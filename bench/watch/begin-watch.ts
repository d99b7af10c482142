import type { Http2Connection } from "../http2-connection.js";
import { MessageReader } from "./message-reader.js";

/** A watch to begin, and who hears of it. */
export interface WatchCall {
  /** Made by callHeaders(). */
  readonly headers: Buffer;
  readonly message: Buffer;
  /** Whether the request ends with the message. */
  readonly ends: boolean;
  /** Hears every message but the first; it is valid during the call. */
  tell(message: Buffer): void;
  /** Hears why the watch ended after its beginning, which it does at the latest with its connection. */
  ended(reason: Error): void;
}

/** Begins a watch, and answers its first message. Fails if it ends before. */
export function beginWatch(connection: Http2Connection, call: WatchCall): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let begun = false;
    const reader = new MessageReader((message) => {
      if (begun) {
        call.tell(message);
        return;
      }
      begun = true;
      resolve(Buffer.from(message));
    });
    connection.stream(call.headers, call.message, call.ends, {
      data: (bytes) => reader.add(bytes),
      end: (error) => {
        const reason = error ?? new Error("the server ended a watch");
        if (begun) call.ended(reason);
        else reject(reason);
      },
    });
  });
}
