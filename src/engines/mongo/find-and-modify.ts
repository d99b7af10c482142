import type { Document } from "mongodb";
import type { CallOptions } from "../../store/engine.js";
import type { MongoCollection } from "./collection.js";
import { CODES, serverCode } from "./errors.js";
import { withRetryableWrite } from "./retryable-write.js";

/** How often an upsert that met another one is repeated. */
const UPSERT_ATTEMPTS = 5;
/** Replies keep every type, so that versions read the same as in raw ones. */
const READING = { promoteValues: false, bsonRegExp: true } as const;

/**
 * Changes one document, by one command and in one round trip.
 *
 * @param fields the command's: query, update or remove, and so on
 * @param read takes the answer from the reply
 */
export function findAndModify<Answer>(
  { connection, documents }: MongoCollection,
  fields: Document,
  options: CallOptions | undefined,
  read: (reply: Document) => Answer,
): Promise<Answer> {
  const command = { findAndModify: documents.collectionName, ...fields };
  return connection.run(options, "write", (limits) =>
    withRetryableWrite(connection, limits, async (write) => {
      for (let attempt = 1; ; attempt++) {
        limits.signal?.throwIfAborted();
        try {
          return read(await write.send(() => command, undefined, READING));
        } catch (error) {
          // Two upserts of a new key met, and the database did not repeat the later one itself.
          if (serverCode(error) !== CODES.duplicateKey || attempt === UPSERT_ATTEMPTS) throw error;
        }
      }
    }),
  );
}
