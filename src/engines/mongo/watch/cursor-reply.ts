import { type Document, Long, type Timestamp } from "mongodb";
import { readInt32 } from "../../../value/bson-bytes.js";
import { type Element, fieldNames, fieldsOf, itemsOf } from "../bson-document.js";
import { textOf } from "../record.js";
import type { ResumeToken } from "./position.js";

/** What a command with a cursor answers; documents are views of the reply. */
export interface CursorReply {
  /** Zero if the server has closed the cursor. */
  readonly id: Long;
  readonly documents: readonly Buffer[];
  /** Of a change stream: everything up to there has been sent. */
  readonly resumeToken: ResumeToken | undefined;
  /** How much memory the documents hold. */
  readonly bytes: number;
}

/** To be given to a command that has a cursor, so that its reply stays BSON. */
export const RAW_REPLY = { raw: true } as const;

const CURSOR_FIELDS = fieldNames("id", "firstBatch", "nextBatch", "postBatchResumeToken");
const TOKEN_FIELDS = fieldNames("_data", "_typeBits");

/** Small messages of the driver share their memory with others, which they would keep. */
const SHARED_BYTES = 4096;

/** Reads a reply to a command that was sent with RAW_REPLY. */
export function cursorReplyOf(reply: Document): CursorReply {
  const given = reply["cursor"] as Buffer;
  const cursor = given.length < SHARED_BYTES ? ownCopy(given) : given;
  const fields = fieldsOf(cursor, CURSOR_FIELDS);
  const batch = fields.firstBatch ?? fields.nextBatch;
  if (batch === undefined || fields.id === undefined) throw new Error("a reply without a cursor");
  const { postBatchResumeToken: token } = fields;
  return {
    id: Long.fromBits(readInt32(fields.id.bytes, 0), readInt32(fields.id.bytes, 4)),
    documents: itemsOf(batch).map(({ bytes }) => bytes),
    resumeToken: token && resumeTokenOf(token),
    bytes: cursor.length,
  };
}

function ownCopy(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

/** Reads a resume token, such as an event's `_id`. */
export function resumeTokenOf({ bytes }: Element): ResumeToken {
  const { _data: data, _typeBits: typeBits } = fieldsOf(bytes, TOKEN_FIELDS);
  const text = textOf(data);
  if (text === undefined) throw new Error("a resume token of an unknown form");
  // After the length and the subtype.
  return { data: text, typeBits: typeBits?.bytes.subarray(5).toString("base64url") };
}

/** The time of a reply: all that it saw is at or before it. */
export function operationTimeOf(reply: Document): Timestamp {
  const time: unknown = reply["operationTime"];
  if (time === undefined) throw new Error("a reply without an operation time");
  return time as Timestamp;
}
