import { createHash } from "node:crypto";
import { deserialize } from "bson";
import {
  type KeyDocument,
  type KeyEvent,
  KeyEvent_Type,
  KeyPolicy,
  type WatchKeysResponse,
  WatchKeysResponse_Kind,
} from "../../../gen/ts/execution_store/v1/execution_store.js";
import type { Timestamp } from "../../../gen/ts/google/protobuf/timestamp.js";
import type { KeyMetadata } from "../../../src/client/documents.js";
import { decodeJson } from "../../grpc/json-value.js";
import type { EventType, SeenDocument, SeenEvent, SeenMessage, Version } from "../checkers/history.js";

/** Longer texts of values are kept as their hash. */
const MAX_TEXT = 100;

/** Wall and monotonic clock in one: milliseconds since 1970 with fractions, which never go back. */
const OFFSET = Date.now() - performance.now();

export function now(): number {
  return OFFSET + performance.now();
}

export const EVENT_TYPES: Readonly<Record<EventType, KeyEvent_Type>> = {
  existing: KeyEvent_Type.TYPE_EXISTING,
  created: KeyEvent_Type.TYPE_CREATED,
  updated: KeyEvent_Type.TYPE_UPDATED,
  deleted: KeyEvent_Type.TYPE_DELETED,
  expired: KeyEvent_Type.TYPE_EXPIRED,
};
const TYPE_NAMES = new Map(
  (Object.keys(EVENT_TYPES) as EventType[]).map((name) => [EVENT_TYPES[name], name]),
);
const KINDS: ReadonlyMap<WatchKeysResponse_Kind, SeenMessage["kind"]> = new Map([
  [WatchKeysResponse_Kind.KIND_STARTED, "started"],
  [WatchKeysResponse_Kind.KIND_SNAPSHOT, "snapshot"],
  [WatchKeysResponse_Kind.KIND_SNAPSHOT_COMPLETE, "snapshot-complete"],
  [WatchKeysResponse_Kind.KIND_EVENTS, "events"],
  [WatchKeysResponse_Kind.KIND_PROGRESS, "progress"],
]);

/** The text of a value, whatever way it came. */
export function valueText(value: unknown): string {
  const text = JSON.stringify(value, (_, inner: unknown) =>
    inner instanceof Map ? Object.fromEntries(inner) : inner,
  );
  if (text.length <= MAX_TEXT) return text;
  return `${text.slice(0, 20)}… sha256 ${createHash("sha256").update(text).digest("hex")}`;
}

/** The version that an answer of the client tells. */
export function versionOf({ etag, createdAt, updatedAt, expiresAt, policy }: KeyMetadata): Version {
  return {
    etag,
    createdAt: createdAt.getTime(),
    updatedAt: updatedAt.getTime(),
    expiresAt: expiresAt?.getTime(),
    policy,
  };
}

/** A message of the wire as it is recorded. */
export function seenMessage(message: WatchKeysResponse, receivedAt: number): SeenMessage {
  const { kind, events, resumeToken: token, progressInterval: interval } = message;
  const name = KINDS.get(kind);
  if (name === undefined) throw new Error(`a message of kind ${kind}`);
  return {
    kind: name,
    events: events.map(seenEvent),
    token,
    intervalMs: interval && Number(interval.seconds) * 1000 + interval.nanos / 1e6,
    receivedAt,
  };
}

function seenEvent({ type, document, previous, previousValueOmitted, commitTime }: KeyEvent): SeenEvent {
  const name = TYPE_NAMES.get(type);
  if (name === undefined || document === undefined)
    throw new Error(`an event of type ${type}, or without document`);
  return {
    type: name,
    document: seenDocument(document),
    previous: previous && seenDocument(previous),
    previousValueOmitted,
    commitTime: milliseconds(commitTime),
  };
}

function seenDocument(document: KeyDocument): SeenDocument {
  const { datasetId, storeName, key, etag } = document;
  return {
    datasetId,
    storeName,
    key,
    version:
      etag === ""
        ? undefined
        : {
            etag,
            createdAt: milliseconds(document.createdAt) ?? Number.NaN,
            updatedAt: milliseconds(document.updatedAt) ?? Number.NaN,
            expiresAt: milliseconds(document.expiresAt),
            policy: document.policy === KeyPolicy.KEY_POLICY_EVICT ? "evict" : "persist",
          },
    value: textOf(document),
  };
}

function textOf({ value, valueBson }: KeyDocument): string | undefined {
  if (valueBson !== undefined) return valueText(deserialize(valueBson)["value"]);
  return value === undefined ? undefined : valueText(decodeJson(value));
}

function milliseconds(time: Timestamp | undefined): number | undefined {
  return time && Number(time.seconds) * 1000 + time.nanos / 1e6;
}
