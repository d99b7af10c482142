import {
  type KeyEvent,
  KeyPolicy,
  WatchKeysResponse_Kind as Kind,
  KeyEvent_Type as Type,
  type WatchKeysResponse,
} from "../../gen/ts/execution_store/v1/execution_store.js";
import { toValueBson } from "../../src/value/plain.js";

const TIME = { seconds: 1_900_000_000n, nanos: 0 };

function document(key: string, value?: unknown): NonNullable<KeyEvent["document"]> {
  return {
    storeName: "s",
    key,
    value: undefined,
    valueBson: value === undefined ? undefined : Buffer.from(toValueBson(value)),
    datasetId: "",
    createdAt: TIME,
    updatedAt: TIME,
    expiresAt: undefined,
    policy: KeyPolicy.KEY_POLICY_PERSIST,
    etag: `etag-${String(value)}`,
  };
}

function event(type: Type, key: string, value?: unknown): KeyEvent {
  return {
    type,
    document: document(key, value),
    previous: undefined,
    previousValueOmitted: false,
    commitTime: TIME,
    documentLookedUp: false,
  };
}

export const existing = (key: string, value: unknown): KeyEvent => event(Type.TYPE_EXISTING, key, value);
export const created = (key: string, value: unknown): KeyEvent => event(Type.TYPE_CREATED, key, value);
export const updated = (key: string, value: unknown): KeyEvent => event(Type.TYPE_UPDATED, key, value);
export const deleted = (key: string): KeyEvent => event(Type.TYPE_DELETED, key);
export const expired = (key: string): KeyEvent => event(Type.TYPE_EXPIRED, key);

/** STARTED; without a token where a snapshot follows. */
export function started(resumeToken = "", intervalMs = 10_000): Partial<WatchKeysResponse> {
  const seconds = Math.floor(intervalMs / 1000);
  const progressInterval = { seconds: BigInt(seconds), nanos: (intervalMs - seconds * 1000) * 1e6 };
  return { kind: Kind.KIND_STARTED, resumeToken, progressInterval };
}

export const snapshot = (...events: KeyEvent[]): Partial<WatchKeysResponse> => ({
  kind: Kind.KIND_SNAPSHOT,
  events,
});

export const complete = (resumeToken: string): Partial<WatchKeysResponse> => ({
  kind: Kind.KIND_SNAPSHOT_COMPLETE,
  resumeToken,
});

export const events = (resumeToken: string, ...list: KeyEvent[]): Partial<WatchKeysResponse> => ({
  kind: Kind.KIND_EVENTS,
  events: list,
  resumeToken,
});

export const progress = (resumeToken: string): Partial<WatchKeysResponse> => ({
  kind: Kind.KIND_PROGRESS,
  resumeToken,
});
