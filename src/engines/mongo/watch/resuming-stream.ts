import { setTimeout as delay } from "node:timers/promises";
import { later, type Position } from "../../../store/changes.js";
import { historyLost } from "../../../store/errors.js";
import {
  type ChangeStream,
  openChangeStream,
  type StreamReply,
  type StreamSubject,
} from "./change-stream.js";
import { endOf, endOfOpening, streamLost } from "./stream-errors.js";

/** The first pause before a stream that was lost is opened again, in ms, which doubles, and the longest one. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

/** Where to begin, and what ends it. */
export interface ResumingOptions {
  readonly after: Position;
  /** How long the server may be silent, in ms. */
  readonly silenceMs: number;
  /** How long a stream that was lost is opened again and again, in ms. */
  readonly lostMs: number;
  readonly signal: AbortSignal;
}

/**
 * The replies of a change stream from a place on, without end. If it is lost with its server, its connection or its
 * cursor, it is opened again behind what was handed out last; some events may then come once more.
 *
 * @throws StoreError HISTORY_LOST if the place is not in the oplog; UNAVAILABLE if the stream stays lost for `lostMs`; what
 *   else the server says. The signal's reason.
 */
export async function* resumingStream(
  subject: StreamSubject,
  { after, silenceMs, lostMs, signal }: ResumingOptions,
): AsyncGenerator<StreamReply, never, undefined> {
  let position = after;
  let lostAt: number | undefined;
  let pauseMs = FIRST_PAUSE_MS;
  for (;;) {
    // The server may have much to go through before it answers, also when the stream is opened again.
    const patience = silenceMs - (lostAt === undefined ? 0 : performance.now() - lostAt);
    const stream = openChangeStream(subject, position, { silenceMs: Math.max(1, patience), signal });
    let open: ChangeStream | undefined;
    try {
      open = await stream;
      for (;;) {
        const reply = await open.next({ silenceMs, signal });
        lostAt = undefined;
        pauseMs = FIRST_PAUSE_MS;
        yield reply;
        position = later(position, reply.position);
        if (reply.ended) throw historyLost("the collection was dropped or renamed");
      }
    } catch (error) {
      signal.throwIfAborted();
      const end = open === undefined ? endOfOpening(error) : endOf(error);
      if (end !== undefined) throw end;
      lostAt ??= performance.now();
      if (performance.now() - lostAt >= lostMs) throw streamLost(error);
    } finally {
      open?.close();
    }
    await delay(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
  }
}
