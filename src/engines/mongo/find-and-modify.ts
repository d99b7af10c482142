import { serialize } from "bson";
import type { Document } from "mongodb";
import type { CallOptions } from "../../store/engine.js";
import type { MongoCollection } from "./collection.js";
import type { Limits } from "./connection.js";
import { knownFields, type RawDocument, splitDocument } from "./record.js";
import { withRetryableWrite } from "./retryable-write.js";

/** Replies keep every type, so that versions read the same as in raw ones. */
const READING = { promoteValues: false, bsonRegExp: true } as const;

/**
 * Changes one document, by one command and in one round trip.
 *
 * @param fields the command's: query, update or remove, and so on
 * @param read takes the answer from the reply
 */
export function findAndModify<Answer>(
  collection: MongoCollection,
  fields: Document,
  options: CallOptions | undefined,
  read: (reply: Document) => Answer,
): Promise<Answer> {
  return collection.connection.run(options, "write", async (limits) =>
    read(await sendFindAndModify(collection, fields, limits)),
  );
}

/** The same within a call that runs already; answers the reply. */
export function sendFindAndModify(
  { connection, documents }: MongoCollection,
  fields: Document,
  limits: Limits,
): Promise<Document> {
  const command = { findAndModify: documents.collectionName, ...fields };
  return withRetryableWrite(connection, limits, (write) => write.send(() => command, undefined, READING));
}

/**
 * A document that the driver decoded, as a reply in raw form would be. The answer to a command that was sent again
 * ignores the projection: it comes with the value, which may not be one that the driver can serialize, and neither may
 * fields that another program added.
 */
export function rawOf(decoded: Document): RawDocument {
  const { value: _value, ...known } = knownFields(decoded);
  return splitDocument(Buffer.from(serialize(known)));
}
