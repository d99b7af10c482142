import type { Document } from "mongodb";
import type { CallOptions } from "../../store/engine.js";
import { isStoreError, StoreError } from "../../store/errors.js";
import { change, type Decision, type Situation } from "./changes.js";
import type { MongoCollection } from "./collection.js";
import { ARRAYED, identityOf } from "./filters.js";
import { readOptions } from "./read-options.js";
import type { Target } from "./versions.js";

/** How many inserts may find that a document has come, and find none then, before the reason is looked for. */
const MOST_INSERTS = 3;

/**
 * A write's answer; where it fails and nothing was written, a document of another program may be why: the unique index
 * has an array under each of its elements, and takes no second document for one of them.
 *
 * @throws StoreError KEY_TAKEN
 */
export async function orTaken<Answer>(
  collection: MongoCollection,
  target: Target,
  options: CallOptions | undefined,
  answer: Promise<Answer>,
): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    const mayBeTaken = isStoreError(error, "INTERNAL") && error.outcome === "NOT_APPLIED";
    if (mayBeTaken && (await isTaken(collection, target, options))) throw keyTaken();
    throw error;
  }
}

/** Like change(), for what may insert. */
export async function changeUnlessTaken<Answer>(
  collection: MongoCollection,
  target: Target,
  options: CallOptions | undefined,
  decide: (situation: Situation) => Decision<Answer>,
): Promise<Answer> {
  let inserts = 0;
  let suspected = false;
  try {
    return await change(collection, target, false, options, (situation) => {
      if (situation.document === undefined) inserts += 1;
      suspected = inserts > MOST_INSERTS;
      if (suspected) throw keyTaken();
      return decide(situation);
    });
  } catch (error) {
    if (!suspected || (await isTaken(collection, target, options))) throw error;
  }
  // Others only come and go so fast.
  return change(collection, target, false, options, decide);
}

function isTaken(
  { connection, documents }: MongoCollection,
  { scope, storeName, key }: Target,
  options: CallOptions | undefined,
): Promise<boolean> {
  const filter: Document = { ...identityOf(scope, storeName, key), $or: ARRAYED };
  return connection.run(options, "read", async (limits) => {
    const found = await documents.findOne(filter, { projection: { _id: 1 }, ...readOptions(limits) });
    return found !== null;
  });
}

function keyTaken(): StoreError {
  return new StoreError(
    "KEY_TAKEN",
    "a document of another program, whose store_name, key or dataset_id is an array that has this one, takes the key in MongoDB; remove that document, or use another key",
    { outcome: "NOT_APPLIED" },
  );
}
