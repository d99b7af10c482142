import { setTimeout as delay } from "node:timers/promises";
import type { Document } from "mongodb";
import { StoreError } from "../../store/errors.js";
import type { MongoConnection, MongoEvent } from "./connection.js";
import { CODES, isTransient, serverCode, translate } from "./errors.js";
import { type IndexDefinition, matches, OTHER_INDEXES, specOf, UNIQUE_INDEX } from "./index-definitions.js";
import { hostsOf } from "./unreachable-reason.js";

export { LIST_INDEX } from "./index-definitions.js";

/** How long the start waits for indexes that only make calls faster, in milliseconds. */
const PATIENCE_MS = 3_000;
/** Between two attempts while the database is away, in milliseconds. */
const PAUSE_MS = 500;

type Connection = Pick<MongoConnection, "client" | "db" | "replicated">;

/** One collection, and who hears about its indexes. */
interface Subject {
  readonly connection: Connection;
  readonly collection: string;
  readonly onEvent: (event: MongoEvent) => void;
  /** See ensureIndexes(). */
  readonly ready: Map<string, string>;
  /** Names that a standalone lists: done or under construction. */
  readonly listed: Set<string>;
}

/**
 * Makes the indexes that a collection lacks: FiftyOne's by its names and definitions, and one of ours. What cannot be
 * made is told, with what is amiss without it, and the rest is made. Resolves when calls may be answered: on a large
 * collection, indexes that only make calls faster may then still be under construction. Any number of servers may do
 * this at once.
 *
 * @returns the indexes that can be used, by the name that they should have, with the name that they have; those under
 *   construction appear when they are done
 * @throws StoreError DATABASE_UNUSABLE if the user may not even read the collection; SHUTTING_DOWN if the connection
 *   is closed meanwhile
 */
export async function ensureIndexes(
  connection: Connection,
  collection: string,
  onEvent: (event: MongoEvent) => void,
): Promise<ReadonlyMap<string, string>> {
  const ready = new Map<string, string>();
  const subject: Subject = { connection, collection, onEvent, ready, listed: new Set() };
  try {
    await checkReadable(subject);
    const found = await listIndexes(subject);
    if (found === undefined) return ready;
    const isMissing = (definition: IndexDefinition): boolean => checkMissing(subject, definition, found);
    // First, and by itself, since documents can be in its way.
    if (isMissing(UNIQUE_INDEX)) await build(subject, [UNIQUE_INDEX]);
    await buildPatiently(subject, OTHER_INDEXES.filter(isMissing));
    return ready;
  } catch (error) {
    throw translate(error, "read");
  }
}

/** Without the right to read there is nothing to serve. */
async function checkReadable({ connection, collection }: Subject): Promise<void> {
  try {
    await persistently(() => connection.db.collection(collection).findOne({}, { projection: { _id: 1 } }));
  } catch (error) {
    if (serverCode(error) !== CODES.unauthorized) throw error;
    const { options } = connection.client;
    const database = JSON.stringify(connection.db.databaseName);
    const problem =
      options.credentials === undefined
        ? "wants a user; name one in the URI"
        : `does not let this user read the database ${database}; give it the role readWrite there`;
    throw new StoreError("DATABASE_UNUSABLE", `MongoDB at ${hostsOf(options)} ${problem}`);
  }
}

/** The indexes that are there, without those under construction; undefined if they may not be listed. */
async function listIndexes(subject: Subject): Promise<readonly Document[] | undefined> {
  const { connection, collection, onEvent } = subject;
  const command = { listIndexes: collection, includeIndexBuildInfo: true, cursor: { batchSize: 1_000 } };
  try {
    const reply = await persistently(() => connection.db.command(command));
    const { firstBatch } = reply["cursor"] as { firstBatch: readonly Document[] };
    return firstBatch
      .filter((entry) => entry["indexBuildInfo"] === undefined)
      .map((entry) => entry["spec"] as Document);
  } catch (error) {
    const code = serverCode(error);
    if (code === CODES.namespaceNotFound) return [];
    if (code !== CODES.unauthorized) throw error;
    const message = `this user may not list the indexes of collection ${collection}, so what it lacks is not known; give it the role readWrite`;
    onEvent({ level: "warn", message });
    return undefined;
  }
}

/** Whether an index is to be made. Tells of another in its place. */
function checkMissing(
  { connection, collection, onEvent, ready, listed }: Subject,
  definition: IndexDefinition,
  found: readonly Document[],
): boolean {
  const { name, ofFiftyOne } = definition;
  const namesake = found.find((index) => index["name"] === name);
  if (namesake !== undefined && matches(namesake, definition)) {
    // A standalone does not tell what is still under construction; asked to make it, it waits for that.
    if (connection.replicated) ready.set(name, name);
    else listed.add(name);
    return !connection.replicated;
  }
  if (namesake !== undefined) {
    const { v: _, name: __, ...other } = namesake;
    const message =
      `index ${name} of collection ${collection} is not as expected (${JSON.stringify(other)}): ` +
      `${definition.lack}; drop it and start the server again, which makes it anew`;
    onEvent({ level: levelOf(definition), message });
    return false;
  }
  const twin = found.find((index) => matches(index, definition));
  if (twin === undefined) return true;
  ready.set(name, String(twin["name"]));
  if (ofFiftyOne) {
    const message =
      `index ${String(twin["name"])} of collection ${collection} serves this server, but FiftyOne, which wants it ` +
      `under the name ${name}, will not start; drop it and start the server again, which makes it by that name`;
    onEvent({ level: "warn", message });
  }
  return false;
}

/** Builds what only makes calls faster. Who waits for long goes on without it, and hears of its end. */
async function buildPatiently(subject: Subject, definitions: readonly IndexDefinition[]): Promise<void> {
  if (definitions.length === 0) return;
  const { collection, onEvent } = subject;
  const patience = new AbortController();
  const built = build(subject, definitions).finally(() => patience.abort());
  const waited = await Promise.race([
    built.then(() => false),
    delay(PATIENCE_MS, true, { signal: patience.signal, ref: false }).catch(() => false),
  ]);
  if (!waited) return await built;
  const names = definitions.map(({ name }) => name).join(", ");
  const lacks = [...new Set(definitions.map(({ lack }) => lack))].join("; ");
  const message = `building indexes of collection ${collection}: ${names}; until that is done ${lacks}`;
  onEvent({ level: "info", message });
  built.then(
    () => onEvent({ level: "info", message: `the indexes of collection ${collection} are built` }),
    (error: unknown) => {
      const { reason, cause } = translate(error, "read");
      if (reason === "SHUTTING_DOWN") return;
      onEvent({ level: "error", message: `building the indexes of collection ${collection} failed`, cause });
    },
  );
}

/** Builds indexes together, in one pass over the documents; one by one if something is in the way of one. */
async function build(subject: Subject, definitions: readonly IndexDefinition[]): Promise<void> {
  const { connection, collection, onEvent, ready, listed } = subject;
  const command = {
    createIndexes: collection,
    indexes: definitions.map(specOf),
    // The default waits for all members, and would wait for one that is down for ever.
    ...(connection.replicated && { commitQuorum: "majority" }),
  };
  try {
    // Repeated, it waits for a construction that is under way: so a lost connection does no harm.
    await persistently(() => connection.db.command(command));
    for (const { name } of definitions) ready.set(name, name);
  } catch (error) {
    const code = serverCode(error);
    if (code === undefined) throw error;
    if (definitions.length > 1 && code !== CODES.unauthorized) {
      for (const one of definitions) await build(subject, [one]);
      return;
    }
    for (const { name } of definitions) if (listed.has(name)) ready.set(name, name);
    const absent = definitions.filter(({ name }) => !listed.has(name));
    const [definition] = absent;
    if (definition === undefined) return;
    const names = absent.map(({ name }) => name).join(", ");
    const lacks = [...new Set(absent.map(({ lack }) => lack))].join("; ");
    const message = `collection ${collection} has no index ${names}, since ${hindrance(code)}: ${lacks}`;
    onEvent({ level: levelOf(definition), message });
  }
}

/** Why an index cannot be made, and what to do. */
function hindrance(code: number): string {
  switch (code) {
    case CODES.unauthorized:
      return "this user may not make it (give it the role readWrite and start the server again)";
    case CODES.duplicateKey:
      return "there are keys with several documents (remove all but one of each and start the server again)";
    default:
      return `MongoDB refuses to make it with error ${code} (see its log, and start the server again)`;
  }
}

/** Whether promises are at stake, or just speed. */
function levelOf(definition: IndexDefinition): "warn" | "error" {
  return definition === UNIQUE_INDEX ? "error" : "warn";
}

/** Makes a call again and again while the database is away; closing the connection ends that. */
async function persistently<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!isTransient(error)) throw error;
    }
    await delay(PAUSE_MS);
  }
}
