import { KeyEvent_Type, type WatchKeysRequest } from "../../gen/ts/execution_store/v1/execution_store.js";
import type { ChangeType, HistoryPoint, Selector } from "../store/changes.js";
import { invalidField, type StoreError } from "../store/errors.js";
import { checkDatasetId, checkPrefix } from "../store/names.js";
import type { EventForm, WatchRequest } from "../watch/watcher.js";
import { EVENT_TYPES } from "./event-payload.js";
import { progressIntervalMs } from "./progress-interval.js";
import type { RequestCheck } from "./request-check.js";
import { decodeResumeToken } from "./resume-token.js";

/** What an event tells: a document of a snapshot, or a change. */
type EventType = ChangeType | "existing";

/** A watch as its request asks for it. */
export interface AskedWatch extends WatchRequest {
  readonly collection: string;
  /** Whether to begin with what is there. */
  readonly snapshot: boolean;
  /** Whether the documents of a snapshot are to be told. */
  readonly existing: boolean;
  /** Where to go on; undefined: from now on. */
  readonly from: HistoryPoint | undefined;
}

const TYPE_OF: ReadonlyMap<KeyEvent_Type, EventType> = new Map([
  [KeyEvent_Type.TYPE_EXISTING, "existing"],
  [EVENT_TYPES.created, "created"],
  [EVENT_TYPES.updated, "updated"],
  [EVENT_TYPES.deleted, "deleted"],
  [EVENT_TYPES.expired, "expired"],
]);

/** Forms are compared by identity: one object for each. */
const FORMS: readonly EventForm[] = (["json", "bson", "none"] as const).flatMap((values) =>
  [false, true].map((previous) => ({ values, previous })),
);

function formOf(values: EventForm["values"], previous: boolean): EventForm {
  return FORMS.find((each) => each.values === values && each.previous === previous) ?? { values, previous };
}

function ambiguous(field: string, other: string): StoreError {
  return invalidField("SELECTOR_AMBIGUOUS", field, `is set beside ${other}; leave one of them out`);
}

/** Turns a request into the watch that it asks for. `check.done()` must follow. */
export function watchOf(request: WatchKeysRequest, check: RequestCheck, minProgressMs: number): AskedWatch {
  const collection = check.collection(request);
  const selector = selectorOf(request, check);
  const types = typesOf(request.eventTypes, check);
  return {
    collection,
    selector,
    types,
    from: pointOf(request, check, collection, selector),
    form: formOf(check.encoding(request.encoding), request.includePrevious),
    progressMs: check.attempt(
      () => progressIntervalMs(request.progressInterval, minProgressMs),
      minProgressMs,
    ),
    snapshot: request.snapshot,
    existing: types === undefined || types.has("existing"),
  };
}

function selectorOf(request: WatchKeysRequest, check: RequestCheck): Selector {
  const { allContexts, storeName, key, keyPrefix } = request;
  check.attempt(() => {
    if (allContexts && request.datasetId !== "") throw ambiguous("all_contexts", "dataset_id");
  }, undefined);
  check.attempt(() => {
    if (key !== undefined && keyPrefix !== "") throw ambiguous("key_prefix", "key");
  }, undefined);
  const datasetId = check.attempt(() => checkDatasetId(request.datasetId), "");
  return {
    datasetId: allContexts ? undefined : datasetId,
    storeName: storeName === "" ? undefined : storeName,
    key: key === undefined ? undefined : check.key(key, "find"),
    keyPrefix: check.attempt(() => checkPrefix(keyPrefix, "key_prefix"), ""),
  };
}

function pointOf(
  { resumeToken, snapshot }: WatchKeysRequest,
  check: RequestCheck,
  collection: string,
  selector: Selector,
): HistoryPoint | undefined {
  if (resumeToken === "") return undefined;
  return check.attempt(() => {
    if (snapshot) throw ambiguous("resume_token", "snapshot");
    return decodeResumeToken(collection, selector, resumeToken);
  }, undefined);
}

function typesOf(types: readonly KeyEvent_Type[], check: RequestCheck): ReadonlySet<EventType> | undefined {
  if (types.length === 0) return undefined;
  return new Set(types.map((type, index) => check.attempt(() => typeOf(type, index), "existing")));
}

function typeOf(type: KeyEvent_Type, index: number): EventType {
  const known = TYPE_OF.get(type);
  if (known !== undefined) return known;
  const problem = `is ${String(type)}, which is no type of events; expected 1 (EXISTING), 2 (CREATED), 3 (UPDATED), 4 (DELETED) or 5 (EXPIRED)`;
  throw invalidField("EVENT_TYPE_INVALID", `event_types[${index}]`, problem);
}
