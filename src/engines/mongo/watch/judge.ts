import type { ChangeType } from "../../../store/changes.js";
import { STORE_KEY } from "../../../store/limits.js";
import type { Element } from "../bson-document.js";
import { nameOf, type Place, placeOf, type RawDocument, timeOf } from "../record.js";

/** One version of a document replaced by another: `before` undefined for an insert, `after` for a deletion. */
export interface Transition {
  readonly before: RawDocument | undefined;
  readonly after: RawDocument | undefined;
  /** The primary's clock when the change was made, in milliseconds since 1970. */
  readonly wallTime: number;
}

/** What happened to one key. */
export interface Verdict {
  readonly place: Place;
  readonly types: readonly ChangeType[];
  /** In milliseconds since 1970. */
  readonly commitTime: number;
}

/** How long a write of ours takes at most, mostly, in ms: an `updated_at` from longer ago is of another's slow clock. */
const LONGEST_WRITE_MS = 5_000;
/** The same where the expiry stays as it was, as FiftyOne leaves it: then the document had expired, more likely. */
const LONGEST_KEEPING_MS = 2_000;

/**
 * What a change of a document is to those who watch keys: nothing, if it is none of a key's; one thing; or two, where
 * another program gave the document another name. All servers come to the same verdict.
 */
export function judge(transition: Transition): readonly Verdict[] {
  const from = keyPlaceOf(transition.before);
  const to = keyPlaceOf(transition.after);
  if (from !== undefined && to !== undefined && nameOf(from) === nameOf(to)) {
    return judgeOverwriting(to, transition);
  }
  return [
    ...(from === undefined ? [] : [judgeRemoval(from, transition)]),
    ...(to === undefined ? [] : [judgeCreation(to, transition)]),
  ];
}

/** The place of a key's document; undefined for a store's own, and for what is none of the service's. */
function keyPlaceOf(raw: RawDocument | undefined): Place | undefined {
  const place = raw && placeOf(raw);
  return place?.key === STORE_KEY ? undefined : place;
}

function judgeCreation(place: Place, { wallTime }: Transition): Verdict {
  return { place, types: ["created"], commitTime: wallTime };
}

function judgeRemoval(place: Place, { before, wallTime }: Transition): Verdict {
  const expiresAt = timeOf(before?.expires_at) ?? Number.POSITIVE_INFINITY;
  return { place, types: [expiresAt <= wallTime ? "expired" : "deleted"], commitTime: wallTime };
}

function judgeOverwriting(place: Place, transition: Transition): readonly Verdict[] {
  const { before, after, wallTime } = transition;
  const oldExpiry = timeOf(before?.expires_at) ?? Number.POSITIVE_INFINITY;
  if (oldExpiry > wallTime) return [{ place, types: ["updated"], commitTime: wallTime }];
  // It ended behind the expiry, and may have begun before it.
  const keepsExpiry = same(before?.expires_at, after?.expires_at);
  const begunAt = beginOf(transition, keepsExpiry ? LONGEST_KEEPING_MS : LONGEST_WRITE_MS);
  if (oldExpiry > begunAt || wasFoundLive(transition)) {
    return [{ place, types: ["updated"], commitTime: Math.min(begunAt, oldExpiry - 1) }];
  }
  const newExpiry = timeOf(after?.expires_at) ?? Number.POSITIVE_INFINITY;
  // What another program does to an expired document leaves it expired: its removal is yet to come.
  if (keepsExpiry || newExpiry <= begunAt) return [];
  return [{ place, types: ["expired", "created"], commitTime: newExpiry > wallTime ? wallTime : begunAt }];
}

/**
 * When a write began, by the clock that its writer compared the expiry with: `$$NOW`, which is the `updated_at` of our
 * writes; the wall time is when it ended. Another writer's `updated_at` may be any time, and is not believed if it is from
 * long ago.
 */
function beginOf({ before, after, wallTime }: Transition, longestMs: number): number {
  const updatedAt = timeOf(after?.updated_at) ?? wallTime;
  const isOfThisWrite = updatedAt <= wallTime && updatedAt >= wallTime - longestMs;
  return isOfThisWrite && !same(before?.updated_at, after?.updated_at) ? updatedAt : wallTime;
}

/**
 * Whether our writer took its `updated_at` from the version before, since the clock had not passed that yet, and so may
 * have left the clock's time behind: it found the document live if it did not create it anew.
 */
function wasFoundLive({ before, after }: Transition): boolean {
  const earlier = timeOf(before?.updated_at);
  return (
    earlier !== undefined &&
    timeOf(after?.updated_at) === earlier + 1 &&
    same(before?.created_at, after?.created_at)
  );
}

function same(a: Element | undefined, b: Element | undefined): boolean {
  return a?.type === b?.type && (a === undefined || b === undefined || a.bytes.equals(b.bytes));
}
