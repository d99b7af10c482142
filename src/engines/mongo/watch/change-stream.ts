import type { ClientSession, Long } from "mongodb";
import type { Position } from "../../../store/changes.js";
import type { MongoConnection } from "../connection.js";
import { untilAborted } from "../until-aborted.js";
import { sendForCursor } from "./cursor-command.js";
import type { CursorReply } from "./cursor-reply.js";
import { positionOf, startBehind } from "./position.js";
import { type RawEvent, rawEventOf } from "./raw-event.js";
import { type CommandLimits, sendCommand } from "./send-command.js";
import type { ChangeView } from "./view.js";
import type { WatchConnection } from "./watch-connection.js";

/** How long the server waits for a change before it says that there is none, in ms. */
const AWAIT_MS = 1_000;
/** Events in one reply. */
const BATCH = 500;
/** How long the server may take to let go of a stream, in ms. */
const CLOSE_WITHIN_MS = 5_000;

/** What a change stream sends at once. */
export interface StreamReply {
  readonly events: readonly RawEvent[];
  /** Everything up to it has been sent. */
  readonly position: Position;
  /** How much memory the events hold. */
  readonly bytes: number;
  /** Whether nothing follows, since the collection is gone. */
  readonly ended: boolean;
}

/** Where changes are read. */
export interface StreamSubject {
  readonly connection: MongoConnection;
  /** Hears of what is let go of, so that closing can wait for it. */
  readonly closings: Pick<WatchConnection, "awaitAtClose">;
  readonly collection: string;
  readonly view: ChangeView;
}

/** An open change stream. */
export interface ChangeStream {
  /** The next reply, empty or not; the server answers at least every second. */
  next(limits: CommandLimits): Promise<StreamReply>;
  /** Lets go of it, here and on the server. */
  close(): void;
}

/**
 * Opens a change stream behind a position. Its replies are not decoded, which the driver's own streams cannot do. Errors
 * are the driver's; a server that is silent for too long counts as a lost connection.
 */
export async function openChangeStream(
  subject: StreamSubject,
  position: Position,
  limits: CommandLimits,
): Promise<ChangeStream> {
  const { connection, collection, view } = subject;
  const { silenceMs, signal } = limits;
  signal?.throwIfAborted();
  const command = {
    aggregate: collection,
    pipeline: [{ $changeStream: { ...view.options, ...startBehind(position) } }, ...view.stages],
    cursor: { batchSize: BATCH },
    readConcern: { level: "majority" },
  };
  const session = connection.client.startSession({ causalConsistency: false });
  // Not given up with the signal: only its answer tells whether the server has opened something.
  const opening = sendForCursor(connection, command, session, { silenceMs });
  try {
    return new OpenStream(subject, session, await untilAborted(opening, signal));
  } catch (error) {
    letGo(subject, session, opening);
    throw error;
  }
}

class OpenStream implements ChangeStream {
  readonly #subject: StreamSubject;
  readonly #session: ClientSession;
  readonly #id: Long;
  #first: CursorReply | undefined;
  #ended = false;

  constructor(subject: StreamSubject, session: ClientSession, first: CursorReply) {
    this.#subject = subject;
    this.#session = session;
    this.#id = first.id;
    this.#first = first;
  }

  async next(limits: CommandLimits): Promise<StreamReply> {
    const reply = this.#first ?? (await this.#more(limits));
    this.#first = undefined;
    this.#ended = reply.id.isZero();
    const events = reply.documents.map(rawEventOf);
    const { resumeToken } = reply;
    const position = resumeToken === undefined ? events.at(-1)?.position : positionOf(resumeToken);
    return { events, position: position ?? "", bytes: reply.bytes, ended: this.#ended };
  }

  #more(limits: CommandLimits): Promise<CursorReply> {
    const { connection, collection } = this.#subject;
    const command = { getMore: this.#id, collection, batchSize: BATCH, maxTimeMS: AWAIT_MS };
    return sendForCursor(connection, command, this.#session, limits);
  }

  close(): void {
    if (this.#ended) void this.#session.endSession();
    else letGo(this.#subject, this.#session);
  }
}

/**
 * Has the server close what a session has open, and ends the session.
 *
 * @param opening what may still be under way, to be interrupted
 */
function letGo(
  { connection, closings }: StreamSubject,
  session: ClientSession,
  opening?: Promise<unknown>,
): void {
  const kill = async (): Promise<void> => {
    // It has no id if nothing was sent.
    if (session.id === undefined) return;
    await sendCommand(connection, { killSessions: [session.id] }, {}, { silenceMs: CLOSE_WITHIN_MS });
  };
  const close = async (): Promise<void> => {
    // What the server had not begun when it was told, it opens later. Where it does not hear, it has lost what was
    // open, or finds out by itself that nobody asks any more.
    await Promise.allSettled([kill(), opening?.then(kill)]);
    await session.endSession();
  };
  closings.awaitAtClose(close());
}
