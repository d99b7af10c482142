import type { Position } from "../../../store/changes.js";
import { BSON } from "../../../value/bson-bytes.js";
import { type Element, fieldNames, fieldsOf } from "../bson-document.js";
import { type RawDocument, splitDocument, textOf, timeOf } from "../record.js";
import { resumeTokenOf } from "./cursor-reply.js";
import { positionOf } from "./position.js";

const FIELDS = fieldNames(
  "_id",
  "operationType",
  "wallTime",
  "documentKey",
  "fullDocument",
  "fullDocumentBeforeChange",
  "updateDescription",
  "valueOmitted",
);

/** An event of a change stream, not decoded. */
export interface RawEvent {
  readonly position: Position;
  /** As MongoDB names it: insert, update, replace, delete, or what ends a collection. */
  readonly type: string;
  /** The primary's clock when the change was made, in milliseconds since 1970. */
  readonly wallTime: number;
  /** The `_id` of the document. */
  readonly id: Element | undefined;
  /** After the change; undefined where it is not to be had. */
  readonly after: RawDocument | undefined;
  /** Before the change; undefined where it is not to be had. */
  readonly before: RawDocument | undefined;
  /** Whether `before` lacks the value that the document had, since it would have been too large. */
  readonly valueOmitted: boolean;
  readonly updateDescription: Element | undefined;
}

/** Finds the parts of an event; nothing is copied. */
export function rawEventOf(bytes: Buffer): RawEvent {
  const found = fieldsOf(bytes, FIELDS);
  if (found._id === undefined) throw new Error("an event without a resume token");
  return {
    position: positionOf(resumeTokenOf(found._id)),
    type: textOf(found.operationType) ?? "",
    wallTime: timeOf(found.wallTime) ?? 0,
    id: documentOf(found.documentKey)?._id,
    after: documentOf(found.fullDocument),
    before: documentOf(found.fullDocumentBeforeChange),
    valueOmitted: found.valueOmitted?.bytes[0] === 1,
    updateDescription: found.updateDescription,
  };
}

function documentOf(element: Element | undefined): RawDocument | undefined {
  return element?.type === BSON.OBJECT ? splitDocument(element.bytes) : undefined;
}
