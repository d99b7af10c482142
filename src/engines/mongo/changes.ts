import { setTimeout as delay } from "node:timers/promises";
import { type Document, ObjectId } from "mongodb";
import type { Policy } from "../../store/document.js";
import type { CallOptions, ConditionalWrite, Write } from "../../store/engine.js";
import { withOutcome } from "../../store/errors.js";
import { dateElement, documentOf, type Element, NULL, textElement, valueElement } from "./bson-document.js";
import { askTime } from "./clock.js";
import type { MongoCollection } from "./collection.js";
import type { Limits } from "./connection.js";
import { decodedForDriver, hasOddArrays } from "./driver-value.js";
import { CODES, databaseUnreachable, isTransient, serverCode, translate } from "./errors.js";
import { identityOf } from "./filters.js";
import { rawOf, sendFindAndModify } from "./find-and-modify.js";
import { insertPipeline } from "./pipelines.js";
import { type RawDocument, timeOf } from "./record.js";
import { newId, type VersionedWrite } from "./statements.js";
import { writeVersions } from "./versioned-writes.js";
import { readCreationTimes, readVersions, type Target, type Version, wasLive } from "./versions.js";

/** What a decision finds: the document that is there, if any, at a time of the database's clock. */
export interface Situation {
  readonly target: Target;
  /** Expired or not. */
  readonly document: RawDocument | undefined;
  readonly live: boolean;
  /** When the document was read, by the database's clock; 0 if there is none. */
  readonly now: number;
}

/** What to do about it: to answer at once, or to write and then to answer. */
export type Decision<Answer> =
  | { readonly answer: Answer }
  | { readonly version: NewVersion; readonly answered: (document: RawDocument) => Answer };

/** The version that a write makes, and how to make it. */
export interface NewVersion {
  readonly write: VersionedWrite;
  /** The document as it will be, without its value; that of an insert has no times yet. */
  readonly document: RawDocument;
}

/** The pause before a second look, in ms, which doubles: what another writer wrote may not be readable yet. */
const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 100;
/** How often the situation is read when servers are lost on the way, and the pause after it, times its number, in ms. */
const MAX_READS = 5;
const READ_PAUSE_MS = 50;

function situationOf(target: Target, version: Version | undefined): Situation {
  if (version === undefined) return { target, document: undefined, live: false, now: 0 };
  return { target, document: version.document, live: wasLive(version), now: version.now };
}

/** Strictly after the last change, and never before the clock. */
function nextTime({ document, now }: Situation): number {
  return Math.max(now, (timeOf(document?.updated_at) ?? Number.NEGATIVE_INFINITY) + 1);
}

function expiryElement(ttlMs: number | undefined, now: number, updatedAt: number): Element {
  return ttlMs === undefined ? NULL : dateElement(Math.max(now + ttlMs, updatedAt + 1));
}

/** The version of an unconditional write: over what is there, in the place of what has expired, or new. */
export function replacement(situation: Situation, { value, ttlMs, policy }: Write): NewVersion {
  return versionOf(situation, valueElement(value), ttlMs === undefined ? policy : "evict", ttlMs);
}

/** The same with a value that is BSON already. */
export function versionOf(
  situation: Situation,
  value: Element,
  policy: Policy,
  ttlMs: number | undefined,
): NewVersion {
  const { target, document: base, live, now } = situation;
  if (base === undefined) return insertion(target, value, policy, ttlMs);
  const updatedAt = nextTime(situation);
  const written = dateElement(updatedAt);
  const changed: RawDocument = {
    policy: textElement(policy),
    ...(!live && { created_at: written }),
    updated_at: written,
    expires_at: expiryElement(ttlMs, now, updatedAt),
  };
  return {
    write: { target, base, baseIsLive: live, baseValue: undefined, set: { value, ...changed } },
    document: { ...base, ...changed },
  };
}

/** A new document takes its times as it is written: another may have come and gone since the key was looked for. */
function insertion(target: Target, value: Element, policy: Policy, ttlMs: number | undefined): NewVersion {
  const known: RawDocument = { _id: newId(), policy: textElement(policy) };
  const set = { value, ...known };
  return {
    write: {
      target,
      base: undefined,
      baseIsLive: false,
      baseValue: undefined,
      set,
      atNow: { policy, ttlMs },
    },
    document: known,
  };
}

/** The version of a conditional write, which leaves policy and expiry as they are unless it names them. */
export function conditionalVersion(
  situation: Situation,
  { value, ttlMs, policy }: ConditionalWrite,
  baseValue: VersionedWrite["baseValue"],
): NewVersion {
  const { target, document: base, now } = situation;
  const updatedAt = nextTime(situation);
  const newPolicy = ttlMs === undefined ? policy : "evict";
  const expiry = ttlMs !== undefined || policy === "persist";
  const changed: RawDocument = {
    updated_at: dateElement(updatedAt),
    ...(newPolicy !== undefined && { policy: textElement(newPolicy) }),
    ...(expiry && { expires_at: expiryElement(ttlMs, now, updatedAt) }),
  };
  const set = { value: valueElement(value), ...changed };
  return {
    write: { target, base, baseIsLive: true, baseValue, set },
    document: { ...base, ...changed },
  };
}

/** A read within a call that writes; it is made again if the server was lost on the way. */
async function persistently<Result>(limits: Limits, read: () => Promise<Result>): Promise<Result> {
  const deadline = performance.now() + limits.maxTimeMS;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await read();
    } catch (error) {
      const again = attempt < MAX_READS && isTransient(error) && performance.now() < deadline;
      if (!again) throw error;
    }
    await delay(attempt * READ_PAUSE_MS);
  }
}

/** What a write needs to know before it begins; if that fails, nothing was changed. */
export async function readSituations(
  collection: MongoCollection,
  targets: readonly Target[],
  withValue: boolean,
  limits: Limits,
): Promise<Situation[]> {
  try {
    const versions = await persistently(limits, () => readVersions(collection, targets, withValue, limits));
    return targets.map((target, index) => situationOf(target, versions[index]));
  } catch (error) {
    throw withOutcome(translate(error, "write"), "NOT_APPLIED");
  }
}

/** The documents of versions that were written, with the times that inserts took. */
export async function writtenDocuments(
  collection: MongoCollection,
  versions: readonly NewVersion[],
  limits: Limits,
): Promise<readonly RawDocument[]> {
  const inserts = versions.filter(({ write }) => write.atNow !== undefined);
  if (inserts.length === 0) return versions.map(({ document }) => document);
  const targets = inserts.map(({ write }) => write.target);
  const ids = inserts.map(idOf);
  const times = await persistently(limits, () => readCreationTimes(collection, targets, ids, limits));
  // One that was deleted since is not older than that; nobody can see it any more.
  const latest = times.size === inserts.length ? 0 : await askTime(collection, limits.maxTimeMS);
  return versions.map((version) => {
    const { document, write } = version;
    if (write.atNow === undefined) return document;
    return createdAt(document, times.get(idOf(version)) ?? latest, write.atNow.ttlMs);
  });
}

function idOf({ document }: NewVersion): string {
  return document._id?.bytes.toString("hex") ?? "";
}

function createdAt(document: RawDocument, time: number, ttlMs: number | undefined): RawDocument {
  const created = dateElement(time);
  const expiresAt = ttlMs === undefined ? NULL : dateElement(time + ttlMs);
  return { ...document, created_at: created, updated_at: created, expires_at: expiresAt };
}

/** An insert whose value would not stay as it is beside an expression takes its times from what the clock says now. */
async function timed(collection: MongoCollection, version: NewVersion, limits: Limits): Promise<NewVersion> {
  const { write, document } = version;
  const { atNow, set, ...rest } = write;
  if (atNow === undefined || set?.value === undefined) return version;
  if (!hasOddArrays(documentOf([["value", set.value]]))) return version;
  const created = createdAt(document, await askTime(collection, limits.maxTimeMS), atNow.ttlMs);
  return { write: { ...rest, set: { ...created, value: set.value } }, document: created };
}

/** Writes a version; answers the document as it is then, or undefined if another version was in its place. */
async function writeVersion(
  collection: MongoCollection,
  wanted: NewVersion,
  limits: Limits,
): Promise<RawDocument | undefined> {
  const version = await timed(collection, wanted, limits);
  const { atNow, set } = version.write;
  const decoded =
    atNow === undefined || set?.value === undefined
      ? undefined
      : decodedForDriver(documentOf([["value", set.value]]));
  if (decoded !== undefined && atNow !== undefined) {
    return insertDecoded(
      collection,
      version,
      insertPipeline(decoded.value, atNow.policy, atNow.ttlMs),
      limits,
    );
  }
  const [result] = await writeVersions(collection, [version.write], limits);
  if (typeof result === "object") throw result.error;
  if (result !== "applied") return undefined;
  const [document] = await writtenDocuments(collection, [version], limits);
  return document;
}

/** Inserts by a command that answers the document, which saves reading its times. */
async function insertDecoded(
  collection: MongoCollection,
  version: NewVersion,
  update: Document[],
  limits: Limits,
): Promise<RawDocument | undefined> {
  const { scope, storeName, key } = version.write.target;
  const query = { _id: ObjectId.createFromHexString(idOf(version)), ...identityOf(scope, storeName, key) };
  try {
    const fields = { query, update, upsert: true, new: true, fields: { value: 0 } };
    return rawOf((await sendFindAndModify(collection, fields, limits))["value"]);
  } catch (error) {
    if (serverCode(error) === CODES.duplicateKey) return undefined;
    throw error;
  }
}

/**
 * Changes one key by reading, deciding and writing over exactly the version that was read, as often as another
 * writer comes in between.
 */
export function change<Answer>(
  collection: MongoCollection,
  target: Target,
  withValue: boolean,
  options: CallOptions | undefined,
  decide: (situation: Situation) => Decision<Answer>,
): Promise<Answer> {
  return collection.connection.run(options, "write", async ({ maxTimeMS, signal }) => {
    const deadline = performance.now() + maxTimeMS;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      signal?.throwIfAborted();
      const limits = { maxTimeMS: Math.max(1, Math.round(deadline - performance.now())), signal };
      const [situation] = await readSituations(collection, [target], withValue, limits);
      if (situation === undefined) throw new Error("one target has one situation");
      const decision = decide(situation);
      if ("answer" in decision) return decision.answer;
      signal?.throwIfAborted();
      const document = await writeVersion(collection, decision.version, limits);
      if (document !== undefined) return decision.answered(document);
      if (performance.now() + pauseMs >= deadline) throw databaseUnreachable("write", "NOT_APPLIED");
      await delay(pauseMs);
    }
  });
}
