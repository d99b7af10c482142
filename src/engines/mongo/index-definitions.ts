import type { Document } from "mongodb";

/** An index that a collection should have, and what is amiss without it. */
export interface IndexDefinition {
  readonly name: string;
  readonly key: Readonly<Record<string, 1>>;
  readonly unique?: true;
  readonly expireAfterSeconds?: 0;
  /** What is amiss without it, as a clause. */
  readonly lack: string;
  /** Whether FiftyOne makes it, by this name. */
  readonly ofFiftyOne: boolean;
}

const SLOWER = "some queries are slower, FiftyOne's among them";

/** Makes sure that there is one document of a name. */
export const UNIQUE_INDEX: IndexDefinition = {
  name: "unique_store_index",
  key: { store_name: 1, key: 1, dataset_id: 1 },
  unique: true,
  lack: "one key may come to have several documents, SetKeyIfAbsent and CompareAndSetKey may succeed twice, and keys are found slowly",
  ofFiftyOne: true,
};

/** The index that listings of stores and keys walk along. */
export const LIST_INDEX = "dataset_store_key";
/** The index by which what has expired is found. */
export const EXPIRY_INDEX = "expires_at";

/** FiftyOne's other indexes, by its names and definitions, and the one that listings of stores need. */
export const OTHER_INDEXES: readonly IndexDefinition[] = [
  {
    name: LIST_INDEX,
    key: { dataset_id: 1, store_name: 1, key: 1 },
    lack: "listing and counting stores and keys reads the whole collection",
    ofFiftyOne: false,
  },
  {
    name: EXPIRY_INDEX,
    key: { expires_at: 1 },
    expireAfterSeconds: 0,
    lack: "expired documents are found slowly, and stay on disk while no server runs",
    ofFiftyOne: true,
  },
  ...["store_name", "key", "dataset_id", "updated_at", "policy"].map(
    (name): IndexDefinition => ({ name, key: { [name]: 1 }, lack: SLOWER, ofFiftyOne: true }),
  ),
];

/** A definition as the server takes it. */
export function specOf({ name, key, unique, expireAfterSeconds }: IndexDefinition): Document {
  return {
    name,
    key,
    ...(unique !== undefined && { unique }),
    ...(expireAfterSeconds !== undefined && { expireAfterSeconds }),
  };
}

/** Whether an index that the server has, by whatever name, does what the definition asks for. */
export function matches(found: Document, definition: IndexDefinition): boolean {
  const { unique, expireAfterSeconds } = definition;
  return (
    sameKey(found["key"] as Document, definition.key) &&
    (found["unique"] === true) === (unique === true) &&
    found["expireAfterSeconds"] === expireAfterSeconds &&
    found["sparse"] !== true &&
    found["hidden"] !== true &&
    found["partialFilterExpression"] === undefined &&
    found["collation"] === undefined
  );
}

/** The order of the fields counts. */
function sameKey(found: Document, key: Readonly<Record<string, 1>>): boolean {
  return JSON.stringify(Object.entries(found)) === JSON.stringify(Object.entries(key));
}
