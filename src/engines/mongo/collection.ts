import type { Collection } from "mongodb";
import type { MongoConnection } from "./connection.js";
import { EXPIRY_INDEX, LIST_INDEX } from "./index-definitions.js";
import { SizeGuess } from "./size-guess.js";
import { StoreCounts } from "./store-counts.js";

/** Names an index; to be asked for at each attempt, since the index may be gone at the next. */
export interface IndexHint {
  readonly hint?: string;
}

/** One collection of a connected database. */
export interface MongoCollection {
  readonly connection: MongoConnection;
  readonly documents: Collection;
  /** Options that make a listing use the index made for it; empty while it is not there. */
  readonly listIndex: IndexHint;
  /** The same for what has expired. */
  readonly expiryIndex: IndexHint;
  /** What documents take with their values. */
  readonly valueSize: SizeGuess;
  /** About how many stores its contexts have. */
  readonly storeCounts: StoreCounts;
}

/**
 * A collection by its name; nothing is asked of the database.
 *
 * @param indexes those that can be used; see Indexes. Emptied when the server refuses a call that names one
 */
export function openCollection(
  connection: MongoConnection,
  name: string,
  indexes: Map<string, string> = new Map(),
): MongoCollection {
  const hintAt = (index: string): IndexHint => {
    const hint = indexes.get(index);
    return hint === undefined ? {} : { hint };
  };
  connection.hints.add(indexes);
  return {
    connection,
    documents: connection.db.collection(name),
    get listIndex() {
      return hintAt(LIST_INDEX);
    },
    get expiryIndex() {
      return hintAt(EXPIRY_INDEX);
    },
    valueSize: new SizeGuess(),
    storeCounts: new StoreCounts(),
  };
}
