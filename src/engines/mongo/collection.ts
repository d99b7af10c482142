import type { Collection } from "mongodb";
import type { MongoConnection } from "./connection.js";
import { LIST_INDEX } from "./index-definitions.js";
import { SizeGuess } from "./size-guess.js";
import { StoreCounts } from "./store-counts.js";

/** One collection of a connected database. */
export interface MongoCollection {
  readonly connection: MongoConnection;
  readonly documents: Collection;
  /** Options that make a listing use the index made for it; empty while it is not there. */
  readonly listIndex: { readonly hint?: string };
  /** What documents take with their values. */
  readonly valueSize: SizeGuess;
  /** About how many stores its contexts have. */
  readonly storeCounts: StoreCounts;
}

/**
 * A collection by its name; nothing is asked of the database.
 *
 * @param indexes those that can be used; see ensureIndexes()
 */
export function openCollection(
  connection: MongoConnection,
  name: string,
  indexes: ReadonlyMap<string, string> = new Map(),
): MongoCollection {
  return {
    connection,
    documents: connection.db.collection(name),
    get listIndex() {
      const hint = indexes.get(LIST_INDEX);
      return hint === undefined ? {} : { hint };
    },
    valueSize: new SizeGuess(),
    storeCounts: new StoreCounts(),
  };
}
