import { type Document, ObjectId } from "mongodb";
import type { Scope } from "../../store/document.js";
import type { CallOptions } from "../../store/engine.js";
import type { MongoCollection } from "./collection.js";
import type { Limits } from "./connection.js";
import { serverCode } from "./errors.js";
import { datasetOf, LEAST_ID, prefixEnd, TEXT_KEY } from "./filters.js";
import { rawBatches } from "./raw-cursor.js";
import { readOptions } from "./read-options.js";
import { splitDocument, textOf } from "./record.js";

/** Part of a filter: among what `contextRange` has of the empty context, what is of none. */
export const STRAY: Document = { dataset_id: { $ne: null, $not: { $gte: LEAST_ID } } };
/** The server's code where the names of a context are more than one reply holds. */
const TOO_MANY_NAMES = 17_217;
/** How many times the names asked for a context may have before its names are no longer all read at once. */
const ALL_AT_ONCE = 4;
/** What a jump to the next store costs, in names read all at once. */
const JUMP_COST = 60;
/** Index entries read in one jump, at least and at most. */
const LEAST_STEP = 8;
const MOST_STEP = 16_384;
/** Stores of one context that are read together with other contexts'. */
const FEW = 1_000;
/** Contexts that come in one reply. */
const CONTEXTS = 250;

/** Part of a list of names. */
interface NameRange {
  readonly prefix: string;
  /** Exclusive. */
  readonly after: string | undefined;
  /** How many names are wanted. */
  readonly limit: number;
}

/** A store by its context and name, whether or not it has anything live. */
export interface StorePlace {
  readonly datasetId: string;
  readonly storeName: string;
}

/**
 * A filter for a context from which the server reads distinct names by its index alone, one entry a name. It cannot
 * for null itself, since the index does not tell null from a missing field; what is below and above all ObjectIds has
 * null, and contexts that are none: `strayNames` tells which.
 */
export function contextRange(scope: Scope): Document {
  // No condition on the name: the server would take the index that begins with it, and read other contexts' keys.
  if (scope.datasetId !== "") return { dataset_id: datasetOf(scope.datasetId), ...TEXT_KEY };
  return { dataset_id: { $not: { $gte: LEAST_ID } }, ...TEXT_KEY };
}

/** The order of UTF-8 bytes, which is not that of JavaScript's strings. */
function byUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const x = a.charCodeAt(at);
    const y = b.charCodeAt(at);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Surrogates stand for characters above all others. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x2800 : unit;
}

/** Whether broken UTF-8 may have become this; the driver shows it as U+FFFD, which a name may also have by itself. */
export function mayBeBroken(name: string): boolean {
  return name.includes("\uFFFD");
}

async function distinctNames(
  { documents }: MongoCollection,
  filter: Document,
  { maxTimeMS }: Limits,
): Promise<string[]> {
  const names: unknown[] = await documents.distinct("store_name", filter, {
    maxTimeMS,
    enableUtf8Validation: false,
  });
  return names.filter((name) => typeof name === "string");
}

/** Names that documents of no context have. */
export async function strayNames(
  collection: MongoCollection,
  options: CallOptions | undefined,
): Promise<ReadonlySet<string>> {
  return new Set(
    await collection.connection.run(options, "read", (limits) => distinctNames(collection, STRAY, limits)),
  );
}

/**
 * Whether the collection has, or had, documents whose name or context is an array: the server notes it with its index.
 * True where nobody can tell.
 */
export function mayHaveArrays(
  collection: MongoCollection,
  options: CallOptions | undefined,
): Promise<boolean> {
  const { connection, documents } = collection;
  return connection.run(options, "read", async ({ maxTimeMS }) => {
    const { hint } = collection.listIndex;
    if (hint === undefined) return true;
    const find = { find: documents.collectionName, hint };
    const plan = await connection.db.command({ explain: find, verbosity: "queryPlanner", maxTimeMS });
    // Where in the plan it stands differs by version and topology.
    const text = JSON.stringify(plan);
    return text.includes('"isMultiKey":true') || !text.includes('"isMultiKey":false');
  });
}

/** All names of a context in order; undefined if they are too many for one reply. */
async function allNames(
  collection: MongoCollection,
  scope: Scope,
  options: CallOptions | undefined,
): Promise<string[] | undefined> {
  const names = await collection.connection.run(options, "read", async (limits) => {
    try {
      return await distinctNames(collection, contextRange(scope), limits);
    } catch (error) {
      if (serverCode(error) === TOO_MANY_NAMES) return undefined;
      throw error;
    }
  });
  collection.storeCounts.learn(scope.datasetId, names?.length ?? Number.POSITIVE_INFINITY);
  return names?.toSorted(byUtf8);
}

/**
 * Names of a context's stores in order, live or not, at least as many as are wanted if there are so many. The names
 * of a small context are read all at once, which is the cheapest by far; of a large one, in steps through the index
 * that jump to the next name.
 */
export async function readNames(
  collection: MongoCollection,
  scope: Scope,
  range: NameRange,
  options: CallOptions | undefined,
): Promise<readonly string[]> {
  const { prefix, after, limit } = range;
  const count = collection.storeCounts.of(scope.datasetId);
  if (count > ALL_AT_ONCE * limit) {
    const names = await stepThroughNames(collection, scope, range, count, options);
    if (names !== undefined) return names;
  }
  const names = await allNames(collection, scope, options);
  if (names === undefined) {
    return (await stepThroughNames(collection, scope, range, Number.POSITIVE_INFINITY, options)) ?? [];
  }
  const first = names.findIndex((name) => after === undefined || byUtf8(name, after) > 0);
  const rest = first < 0 ? [] : names.slice(first);
  return prefix === "" ? rest : rest.filter((name) => name.startsWith(prefix));
}

/** Undefined if to jump from store to store would cost more than to read all names: they have many keys each. */
async function stepThroughNames(
  collection: MongoCollection,
  scope: Scope,
  { prefix, after, limit }: NameRange,
  count: number,
  options: CallOptions | undefined,
): Promise<string[] | undefined> {
  const upper = prefixEnd(prefix);
  const end = upper === undefined ? {} : { $lt: upper };
  const names: string[] = [];
  let start: Document = after === undefined || byUtf8(after, prefix) < 0 ? { $gte: prefix } : { $gt: after };
  let step = LEAST_STEP;
  while (names.length < limit) {
    const filter = { dataset_id: datasetOf(scope.datasetId), store_name: { ...start, ...end }, ...TEXT_KEY };
    const size = step;
    const found = await collection.connection.run(options, "read", (limits) =>
      stepFrom(collection, filter, size, limits),
    );
    names.push(...found.names);
    if (found.entries < step) break;
    const last = found.names.at(-1);
    if (last !== undefined) start = { $gt: last };
    // Without a readable name, only a longer step gets any further.
    if (found.names.length * LEAST_STEP >= step || last === undefined) step = Math.min(step * 4, MOST_STEP);
    else if ((limit - names.length) * JUMP_COST > count) return undefined;
    else step = LEAST_STEP;
  }
  return names;
}

/** The names in the next so many index entries. */
async function stepFrom(
  { documents, listIndex }: MongoCollection,
  filter: Document,
  limit: number,
  { maxTimeMS }: Limits,
): Promise<{ readonly names: readonly string[]; readonly entries: number }> {
  const cursor = documents.find(filter, {
    raw: true,
    projection: { _id: 0, store_name: 1 },
    sort: { dataset_id: 1, store_name: 1, key: 1 },
    limit,
    batchSize: limit + 1,
    maxTimeMS,
    ...listIndex,
  });
  const names = new Set<string>();
  let entries = 0;
  for await (const batch of rawBatches(cursor)) {
    entries += batch.length;
    for (const bytes of batch) {
      const name = textOf(splitDocument(bytes).store_name);
      if (name !== undefined) names.add(name);
    }
  }
  return { names: [...names], entries };
}

/**
 * Stores of all datasets after one (undefined: of all datasets), live or not, by dataset id and then by name, at
 * least as many as are wanted if there are so many.
 */
export async function readDatasetStores(
  collection: MongoCollection,
  scopeOf: (datasetId: string) => Scope,
  { prefix, after, limit }: NameRange,
  options: CallOptions | undefined,
): Promise<readonly StorePlace[]> {
  const places: StorePlace[] = [];
  let start = after;
  while (places.length < limit) {
    const from = start;
    const wanted = limit - places.length;
    const part = await collection.connection.run(options, "read", (limits) =>
      readSmallDatasets(collection, { prefix, after: from, limit: wanted }, limits),
    );
    for (const place of part.places) places.push(place);
    if (part.large === undefined) break;
    const range = { prefix, after: undefined, limit: limit - places.length };
    const names = await readNames(collection, scopeOf(part.large), range, options);
    for (const storeName of names) places.push({ datasetId: part.large, storeName });
    start = part.large;
  }
  return places;
}

/** Stores up to the first dataset that has too many for one document of the reply. */
async function readSmallDatasets(
  { documents }: MongoCollection,
  { prefix, after, limit }: NameRange,
  limits: Limits,
): Promise<{ readonly places: readonly StorePlace[]; readonly large: string | undefined }> {
  const ids = after === undefined ? { $gte: LEAST_ID } : { $gt: ObjectId.createFromHexString(after) };
  const cursor = documents.aggregate<{ readonly _id: unknown; readonly names: { readonly _id: unknown }[] }>(
    [
      { $match: { dataset_id: ids } },
      { $group: { _id: "$dataset_id" } },
      { $sort: { _id: 1 } },
      {
        $lookup: {
          from: documents.collectionName,
          localField: "_id",
          foreignField: "dataset_id",
          pipeline: [{ $match: TEXT_KEY }, { $group: { _id: "$store_name" } }, { $limit: FEW + 1 }],
          as: "names",
        },
      },
      { $project: { "names._id": 1 } },
    ],
    {
      ...readOptions(limits),
      enableUtf8Validation: false,
      batchSize: Math.min(limit, CONTEXTS),
    },
  );
  const places: StorePlace[] = [];
  try {
    while (places.length < limit && (await cursor.hasNext())) {
      for (const { _id, names } of cursor.readBufferedDocuments()) {
        // Of an array that has ids.
        if (!(_id instanceof ObjectId)) continue;
        const datasetId = _id.toHexString();
        if (names.length > FEW) return { places, large: datasetId };
        const texts = names.map((name) => name._id).filter((name) => typeof name === "string");
        for (const storeName of texts.toSorted(byUtf8)) {
          if (storeName.startsWith(prefix)) places.push({ datasetId, storeName });
        }
      }
    }
    return { places, large: undefined };
  } finally {
    await cursor.close();
  }
}
