import type { SequentialModel, TimedCall } from "./linearizability.js";

/** What an answer tells of a version; times in milliseconds since 1970. */
export interface Version {
  readonly etag: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly expiresAt: number | undefined;
}

/** What was asked of a key. Every value is written by one call alone. */
export type Request =
  | { readonly kind: "get" }
  | { readonly kind: "has" }
  | { readonly kind: "set"; readonly value: number; readonly ttl: boolean }
  | { readonly kind: "set-if-absent"; readonly value: number; readonly ttl: boolean }
  | { readonly kind: "swap"; readonly expected: number; readonly value: number }
  | { readonly kind: "swap-version"; readonly etag: string; readonly value: number }
  | { readonly kind: "delete" }
  | { readonly kind: "delete-version"; readonly etag: string }
  | { readonly kind: "update-ttl" };

/** What was answered: whether it was there, was set, was created, was deleted; and the version that is there then. */
export interface Answer {
  /** Undefined: the answer does not tell. */
  readonly yes: boolean | undefined;
  readonly version?: Version | undefined;
  /** The version may be none that was there. */
  readonly guessed?: boolean;
  /** What a get read. */
  readonly value?: number | undefined;
}

/** A call about one key. */
export interface KeyCall extends TimedCall {
  readonly request: Request;
  /** Undefined: nobody knows what became of it. */
  readonly answer: Answer | undefined;
  /** The database's time when it was called, at the latest, and when it returned, at the earliest. */
  readonly calledAt: number;
  readonly returnedAt: number;
}

interface Live {
  readonly value: number;
  /** Undefined until an answer tells it. */
  readonly version: Version | undefined;
  readonly ttl: boolean;
}

/** A key: what is there, and the latest time that a version of it had since it was deleted last. */
export interface KeyState {
  readonly live: Live | undefined;
  readonly latest: number;
}

/** A key that was never set, or was deleted: see timeProblems for what its next version must be later than. */
const ABSENT: KeyState = { live: undefined, latest: Number.NEGATIVE_INFINITY };

/** What the calls of a key promise; see the contract. */
export const keyModel: SequentialModel<KeyCall, KeyState> = {
  initial: ABSENT,
  step: (state, call) =>
    readingsOf(call).flatMap((reading) =>
      situations(state, reading).flatMap((situation) => {
        const next = happen(situation, reading);
        return next === undefined ? [] : [next];
      }),
    ),
  isIdle: ({ request: { kind }, answer }) =>
    answer !== undefined && (kind === "get" || kind === "has" || (kind !== "set" && answer.yes === false)),
  describe: ({ live, latest }) => `${live?.value} ${live?.version?.etag} ${latest}`,
};

/**
 * Versions that are not later than what was known when their writers were called, deleted or not: pairs of calls.
 * A version may be as late as one that was deleted while its writer was under way.
 */
export function timeProblems(calls: readonly KeyCall[]): (readonly [earlier: KeyCall, later: KeyCall])[] {
  const known = calls
    .filter(({ answer }) => answer?.version !== undefined)
    .toSorted((a, b) => a.returned - b.returned);
  const problems: [KeyCall, KeyCall][] = [];
  let next = 0;
  let latest: KeyCall | undefined;
  for (const call of calls.filter(writes).toSorted((a, b) => a.called - b.called)) {
    for (let seen = known[next]; seen !== undefined && seen.returned < call.called; seen = known[++next]) {
      if (latest === undefined || timeOf(seen) > timeOf(latest)) latest = seen;
    }
    if (latest !== undefined && timeOf(call) <= timeOf(latest)) problems.push([latest, call]);
  }
  return problems;
}

function timeOf({ answer }: KeyCall): number {
  return answer?.version?.updatedAt ?? Number.NEGATIVE_INFINITY;
}

/** Whether the answer has a version that the call made. */
function writes({ request: { kind }, answer }: KeyCall): boolean {
  return answer?.version !== undefined && kind !== "get" && (kind === "set" || answer.yes === true);
}

/** What a call may have told: of a version that may be guessed, also nothing. */
function readingsOf(call: KeyCall): KeyCall[] {
  const { answer } = call;
  return answer?.guessed === true ? [call, { ...call, answer: { ...answer, version: undefined } }] : [call];
}

/** What may be there when the call happens, given that a version with a ttl goes by itself. */
function situations(state: KeyState, { calledAt, returnedAt }: KeyCall): KeyState[] {
  const { live } = state;
  if (live === undefined || !live.ttl) return [state];
  const expiresAt = live.version?.expiresAt;
  const gone = { ...state, live: undefined };
  if (expiresAt === undefined) return [state, gone];
  return [...(calledAt < expiresAt ? [state] : []), ...(returnedAt >= expiresAt ? [gone] : [])];
}

function happen(state: KeyState, call: KeyCall): KeyState | undefined {
  const { live } = state;
  const { request, answer } = call;
  switch (request.kind) {
    case "get":
      if (answer === undefined || live === undefined) return agree(state, answer, live !== undefined);
      return answer.value === live.value ? observe(state, live, answer, true) : undefined;
    case "has":
      return agree(state, answer, live !== undefined);
    case "set":
      return write(state, request.value, request.ttl, call, live === undefined);
    case "set-if-absent":
      if (live === undefined) return write(state, request.value, request.ttl, call, true);
      return observe(state, live, answer, false);
    case "swap":
      return swap(state, call, request.value, live?.value === request.expected);
    case "swap-version":
      return swap(state, call, request.value, live?.version?.etag === request.etag);
    case "delete":
      return agree(live === undefined ? state : ABSENT, answer, live !== undefined);
    case "delete-version": {
      const matches = live !== undefined && live.version?.etag === request.etag;
      return agree(matches ? ABSENT : state, answer, matches);
    }
    case "update-ttl":
      if (live === undefined) return agree(state, answer, false);
      return write(state, live.value, true, call, true);
    default:
      return undefined;
  }
}

/** The state, if the answer says yes or no as it must. */
function agree(state: KeyState, answer: Answer | undefined, yes: boolean): KeyState | undefined {
  return answer === undefined || answer.yes === undefined || answer.yes === yes ? state : undefined;
}

function swap(state: KeyState, call: KeyCall, value: number, matches: boolean): KeyState | undefined {
  const { live } = state;
  if (live === undefined) return agree(state, call.answer, false);
  if (matches) return write(state, value, live.ttl, call, true);
  return observe(state, live, call.answer, false);
}

/** An answer about the version that is there and stays. */
function observe(
  state: KeyState,
  live: Live,
  answer: Answer | undefined,
  yes: boolean,
): KeyState | undefined {
  if (agree(state, answer, yes) === undefined) return undefined;
  const version = answer?.version;
  if (version === undefined) return answer === undefined ? state : undefined;
  const known = live.version;
  if (known !== undefined) return sameVersion(known, version) ? state : undefined;
  if (version.updatedAt <= state.latest) return undefined;
  return { live: { ...live, version }, latest: version.updatedAt };
}

function sameVersion(a: Version, b: Version): boolean {
  return (
    a.etag === b.etag &&
    a.createdAt === b.createdAt &&
    a.updatedAt === b.updatedAt &&
    a.expiresAt === b.expiresAt
  );
}

/** A new version, whose times follow from what was there. */
function write(
  state: KeyState,
  value: number,
  ttl: boolean,
  { request, answer }: KeyCall,
  yes: boolean,
): KeyState | undefined {
  const { live, latest } = state;
  if (agree(state, answer, yes) === undefined) return undefined;
  const version = answer?.version;
  if (version === undefined) {
    // An answer without the version is none that a write gives, but for a batch.
    return { live: { value, version: undefined, ttl }, latest };
  }
  if (version.updatedAt <= latest || version.etag === live?.version?.etag) return undefined;
  const createdAt = live === undefined ? version.updatedAt : live.version?.createdAt;
  if (createdAt !== undefined && version.createdAt !== createdAt) return undefined;
  const keepsExpiry = request.kind === "swap" || request.kind === "swap-version";
  if (keepsExpiry && live?.version !== undefined && live.version.expiresAt !== version.expiresAt) {
    return undefined;
  }
  if ((version.expiresAt !== undefined) !== ttl) return undefined;
  return { live: { value, version, ttl }, latest: version.updatedAt };
}
