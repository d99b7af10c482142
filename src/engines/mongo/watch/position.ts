import { type Document, Timestamp } from "mongodb";
import type { Position } from "../../../store/changes.js";

/** A change stream's resume token, as the server sends it. */
export interface ResumeToken {
  /** Hex digits: a type byte, the cluster time, and what tells events of one cluster time apart. */
  readonly data: string;
  /** Base64url of what the digits cannot say of the types of an `_id`; mostly undefined. */
  readonly typeBits: string | undefined;
}

/** A cluster time as 16 hex digits: seconds since 1970, then a counter. Compares as a string. */
export type ClusterTime = string;

/**
 * Positions are cluster times, followed by the rest of a resume token; or by `~`, which no token has and which sorts
 * behind them: then everything of that time is before the position. One event that is two changes, of two keys, makes
 * two positions of its token. https://github.com/mongodb/mongo/blob/v6.0/src/mongo/db/pipeline/resume_token.h
 */
const PATTERN = /^([0-9A-F]{16})(?:~|([0-9A-F]*)(?:\.([\w-]+))?(?:!([12]))?)$/;

/** The type byte of a timestamp, with which every token begins. */
const TIMESTAMP = "82";

/** Behind all that happened up to, and at, a cluster time. */
export function positionAt(time: ClusterTime): Position {
  return `${time}~`;
}

/** Behind an event, or where a token without an event stands. */
export function positionOf({ data, typeBits }: ResumeToken): Position {
  if (!data.startsWith(TIMESTAMP)) throw new Error("a resume token that does not begin with a time");
  return `${data.slice(TIMESTAMP.length)}${typeBits === undefined ? "" : `.${typeBits}`}`;
}

/** Behind the first or the second change of an event that is two. */
export function positionOfPart(event: Position, part: 1 | 2): Position {
  return `${event}!${part}`;
}

/** Whether a text could be a position. */
export function isPosition(text: string): boolean {
  return PATTERN.test(text);
}

/** The cluster time of a position. */
export function timeOfPosition(position: Position): ClusterTime {
  return position.slice(0, 16);
}

/**
 * The options of a `$changeStream` by which it begins behind a position. Those of the first of two changes of one event
 * begin a little before it: what is at or before the position is then to be left out.
 */
export function startBehind(position: Position): Document {
  const [, time = "", rest, typeBits, part] = PATTERN.exec(position) ?? [];
  if (rest === undefined) return { startAtOperationTime: timestampOf(time, 1n) };
  if (part === "1") return { startAtOperationTime: timestampOf(time) };
  const bits = typeBits === undefined ? {} : { _typeBits: Buffer.from(typeBits, "base64url") };
  return { resumeAfter: { _data: `${TIMESTAMP}${time}${rest}`, ...bits } };
}

/** A cluster time, or one that is so many steps later, as the driver has it. */
export function timestampOf(time: ClusterTime, steps = 0n): Timestamp {
  const bits = BigInt(`0x${time}`) + steps;
  return new Timestamp({ t: Number(bits >> 32n), i: Number(bits & 0xffffffffn) });
}

/** A cluster time from the driver. */
export function clusterTimeOf({ t, i }: Timestamp): ClusterTime {
  return ((BigInt(t) << 32n) | BigInt(i)).toString(16).toUpperCase().padStart(16, "0");
}
