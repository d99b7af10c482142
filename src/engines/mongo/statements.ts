import { ObjectId } from "mongodb";
import type { Policy } from "../../store/document.js";
import { BSON } from "../../value/bson-bytes.js";
import {
  arrayElement,
  documentOf,
  type Element,
  int32Element,
  NULL,
  objectElement,
  objectIdElement,
  TRUE,
  textElement,
} from "./bson-document.js";
import type { RawDocument } from "./record.js";
import type { Target } from "./versions.js";

/** A new version of a document, to be written only over the version that it was made for. */
export interface VersionedWrite {
  readonly target: Target;
  /** The version that must still be there; undefined: no document may be there, expired or not. */
  readonly base: RawDocument | undefined;
  /** Whether the base must not have expired by then. */
  readonly baseIsLive: boolean;
  /** A value that must still be the document's, whoever changed it without changing the version. */
  readonly baseValue: Element | "missing" | undefined;
  /** Of an insert: to take its times from the database's clock as it is written, not from `set`. */
  readonly atNow?: { readonly policy: Policy; readonly ttlMs: number | undefined };
  /** The fields to set; undefined: remove the document, which is to go alone. */
  readonly set: RawDocument | undefined;
}

type Field = readonly [name: string, element: Element];

const NOW = textElement("$$NOW");
const EXPIRES_AT = textElement("$expires_at");
const VALUE = textElement("$value");

/** A new `_id`. */
export function newId(): Element {
  return objectIdElement(new ObjectId().toHexString());
}

function identity({ scope, storeName, key }: Target): Field[] {
  return [
    ["store_name", textElement(storeName)],
    ["key", textElement(key)],
    ["dataset_id", scope.datasetId === "" ? NULL : objectIdElement(scope.datasetId)],
  ];
}

/** `{$eq: x}`, so that no type of x means anything but itself. Null also equals a missing field. */
function equal(element: Element = NULL): Element {
  return objectElement([["$eq", element]]);
}

function expression(operator: string, ...operands: readonly Element[]): Element {
  return objectElement([[operator, arrayElement(operands)]]);
}

/** The version that must be there. */
function version(base: RawDocument): Field[] {
  return [
    ["_id", equal(base._id)],
    ["created_at", equal(base.created_at)],
    ["updated_at", equal(base.updated_at)],
    ["expires_at", equal(base.expires_at)],
    ["policy", equal(base.policy)],
  ];
}

function mayExpire({ base, baseIsLive }: VersionedWrite): boolean {
  return baseIsLive && base?.expires_at?.type === BSON.DATE;
}

/** What only an expression can ask for. */
function expressions(write: VersionedWrite): Field[] {
  const all: Element[] = [];
  if (mayExpire(write)) all.push(expression("$gt", EXPIRES_AT, NOW));
  const { baseValue } = write;
  if (baseValue === "missing") {
    all.push(expression("$eq", objectElement([["$type", VALUE]]), textElement("missing")));
  } else if (baseValue !== undefined) {
    all.push(expression("$eq", VALUE, objectElement([["$literal", baseValue]])));
  }
  return all.length === 0 ? [] : [["$expr", expression("$and", ...all)]];
}

/** A removal as a statement of a `delete` command, which counts 0 if the version is not there. */
export function removalOf(write: VersionedWrite, base: RawDocument): Buffer {
  return documentOf([
    ["q", objectElement([...identity(write.target), ...version(base), ...expressions(write)])],
    ["limit", int32Element(1)],
  ]);
}

/**
 * A write as the only statement of an `update` command, which counts 0, or fails for an insert, if the document is not
 * there as expected.
 */
export function loneStatementOf(write: VersionedWrite, set: RawDocument): Buffer {
  const { target, base } = write;
  if (base === undefined) return insertOf(write, set);
  return documentOf([
    ["q", objectElement([...identity(target), ...version(base), ...expressions(write)])],
    ["u", objectElement([["$set", objectElement(Object.entries(set))]])],
  ]);
}

/**
 * A write as one of many statements of an `update` command. The reply counts them together and tells apart only those
 * that fail, so a statement whose document is not there as expected is made to fail: as an upsert, it would insert a
 * document whose `_id` no document may have, or without a value. It changes nothing then.
 *
 * @param write without a `baseValue`
 */
export function groupStatementOf(write: VersionedWrite, set: RawDocument): Buffer {
  const { target, base } = write;
  if (base === undefined) return insertOf(write, set);
  const refusal: Field = ["$setOnInsert", objectElement([["_id", arrayElement([])]])];
  return documentOf([
    ["q", objectElement([...identity(target), ...version(base)])],
    [
      "u",
      mayExpire(write)
        ? arrayElement([objectElement([["$set", unlessExpired(set)]])])
        : objectElement([["$set", objectElement(Object.entries(set))], refusal]),
    ],
    ["upsert", TRUE],
  ]);
}

/** An insert, which meets the unique index if a document is there. */
function insertOf({ target, atNow }: VersionedWrite, { _id: id = newId(), ...rest }: RawDocument): Buffer {
  const set = atNow === undefined ? objectElement(Object.entries(rest)) : setAtNow(rest, atNow.ttlMs);
  const stage = objectElement([["$set", set]]);
  return documentOf([
    ["q", objectElement([["_id", id], ...identity(target)])],
    ["u", atNow === undefined ? stage : arrayElement([stage])],
    ["upsert", TRUE],
  ]);
}

/** The fields of a pipeline that takes its times from the database's clock as it writes. */
function setAtNow(set: RawDocument, ttlMs: number | undefined): Element {
  const expiresAt = ttlMs === undefined ? NULL : expression("$add", NOW, dateOffset(ttlMs));
  return objectElement([
    ...literalsOf(set),
    ["created_at", NOW],
    ["updated_at", NOW],
    ["expires_at", expiresAt],
  ]);
}

function dateOffset(ms: number): Element {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigInt64LE(BigInt(ms));
  return { type: BSON.INT64, bytes };
}

function literalsOf(set: RawDocument): Field[] {
  return Object.entries(set).map(
    ([name, element]) => [name, objectElement([["$literal", element]])] as const,
  );
}

/** The fields to set by a pipeline, which fails if the document has expired, or is none: an upsert may use no `$expr`. */
function unlessExpired({ expires_at: expiresAt = NULL, ...rest }: RawDocument): Element {
  const unexpected = expression(
    "$or",
    expression("$lte", EXPIRES_AT, NOW),
    expression("$eq", objectElement([["$type", VALUE]]), textElement("missing")),
  );
  // Not constant, or it would fail when the command is read.
  const failure = objectElement([
    ["$toDate", expression("$concat", textElement("no date "), textElement("$store_name"))],
  ]);
  const guarded = expression("$cond", unexpected, failure, objectElement([["$literal", expiresAt]]));
  return objectElement([...literalsOf(rest), ["expires_at", guarded]]);
}
