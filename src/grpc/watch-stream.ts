import { StoreError } from "../store/errors.js";
import type { EncodedMessage } from "./definition.js";
import { StreamMessage } from "./stream-message.js";

function tooSlow(stallMs: number): StoreError {
  return new StoreError(
    "WATCH_TOO_SLOW",
    `a message waited for ${stallMs} ms without being read; read faster, ask for fewer keys, for encoding NONE or without previous values, and resume with the token`,
  );
}

/** The messages of one watch on their way: at most two are in memory. */
export class WatchStream {
  /** That of the last message that was sent; undefined if none had one. */
  resumeToken: string | undefined;

  constructor(
    readonly signal: AbortSignal,
    private readonly stallMs: number,
  ) {}

  /** Makes the next message, to be yielded and then waited for. */
  message(bytes: EncodedMessage, resumeToken?: string): StreamMessage {
    if (resumeToken !== undefined) this.resumeToken = resumeToken;
    return new StreamMessage(bytes);
  }

  /**
   * Waits until a message is on its way: until those before it have left.
   *
   * @throws StoreError WATCH_TOO_SLOW if it is not in time; the signal's reason
   */
  async taken(message: StreamMessage): Promise<void> {
    if (message.isTaken) return;
    const { signal, stallMs } = this;
    await new Promise<void>((resolve, reject) => {
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
        settle();
      };
      const abort = (): void => end(() => reject(signal.reason));
      const timer = setTimeout(() => end(() => reject(tooSlow(stallMs))), stallMs);
      message.onTaken(() => end(resolve));
      signal.addEventListener("abort", abort);
      if (signal.aborted) abort();
    });
  }
}
