import { setTimeout as delay } from "node:timers/promises";
import type { Document } from "mongodb";
import { StoreError } from "../../store/errors.js";
import type { MongoConnection, MongoEvent } from "./connection.js";
import { CODES, isTransient, serverCode, closing as shuttingDown, translate } from "./errors.js";
import { type IndexDefinition, matches, OTHER_INDEXES, specOf, UNIQUE_INDEX } from "./index-definitions.js";
import { hostsOf } from "./unreachable-reason.js";

export { LIST_INDEX } from "./index-definitions.js";

/** How long the start waits for indexes that only make calls faster, in milliseconds. */
const PATIENCE_MS = 3_000;
/** Between two attempts while the database is away, in milliseconds. */
const PAUSE_MS = 500;

/** The least time until what the server refused to make is tried again, in milliseconds. */
const REFUSED_PAUSE_MS = 60_000;
/** The same as a multiple of what the attempt took: with duplicates in its way it reads the collection up to there. */
const REFUSED_PAUSE_FACTOR = 100;

/** Of constructions that were ended by who dropped the index, the collection or the database: nothing against another. */
const BUILD_ENDED: ReadonlySet<number> = new Set([26, 215, 276]);

type Connection = Pick<MongoConnection, "client" | "db" | "replicated">;

/** One collection, what is known of its indexes, and who hears of them. */
interface Subject {
  readonly connection: Connection;
  readonly collection: string;
  readonly onEvent: (event: MongoEvent) => void;
  /** See Indexes. */
  readonly ready: Map<string, string>;
  /** What was last found or made, like `ready`. */
  readonly known: Map<string, string>;
  /** Names that a standalone lists: done or under construction. */
  readonly listed: Set<string>;
  /** Messages that still hold: at the next look nobody wants to hear them again. */
  readonly told: Set<string>;
  /** When what the server refused to make is tried again, by performance.now(). */
  readonly refused: Map<string, number>;
  /** What is under construction since the start; never fails. */
  building: Promise<void>;
  /** Ends what goes on and on. */
  readonly closed: AbortSignal;
}

/** The indexes that a collection should have. */
export interface Indexes {
  /**
   * Those that can be used, by the name that they should have, with the name that they have. Those under construction
   * appear when they are done. Whoever finds that one is gone may empty it: the next look fills it again.
   */
  readonly ready: Map<string, string>;
  /** Looks for them again, and makes what somebody has dropped, alone or with the collection. Throws StoreError. */
  look(): Promise<void>;
  /** Ends what is under way. */
  close(): void;
}

/**
 * Makes the indexes that a collection lacks: FiftyOne's by its names and definitions, and one of ours. What cannot be
 * made is told, with what is amiss without it, and the rest is made. Resolves when calls may be answered: on a large
 * collection, indexes that only make calls faster may then still be under construction. Any number of servers may do
 * this at once.
 *
 * @throws StoreError DATABASE_UNUSABLE if the user may not even read the collection; SHUTTING_DOWN if the connection
 *   is closed meanwhile
 */
export async function openIndexes(
  connection: Connection,
  collection: string,
  onEvent: (event: MongoEvent) => void,
): Promise<Indexes> {
  const closing = new AbortController();
  const subject: Subject = {
    connection,
    collection,
    onEvent,
    ready: new Map(),
    known: new Map(),
    listed: new Set(),
    told: new Set(),
    refused: new Map(),
    building: Promise.resolve(),
    closed: closing.signal,
  };
  const translated = async (step: () => Promise<void>): Promise<void> => {
    try {
      await step();
    } catch (error) {
      throw closing.signal.aborted ? shuttingDown("read", "UNKNOWN", error) : translate(error, "read");
    }
  };
  await translated(() => makeFirst(subject));
  return {
    ready: subject.ready,
    look: () => translated(() => lookAgain(subject)),
    close: () => closing.abort(),
  };
}

async function makeFirst(subject: Subject): Promise<void> {
  await checkReadable(subject);
  const found = await listIndexes(subject);
  if (found !== undefined) await makeMissing(subject, found, buildPatiently);
}

async function lookAgain(subject: Subject): Promise<void> {
  await subject.building;
  const found = await listIndexes(subject);
  if (found === undefined) return;
  const gone = forgetGone(subject, found);
  await makeMissing(subject, found, build);
  const back = gone.filter((name) => subject.known.has(name));
  if (back.length === 0) return;
  const message = `collection ${subject.collection} has its indexes again: ${back.join(", ")}`;
  subject.onEvent({ level: "info", message });
}

async function makeMissing(
  subject: Subject,
  found: readonly Document[],
  buildOthers: typeof build,
): Promise<void> {
  const isMissing = (definition: IndexDefinition): boolean => checkMissing(subject, definition, found);
  // First, and by itself, since documents can be in its way.
  if (isMissing(UNIQUE_INDEX)) await build(subject, [UNIQUE_INDEX]);
  await buildOthers(subject, OTHER_INDEXES.filter(isMissing));
}

/** The same once, for whoever does not stay for long; answers which can be used. */
export async function ensureIndexes(
  connection: Connection,
  collection: string,
  onEvent: (event: MongoEvent) => void,
): Promise<ReadonlyMap<string, string>> {
  return (await openIndexes(connection, collection, onEvent)).ready;
}

/** Notes that an index can be used. */
function setReady(
  { collection, onEvent, ready, known, refused }: Subject,
  name: string,
  actual: string,
): void {
  ready.set(name, actual);
  known.set(name, actual);
  if (refused.delete(name))
    onEvent({ level: "info", message: `collection ${collection} has the index ${name} now` });
}

/** Notes which indexes of before are gone, tells of them, and answers their names. */
function forgetGone(subject: Subject, found: readonly Document[]): readonly string[] {
  const { collection, onEvent, ready, known, listed, told, refused } = subject;
  const isGone = (definition: IndexDefinition): boolean => {
    const actual = known.get(definition.name);
    return (
      actual !== undefined && !found.some((index) => index["name"] === actual && matches(index, definition))
    );
  };
  const gone = [UNIQUE_INDEX, ...OTHER_INDEXES].filter(isGone);
  if (gone.length === 0) return [];
  const names = gone.map(({ name }) => name);
  for (const name of names) {
    ready.delete(name);
    known.delete(name);
  }
  // Perhaps the whole collection was dropped: then nothing of before holds any more.
  listed.clear();
  told.clear();
  refused.clear();
  const lacks = [...new Set(gone.map(({ lack }) => lack))].join("; ");
  const level = gone.includes(UNIQUE_INDEX) ? "error" : "warn";
  const message = `somebody dropped indexes of collection ${collection}: ${names.join(", ")}; they are made again, and until that is done ${lacks}`;
  onEvent({ level, message });
  return names;
}

/** Tells what has not been told yet. */
function tell({ onEvent, told }: Subject, level: "warn" | "error", message: string): void {
  if (told.has(message)) return;
  told.add(message);
  onEvent({ level, message });
}

/** Without the right to read there is nothing to serve. */
async function checkReadable({ connection, collection, closed }: Subject): Promise<void> {
  try {
    await persistently(
      () => connection.db.collection(collection).findOne({}, { projection: { _id: 1 } }),
      closed,
    );
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
  const { connection, collection, closed } = subject;
  const command = { listIndexes: collection, includeIndexBuildInfo: true, cursor: { batchSize: 1_000 } };
  try {
    const reply = await persistently(() => connection.db.command(command), closed);
    const { firstBatch } = reply["cursor"] as { firstBatch: readonly Document[] };
    return firstBatch
      .filter((entry) => entry["indexBuildInfo"] === undefined)
      .map((entry) => entry["spec"] as Document);
  } catch (error) {
    const code = serverCode(error);
    if (code === CODES.namespaceNotFound) return [];
    if (code !== CODES.unauthorized) throw error;
    const message = `this user may not list the indexes of collection ${collection}, so what it lacks is not known; give it the role readWrite`;
    tell(subject, "warn", message);
    return undefined;
  }
}

/** Whether an index is to be made now. Tells of another in its place. */
function checkMissing(subject: Subject, definition: IndexDefinition, found: readonly Document[]): boolean {
  const { connection, collection, ready, listed, refused } = subject;
  const { name, ofFiftyOne } = definition;
  const namesake = found.find((index) => index["name"] === name);
  if (namesake !== undefined && matches(namesake, definition)) {
    // A standalone does not tell what is still under construction; asked to make it, it waits for that.
    const isDone = connection.replicated || ready.has(name);
    if (isDone) setReady(subject, name, name);
    else listed.add(name);
    return !isDone;
  }
  if (namesake !== undefined) {
    const { v: _, name: __, ...other } = namesake;
    const message =
      `index ${name} of collection ${collection} is not as expected (${JSON.stringify(other)}): ` +
      `${definition.lack}; drop it, and the server makes it anew`;
    tell(subject, levelOf(definition), message);
    return false;
  }
  const twin = found.find((index) => matches(index, definition));
  if (twin === undefined) return performance.now() >= (refused.get(name) ?? 0);
  setReady(subject, name, String(twin["name"]));
  if (ofFiftyOne) {
    const message =
      `index ${String(twin["name"])} of collection ${collection} serves this server, but FiftyOne, which wants it ` +
      `under the name ${name}, will not start; drop it, and the server makes it by that name`;
    tell(subject, "warn", message);
  }
  return false;
}

/** Builds what only makes calls faster. Who waits for long goes on without it, and hears of its end. */
async function buildPatiently(subject: Subject, definitions: readonly IndexDefinition[]): Promise<void> {
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
  subject.building = built.then(
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
  if (definitions.length === 0) return;
  const { connection, collection, listed, refused, closed } = subject;
  const command = {
    createIndexes: collection,
    indexes: definitions.map(specOf),
    // The default waits for all members, and would wait for one that is down for ever.
    ...(connection.replicated && { commitQuorum: "majority" }),
  };
  const startedAt = performance.now();
  try {
    // Repeated, it waits for a construction that is under way: so a lost connection does no harm.
    await persistently(() => connection.db.command(command), closed, BUILD_ENDED);
    for (const { name } of definitions) setReady(subject, name, name);
  } catch (error) {
    const code = serverCode(error);
    if (code === undefined) throw error;
    if (definitions.length > 1 && code !== CODES.unauthorized) {
      for (const one of definitions) await build(subject, [one]);
      return;
    }
    for (const { name } of definitions) if (listed.has(name)) setReady(subject, name, name);
    const absent = definitions.filter(({ name }) => !listed.has(name));
    const [definition] = absent;
    if (definition === undefined) return;
    const now = performance.now();
    const again = now + Math.max(REFUSED_PAUSE_MS, REFUSED_PAUSE_FACTOR * (now - startedAt));
    for (const { name } of absent) refused.set(name, again);
    const names = absent.map(({ name }) => name).join(", ");
    const lacks = [...new Set(absent.map(({ lack }) => lack))].join("; ");
    const message = `collection ${collection} has no index ${names}, since ${hindrance(code)}: ${lacks}`;
    tell(subject, levelOf(definition), message);
  }
}

/** Why an index cannot be made, and what to do; it is tried again from time to time. */
function hindrance(code: number): string {
  switch (code) {
    case CODES.unauthorized:
      return "this user may not make it (give it the role readWrite)";
    case CODES.duplicateKey:
      return "there are keys with several documents (remove all but one of each)";
    default:
      return `MongoDB refuses to make it with error ${code} (see its log)`;
  }
}

/** Whether promises are at stake, or just speed. */
function levelOf(definition: IndexDefinition): "warn" | "error" {
  return definition === UNIQUE_INDEX ? "error" : "warn";
}

/** Makes a call again and again while the database is away, and after the server's `others` codes; closing the indexes, or the connection, ends that. */
async function persistently<T>(
  call: () => Promise<T>,
  closed: AbortSignal,
  others: ReadonlySet<number> = new Set(),
): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!isTransient(error) && !others.has(serverCode(error) ?? 0)) throw error;
    }
    await delay(PAUSE_MS, undefined, { signal: closed });
  }
}
