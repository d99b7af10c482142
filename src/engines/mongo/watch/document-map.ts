import { damaged } from "../../../value/bson-bytes.js";
import { documentOf, type Element, fieldNames, fieldsOf, itemsOf } from "../bson-document.js";
import type { MongoConnection } from "../connection.js";
import { type RawDocument, splitDocument, textOf } from "../record.js";
import { sendForCursor } from "./cursor-command.js";
import { type ClusterTime, timestampOf } from "./position.js";
import type { CommandLimits } from "./send-command.js";

/** Documents in one reply, which is gone through at one go while others wait. */
const BATCH = 1_000;

const DELTA_FIELDS = fieldNames("updatedFields", "removedFields");

/**
 * All documents of a collection without their values, by their `_id`: what MongoDB does not tell of a change if it keeps
 * no images. About 400 bytes each.
 */
export class DocumentMap {
  readonly #documents = new Map<string, Buffer>();

  /** What is known of a document. */
  get(id: Element): RawDocument | undefined {
    const bytes = this.#documents.get(idText(id));
    return bytes && splitDocument(bytes);
  }

  set(id: Element, document: RawDocument): void {
    const fields = Object.entries(document).filter(([name]) => name !== "value");
    this.#documents.set(idText(id), documentOf(fields));
  }

  delete(id: Element): void {
    this.#documents.delete(idText(id));
  }
}

/** A text for an `_id` that no other `_id` has. */
export function idText({ type, bytes }: Element): string {
  return `${type} ${bytes.toString("latin1")}`;
}

/** Reads a collection as of a time that is not long ago. Errors are the driver's. */
export async function readDocumentMap(
  connection: MongoConnection,
  collection: string,
  time: ClusterTime,
  limits: CommandLimits,
): Promise<DocumentMap> {
  const map = new DocumentMap();
  const session = connection.client.startSession({ causalConsistency: false });
  try {
    const find = {
      find: collection,
      projection: { value: 0 },
      batchSize: BATCH,
      readConcern: { level: "snapshot", atClusterTime: timestampOf(time) },
    };
    let reply = await sendForCursor(connection, find, session, limits);
    for (;;) {
      for (const bytes of reply.documents) {
        const document = splitDocument(bytes);
        if (document._id === undefined) throw damaged();
        map.set(document._id, document);
      }
      if (reply.id.isZero()) return map;
      const getMore = { getMore: reply.id, collection, batchSize: BATCH };
      reply = await sendForCursor(connection, getMore, session, limits);
    }
  } finally {
    void session.endSession();
  }
}

/** A document after an update, by what the update says that it changed; but for the value. */
export function updated(before: RawDocument, updateDescription: Element): RawDocument {
  const { updatedFields, removedFields } = fieldsOf(updateDescription.bytes, DELTA_FIELDS);
  const removed = new Set((removedFields === undefined ? [] : itemsOf(removedFields)).map(textOf));
  const kept = Object.entries(before).filter(([name]) => !removed.has(name));
  const changed = updatedFields === undefined ? {} : splitDocument(updatedFields.bytes);
  return { ...Object.fromEntries(kept), ...changed };
}
