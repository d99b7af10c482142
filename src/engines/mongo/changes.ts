import { setTimeout as delay } from "node:timers/promises";
import type { Policy } from "../../store/document.js";
import type { CallOptions, ConditionalWrite, Write } from "../../store/engine.js";
import { withOutcome } from "../../store/errors.js";
import { dateElement, type Element, NULL, textElement, valueElement } from "./bson-document.js";
import type { MongoCollection } from "./collection.js";
import type { Limits } from "./connection.js";
import { databaseUnreachable, isTransient, translate } from "./errors.js";
import { type RawDocument, timeOf } from "./record.js";
import { newId, type VersionedWrite } from "./statements.js";
import { writeVersions } from "./versioned-writes.js";
import { readVersions, type Target, type Versions, wasLive } from "./versions.js";

/** What a decision finds: the document that is there, if any, at a time of the database's clock. */
export interface Situation {
  readonly target: Target;
  /** Expired or not. */
  readonly document: RawDocument | undefined;
  readonly live: boolean;
  readonly now: number;
}

/** What to do about it: to answer at once, or to write and then to answer. */
export interface Decision<Answer> {
  readonly write?: VersionedWrite;
  readonly answer: Answer;
}

/** The version that a write makes, and how to make it. */
export interface NewVersion {
  readonly write: VersionedWrite;
  /** The document as it will be, without its value. */
  readonly document: RawDocument;
}

/** The pause before a second look, in ms, which doubles: what another writer wrote may not be readable yet. */
const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 100;
/** How often the situation is read when servers are lost on the way, and the pause after it, times its number, in ms. */
const MAX_READS = 5;
const READ_PAUSE_MS = 50;

/** The situation of each target. */
export function situations(targets: readonly Target[], { now, documents }: Versions): Situation[] {
  return targets.map((target, index) => {
    const document = documents[index];
    return { target, document, live: wasLive(document, now), now };
  });
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
  const updatedAt = nextTime(situation);
  const created = dateElement(updatedAt);
  const set: RawDocument = {
    value,
    policy: textElement(policy),
    ...(!live && { created_at: created }),
    updated_at: created,
    expires_at: expiryElement(ttlMs, now, updatedAt),
  };
  const id = base === undefined ? { _id: newId() } : {};
  const { value: _, ...rest } = set;
  return {
    write: { target, base, baseIsLive: live, baseValue: undefined, set: { ...set, ...id } },
    document: { ...base, ...id, ...rest },
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

/**
 * What a write needs to know before it begins; if that fails, nothing was changed. It is asked again if the server
 * was lost on the way.
 */
export async function readSituations(
  collection: MongoCollection,
  targets: readonly Target[],
  withValue: boolean,
  limits: Limits,
): Promise<Situation[]> {
  const deadline = performance.now() + limits.maxTimeMS;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return situations(targets, await readVersions(collection, targets, withValue, limits));
    } catch (error) {
      const again = attempt < MAX_READS && isTransient(error) && performance.now() < deadline;
      if (!again) throw withOutcome(translate(error, "write"), "NOT_APPLIED");
    }
    limits.signal?.throwIfAborted();
    await delay(attempt * READ_PAUSE_MS);
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
  return collection.connection.run(options, "write", async (limits) => {
    const deadline = performance.now() + limits.maxTimeMS;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      limits.signal?.throwIfAborted();
      const [situation] = await readSituations(collection, [target], withValue, limits);
      if (situation === undefined) throw new Error("one target has one situation");
      const { write, answer } = decide(situation);
      if (write === undefined) return answer;
      limits.signal?.throwIfAborted();
      const [result] = await writeVersions(collection, [write], limits);
      if (result === "applied") return answer;
      if (typeof result === "object") throw result.error;
      if (performance.now() + pauseMs >= deadline) throw databaseUnreachable("write", "NOT_APPLIED");
      await delay(pauseMs);
    }
  });
}
