import { KeyEvent_Type } from "../../gen/ts/execution_store/v1/execution_store.js";
import type { Change, ChangeEvent, ChangeType } from "../store/changes.js";
import type { KeyDocument } from "../store/document.js";
import { MAX_RESPONSE_BYTES } from "../store/limits.js";
import type { EventForm } from "../watch/watcher.js";
import {
  documentFieldSize,
  type MeasuredDocument,
  measureDocument,
  timestampSize,
  type ValueForm,
  writeDocumentField,
  writeTimestamp,
} from "./document-field.js";
import { bytesFieldSize, MessageWriter, stringFieldSize } from "./message-writer.js";

/** The types of events on the wire. */
export const EVENT_TYPES: Readonly<Record<ChangeType, KeyEvent_Type>> = {
  created: KeyEvent_Type.TYPE_CREATED,
  updated: KeyEvent_Type.TYPE_UPDATED,
  deleted: KeyEvent_Type.TYPE_DELETED,
  expired: KeyEvent_Type.TYPE_EXPIRED,
};

/** Documents of one change together; beyond it they go as BSON, which is never more than twice the limit of a value. */
const MAX_JSON_CHANGE_BYTES = MAX_RESPONSE_BYTES - 64 * 1024;

interface Identity {
  readonly datasetId: string;
  readonly storeName: string;
  readonly key: string;
}

/** An event whose documents have the form of the wire. */
interface MeasuredEvent {
  readonly event: ChangeEvent;
  readonly document: MeasuredDocument | undefined;
  readonly previous: MeasuredDocument | undefined;
  readonly previousOmitted: boolean;
}

function measureEvent(event: ChangeEvent, form: ValueForm, previous: boolean): MeasuredEvent {
  const withValue = form !== "none";
  const read = event.document?.read(withValue);
  const before = previous ? event.previous?.read(withValue) : undefined;
  return {
    event,
    document: read && measureDocument(read, form),
    previous: before && measureDocument(before, form),
    previousOmitted: withValue && before !== undefined && before.value === undefined,
  };
}

/** The events of a change as encoded `events` fields of WatchKeysResponse, one each. */
export function encodeChange(change: Change, { values, previous }: EventForm): readonly Uint8Array[] {
  let measured = change.events.map((event) => measureEvent(event, values, previous));
  const bytes = measured.reduce(
    (sum, each) => sum + (each.document?.size ?? 0) + (each.previous?.size ?? 0),
    0,
  );
  if (values === "json" && bytes > MAX_JSON_CHANGE_BYTES) {
    measured = change.events.map((event) => measureEvent(event, "bson", previous));
  }
  return measured.map((each) => eventField(change, each));
}

function eventField(
  change: Identity,
  { event, document, previous, previousOmitted }: MeasuredEvent,
): Uint8Array {
  const timeSize = timestampSize(event.commitTime);
  const identity = identitySize(change);
  const size =
    2 +
    (document === undefined ? bytesFieldSize(identity) : documentFieldSize(document)) +
    (previous === undefined ? 0 : documentFieldSize(previous)) +
    (previousOmitted ? 2 : 0) +
    bytesFieldSize(timeSize) +
    (event.lookedUp === true ? 2 : 0);
  const writer = new MessageWriter(bytesFieldSize(size)).message(18, size);
  writer.byte(8).byte(EVENT_TYPES[event.type]);
  if (document === undefined) writeIdentity(writer.message(18, identity), change);
  else writeDocumentField(writer, 18, document);
  if (previous !== undefined) writeDocumentField(writer, 26, previous);
  if (previousOmitted) writer.byte(32).byte(1);
  writeTimestamp(writer, 42, event.commitTime);
  if (event.lookedUp === true) writer.byte(48).byte(1);
  return writer.finish();
}

function identitySize({ datasetId, storeName, key }: Identity): number {
  return stringFieldSize(storeName) + stringFieldSize(key) + stringFieldSize(datasetId);
}

function writeIdentity(writer: MessageWriter, { datasetId, storeName, key }: Identity): void {
  writer.stringField(10, storeName).stringField(18, key).stringField(42, datasetId);
}

/** A document of a snapshot as an encoded `events` field of WatchKeysResponse. */
export function encodeExisting(document: KeyDocument, form: ValueForm): Uint8Array {
  const measured = measureDocument(document, form);
  const size = 2 + documentFieldSize(measured);
  const writer = new MessageWriter(bytesFieldSize(size)).message(18, size);
  writer.byte(8).byte(KeyEvent_Type.TYPE_EXISTING);
  writeDocumentField(writer, 18, measured);
  return writer.finish();
}
