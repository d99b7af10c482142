import { StoreError } from "../store/errors.js";
import { MAX_TIMER_MS } from "../store/limits.js";
import { onAbort } from "./on-abort.js";
import type { ResponseStream } from "./response-stream.js";
import type { Failure } from "./transport.js";

/** A message, and the bytes that it had on the wire. */
export interface Received<Message> {
  readonly message: Message;
  readonly bytes: number;
}

/** How a stream's messages and its end are told. */
export interface MessageStreamOptions<Message> {
  readonly decode: (bytes: Buffer) => Message;
  readonly toError: (failure: Failure) => StoreError;
  /** Ends the call. */
  readonly signal: AbortSignal;
}

/** The messages that answer one call. */
export class MessageStream<Message> {
  readonly #stream: ResponseStream;
  readonly #options: MessageStreamOptions<Message>;
  readonly #forget: () => void;

  /** Takes the stream over. */
  constructor(stream: ResponseStream, options: MessageStreamOptions<Message>) {
    this.#stream = stream;
    this.#options = options;
    this.#forget = onAbort(options.signal, () => stream.cancel());
    if (options.signal.aborted) stream.cancel();
  }

  /**
   * Reads the next message. Rejects with a StoreError at the end, which is always a status, and with UNAVAILABLE
   * after so many milliseconds without a message.
   */
  async read(limitMs: number): Promise<Received<Message>> {
    let silent = false;
    const giveUp = (): void => {
      silent = true;
      this.#stream.cancel();
    };
    const watchdog = setTimeout(giveUp, Math.min(limitMs, MAX_TIMER_MS));
    try {
      const { message, failure } = await this.#stream.read();
      if (failure === undefined) return { message: this.#decode(message), bytes: message.length };
      if (silent && !this.#options.signal.aborted) {
        throw new StoreError(
          "UNAVAILABLE",
          `the server said nothing for ${limitMs} ms, although it should have told of its progress`,
        );
      }
      throw this.#options.toError(failure);
    } finally {
      clearTimeout(watchdog);
    }
  }

  /** Ends the call. Idempotent. */
  close(): void {
    this.#forget();
    this.#stream.cancel();
  }

  #decode(message: Buffer): Message {
    try {
      return this.#options.decode(message);
    } catch (cause) {
      throw new StoreError(
        "INTERNAL",
        "the server sent a message that cannot be read; is it an execution store, and as new as this client?",
        { cause },
      );
    }
  }
}
