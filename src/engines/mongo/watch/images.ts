import type { Document } from "mongodb";
import type { MongoConnection, MongoEvent } from "../connection.js";
import { CODES, serverCode, translate } from "../errors.js";
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
/** How long the server may be silent, in ms. */
const SILENCE_MS = 10_000;
const NAMESPACE_EXISTS = 48;
const INVALID_OPTIONS = 72;

/**
 * Makes the collection if it is missing, and has MongoDB keep images of it, as far as it may.
 *
 * @throws StoreError, translated
 */
export async function prepareCollection(subject: ImagesSubject): Promise<CollectionState> {
  try {
    for (;;) {
      const found = await find(subject);
      if (found === undefined) await create(subject);
      else if (found.hasImages || subject.images === "off") return found;
      else if (!(await switchOn(subject))) return found;
    }
  } catch (error) {
    throw serverCode(error) === CODES.unauthorized ? watchRefused(error) : translate(error, "read");
  }
}

/**
 * Whether a collection is still the same, as watching needs to know it.
 *
 * @throws StoreError, translated
 */
export async function isUnchanged(
  subject: Pick<ImagesSubject, "connection" | "collection">,
  state: CollectionState,
): Promise<boolean> {
  try {
    const found = await find(subject);
    return found?.id === state.id && found.hasImages === state.hasImages;
  } catch (error) {
    throw translate(error, "read");
  }
}

async function find({
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
async function switchOn({ connection, collection, onEvent }: ImagesSubject): Promise<boolean> {
  const refusal = await sendExpecting(
    connection,
    { collMod: collection, ...IMAGES },
    CODES.unauthorized,
    INVALID_OPTIONS,
    CODES.namespaceNotFound,
  );
  if (refusal === CODES.namespaceNotFound) return true;
  if (refusal === undefined) {
    const message = `collection ${collection} is watched: MongoDB keeps pre- and post-images of it from now on`;
    onEvent({ level: "info", message });
  }
  return refusal === undefined;
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
