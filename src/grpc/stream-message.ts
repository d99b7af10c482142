import type { EncodedMessage } from "./definition.js";

/**
 * A message of a stream that tells when it is on its way. The library asks for its bytes when all messages before it
 * have gone to the connection, so a stream that waits for each message to be taken, before it makes the next but one,
 * never holds more than two, whatever they weigh and however slow the other side is.
 */
export class StreamMessage {
  #taken = false;
  #tell: (() => void) | undefined;

  constructor(private readonly bytes: EncodedMessage) {}

  get isTaken(): boolean {
    return this.#taken;
  }

  /** Its bytes, for the one who sends them. */
  take(): EncodedMessage {
    this.#taken = true;
    this.#tell?.();
    return this.bytes;
  }

  /** Calls back once it is taken, unless it is. */
  onTaken(tell: () => void): void {
    this.#tell = tell;
  }
}
