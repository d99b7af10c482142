import { KeyEvent_Type, type WatchKeysRequest } from "../../gen/ts/execution_store/v1/execution_store.js";
import type { Duration } from "../../gen/ts/google/protobuf/duration.js";
import { invalidField } from "../store/errors.js";
import { checkStoreName } from "../store/names.js";
import { checkIterable } from "./check-iterable.js";
import { encodingField, keyField, prefixField, type RequestContext, storeNameField, text } from "./encode.js";
import type { KeyEventType } from "./watch-events.js";
import type { WatchOptions } from "./watch-options.js";

const TYPES: Readonly<Record<KeyEventType, KeyEvent_Type>> = {
  existing: KeyEvent_Type.TYPE_EXISTING,
  created: KeyEvent_Type.TYPE_CREATED,
  updated: KeyEvent_Type.TYPE_UPDATED,
  deleted: KeyEvent_Type.TYPE_DELETED,
  expired: KeyEvent_Type.TYPE_EXPIRED,
};

/** The request of a watch. Throws StoreError INVALID_ARGUMENT; the other rules are the server's to check. */
export function watchRequest(context: RequestContext, options: WatchOptions): WatchKeysRequest {
  const { storeName, key, keyPrefix, resumeToken } = options;
  return {
    ...context,
    // The empty name would mean every store.
    storeName: storeName === undefined ? "" : checkStoreName(storeNameField(storeName), "find"),
    allContexts: options.allContexts ?? false,
    ...(key === undefined ? {} : { key: keyField(key) }),
    keyPrefix: prefixField(keyPrefix),
    snapshot: options.snapshot ?? false,
    resumeToken: resumeToken === undefined ? "" : resumeTokenField(resumeToken),
    eventTypes: typesField(options.types),
    encoding: encodingField(options.encoding),
    includePrevious: options.includePrevious ?? false,
    progressInterval: intervalField(options.progressIntervalMs),
  };
}

function resumeTokenField(token: string): string {
  // Sent empty, it would mean "from now on", and what happened since would be passed over in silence.
  if (token === "") {
    throw invalidField(
      "RESUME_TOKEN_INVALID",
      "resume_token",
      "is empty; give the token of an event, or leave it out to watch from now on",
    );
  }
  return text(token, "RESUME_TOKEN_INVALID", "resume_token");
}

function typesField(types: readonly KeyEventType[] | undefined): KeyEvent_Type[] {
  if (types === undefined) return [];
  const list = [...checkIterable(types, "types", "types of events")];
  if (list.length === 0)
    throw invalidField("EVENT_TYPE_INVALID", "event_types", "is empty; leave it out for all types");
  return list.map((type, index) => {
    if (Object.hasOwn(TYPES, type)) return TYPES[type];
    throw invalidField(
      "EVENT_TYPE_INVALID",
      `event_types[${index}]`,
      `is none of ${Object.keys(TYPES)
        .map((name) => `"${name}"`)
        .join(", ")}; expected one of these`,
    );
  });
}

function intervalField(ms: number | undefined): Duration | undefined {
  if (ms === undefined) return undefined;
  if (typeof ms !== "number" || !(ms > 0) || ms > Number.MAX_SAFE_INTEGER) {
    throw invalidField(
      "PROGRESS_INTERVAL_INVALID",
      "progress_interval",
      "is not a number of milliseconds greater than 0; expected one such as 10000, or leave it out",
    );
  }
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: Math.floor((ms - seconds * 1000) * 1e6) };
}
