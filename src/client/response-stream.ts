import { type ChannelInterface, type Metadata, status } from "@grpc/grpc-js";
import type { Failure } from "./transport.js";

/** The call of a method that is answered by a stream. */
export interface StreamAttempt {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** The encoded request. */
  readonly request: Buffer;
  readonly metadata: Metadata;
}

/** What a read brings: an encoded message, or why no more come. */
export type StreamReply =
  | { readonly message: Buffer; readonly failure: undefined }
  | { readonly message: undefined; readonly failure: Failure };

/** The answer to one call, as it comes in. */
export interface ResponseStream {
  /**
   * Resolves to the next message; never rejects. No message is taken in before it is asked for: those to come fill the
   * connection's window for this stream, of 64 KiB, and then the server has to wait. Not to be called again before
   * it has resolved.
   */
  read(): Promise<StreamReply>;
  /** Ends the call; a read under way resolves to a failure, CANCELLED. Idempotent. */
  cancel(): void;
}

/**
 * Calls a method that is answered by a stream. The channel is used directly, since the library's own stream of
 * messages takes in 16 of them before anybody asks, and these may be of many megabytes.
 *
 * The library hands over an error status at once, and drops the messages before it that were not read yet.
 */
export function openResponseStream(channel: ChannelInterface, attempt: StreamAttempt): ResponseStream {
  const { path, request, metadata } = attempt;
  const call = channel.createCall(path, Number.POSITIVE_INFINITY, null, null, null);
  let end: StreamReply | undefined;
  let waiting: ((reply: StreamReply) => void) | undefined;
  const answer = (reply: StreamReply): void => {
    waiting?.(reply);
    waiting = undefined;
  };
  call.start(metadata, {
    onReceiveMetadata: () => {},
    onReceiveMessage: (message: Buffer) => answer({ message, failure: undefined }),
    onReceiveStatus({ code, details, metadata: trailers }) {
      const sent = call.getPeer() !== channel.getTarget();
      end = { message: undefined, failure: { code, details, metadata: trailers, sent, cause: undefined } };
      answer(end);
    },
  });
  call.sendMessageWithContext({ callback: () => {} }, request);
  call.halfClose();
  return {
    read: () =>
      new Promise((resolve) => {
        if (end !== undefined) {
          resolve(end);
          return;
        }
        waiting = resolve;
        call.startRead();
      }),
    cancel: () => call.cancelWithStatus(status.CANCELLED, "cancelled by the client"),
  };
}
