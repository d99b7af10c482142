import { setTimeout as delay } from "node:timers/promises";
import type { Document } from "mongodb";
import { StoreError } from "../../../store/errors.js";
import type { MongoConnection, MongoEvent } from "../connection.js";
import { CODES, RETRY_AFTER_MS, serverCode, translate } from "../errors.js";
import { sendCommand } from "./send-command.js";
import { watchRefused } from "./stream-errors.js";

/** Whether the engine may have MongoDB keep the documents before and after each change. */
export type ImagesOption = "auto" | "off";

/** What watching needs to know of a collection. */
export interface CollectionState {
  /** Its UUID as hex digits: names this collection, in its present incarnation, of this deployment. */
  readonly id: string;
  /** Whether MongoDB keeps pre- and post-images from now on. */
  readonly hasImages: boolean;
}

/** The collection to watch. */
export interface ImagesSubject {
  readonly connection: MongoConnection;
  readonly collection: string;
  readonly images: ImagesOption;
  readonly onEvent: (event: MongoEvent) => void;
}

const IMAGES: Document = { changeStreamPreAndPostImages: { enabled: true } };
/** While it waits for others to let go of the collection, new calls wait behind it. In ms. */
const LOCK_WITHIN_MS = 3_000;
/** How long images wait for the construction of indexes to end, and the pause before each look, in ms. */
const INDEXING_WITHIN_MS = 3_000;
const INDEXING_PAUSE_MS = 100;
/** How long the server may be silent, in ms. */
const SILENCE_MS = 10_000;
const NAMESPACE_EXISTS = 48;
const INVALID_OPTIONS = 72;
/** BackgroundOperationInProgressForNamespace: an index of the collection is under construction. */
const INDEXING = 12_587;

/**
 * Makes the collection if it is missing, and has MongoDB keep images of it, as far as it may.
 *
 * @throws StoreError, translated
 */
export async function prepareCollection(subject: ImagesSubject): Promise<CollectionState> {
  try {
    for (;;) {
      const found = await findCollection(subject);
      if (found === undefined) await create(subject);
      else if (found.hasImages || subject.images === "off") return found;
      else if (!(await switchOn(subject))) return found;
    }
  } catch (error) {
    throw serverCode(error) === CODES.unauthorized ? watchRefused(error) : translate(error, "read");
  }
}

/** What a collection is now; undefined if it is not there. Errors are the driver's. */
export async function findCollection({
  connection,
  collection,
}: Pick<ImagesSubject, "connection" | "collection">): Promise<CollectionState | undefined> {
  const command = { listCollections: 1, filter: { name: collection } };
  const reply = await sendCommand(connection, command, {}, { silenceMs: SILENCE_MS });
  const [found] = reply["cursor"].firstBatch as readonly Document[];
  const id = found?.["info"]?.uuid;
  if (found === undefined || id === undefined) return undefined;
  const images: unknown = found["options"]?.["changeStreamPreAndPostImages"]?.enabled;
  return { id: id.toString("hex"), hasImages: images === true };
}

async function create({ connection, collection, images }: ImagesSubject): Promise<void> {
  const options = images === "auto" ? IMAGES : {};
  await sendExpecting(connection, { create: collection, ...options }, NAMESPACE_EXISTS);
}

/** Answers whether to look again. */
async function switchOn(subject: ImagesSubject): Promise<boolean> {
  const { connection, collection, onEvent } = subject;
  const latest = performance.now() + INDEXING_WITHIN_MS;
  for (;;) {
    const refusal = await sendExpecting(
      connection,
      { collMod: collection, ...IMAGES },
      CODES.unauthorized,
      INVALID_OPTIONS,
      CODES.namespaceNotFound,
      INDEXING,
    );
    if (refusal === CODES.namespaceNotFound) return true;
    if (refusal === undefined) {
      const message = `collection ${collection} is watched: MongoDB keeps pre- and post-images of it from now on`;
      onEvent({ level: "info", message });
      return true;
    }
    if (refusal !== INDEXING) return false;
    if (performance.now() >= latest) throw beingIndexed();
    await delay(INDEXING_PAUSE_MS);
  }
}

/** Those who watch without images could not resume: better a little later than so. */
function beingIndexed(): StoreError {
  return new StoreError(
    "DATABASE_CONFLICT",
    "keys cannot be watched yet, since MongoDB builds an index of the collection and takes no other change of it meanwhile; try again in a moment",
    { retryAfterMs: RETRY_AFTER_MS },
  );
}

/** Sends a command; answers the code of an error that is one of those. */
async function sendExpecting(
  connection: MongoConnection,
  command: Document,
  ...expected: readonly number[]
): Promise<number | undefined> {
  try {
    const sent = { ...command, writeConcern: { w: "majority" }, maxTimeMS: LOCK_WITHIN_MS };
    await sendCommand(connection, sent, {}, { silenceMs: SILENCE_MS });
    return undefined;
  } catch (error) {
    const code = serverCode(error);
    if (code !== undefined && expected.includes(code)) return code;
    throw error;
  }
}
