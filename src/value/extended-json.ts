import { Decimal128 } from "bson";
import { BSON, byteAt } from "./bson-bytes.js";
import type { BsonWriter } from "./bson-writer.js";
import { parseIsoDate } from "./iso-date.js";
import { TAG, type WireReader } from "./wire-reader.js";

/**
 * Writes the BSON value that a single-key form of Extended JSON stands for
 * (https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/). The reader has just read the Value under
 * the `$` name. Answers the BSON type; a malformed form goes to the reader's `fail`.
 */
export type Form = (reader: WireReader, out: BsonWriter) => number;

/** The form of this name; undefined if the name is data. */
export function formNamed(name: string): Form | undefined {
  return FORMS.get(name);
}

const INT32_MIN = -(2n ** 31n);
const INT32_MAX = 2n ** 31n - 1n;
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
const UINT32_MAX = 2 ** 32 - 1;
/** Characters of the longest text that a number, an id or a date can have; only $binary, $code and the like are longer. */
const MAX_TEXT = 64;
/** The longest text of a number: a double written out in full. */
const MAX_NUMBER_TEXT = 1100;

const DECIMAL_NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const SPECIAL_DOUBLES = new Map([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
]);

const FORMS = new Map<string, Form>([
  ["$oid", (reader, out) => writeObjectId(reader, out)],
  ["$date", writeDate],
  ["$binary", writeBinary],
  ["$uuid", writeUuid],
  ["$numberInt", writeInt32],
  ["$numberLong", writeInt64],
  ["$numberDouble", writeDouble],
  ["$numberDecimal", writeDecimal],
  ["$timestamp", writeTimestamp],
  ["$regularExpression", writeRegex],
  ["$code", (reader, out) => writeText(reader, out, "$code", BSON.CODE)],
  ["$symbol", (reader, out) => writeText(reader, out, "$symbol", BSON.SYMBOL)],
  ["$dbPointer", writeDbPointer],
  ["$minKey", (reader) => writeOne(reader, "$minKey", BSON.MIN_KEY)],
  ["$maxKey", (reader) => writeOne(reader, "$maxKey", BSON.MAX_KEY)],
  ["$undefined", writeUndefined],
]);

/** The text of the Value just read, if it is a string of at most `max` bytes. */
function shortText(reader: WireReader, max = MAX_TEXT): string | undefined {
  if (reader.kind !== TAG.STRING || reader.end - reader.start > max) return undefined;
  return reader.wire.toString("latin1", reader.start, reader.end);
}

/** Reads a whole number in a string, as Extended JSON writes integers. */
function integer(reader: WireReader, form: string, min: bigint, max: bigint): bigint {
  const text = shortText(reader);
  if (text !== undefined && /^[+-]?\d+$/.test(text)) {
    const value = BigInt(text.startsWith("+") ? text.slice(1) : text);
    if (value >= min && value <= max) return value;
  }
  return reader.fail(`${form} needs a string with a whole number from ${min} to ${max}`);
}

function writeInt32(reader: WireReader, out: BsonWriter): number {
  out.int32(Number(integer(reader, "$numberInt", INT32_MIN, INT32_MAX)));
  return BSON.INT32;
}

function writeInt64(reader: WireReader, out: BsonWriter): number {
  out.int64(integer(reader, "$numberLong", INT64_MIN, INT64_MAX));
  return BSON.INT64;
}

function writeDouble(reader: WireReader, out: BsonWriter): number {
  const text = shortText(reader, MAX_NUMBER_TEXT) ?? "";
  const special = SPECIAL_DOUBLES.get(text);
  const value = special ?? (DECIMAL_NUMBER.test(text) ? Number(text) : Number.NaN);
  if (special === undefined && !Number.isFinite(value)) {
    reader.fail(
      '$numberDouble needs a string: a number that fits a double, "NaN", "Infinity" or "-Infinity"',
    );
  }
  out.double(value);
  return BSON.DOUBLE;
}

function writeDecimal(reader: WireReader, out: BsonWriter): number {
  const text = shortText(reader, MAX_NUMBER_TEXT);
  const decimal = text === undefined ? undefined : parseDecimal(text);
  if (decimal === undefined) {
    return reader.fail(
      '$numberDecimal needs a string: a number of at most 34 digits that fits a decimal128, "NaN", "Infinity" or "-Infinity"',
    );
  }
  out.copy(decimal, 0, 16);
  return BSON.DECIMAL128;
}

function parseDecimal(text: string): Buffer | undefined {
  try {
    return Buffer.from(Decimal128.fromString(text).bytes);
  } catch {
    return undefined;
  }
}

function writeObjectId(reader: WireReader, out: BsonWriter, form = "$oid"): number {
  const text = shortText(reader);
  if (text === undefined || !/^[0-9a-fA-F]{24}$/.test(text)) {
    return reader.fail(`${form} needs a string of 24 hex digits`);
  }
  out.copy(Buffer.from(text, "hex"), 0, 12);
  return BSON.OBJECT_ID;
}

function writeUuid(reader: WireReader, out: BsonWriter): number {
  const text = shortText(reader);
  if (text === undefined || !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) {
    return reader.fail("$uuid needs a string such as 6f9619ff-8b86-d011-b42d-00c04fc964ff");
  }
  out.int32(16);
  out.byte(4);
  out.copy(Buffer.from(text.replaceAll("-", ""), "hex"), 0, 16);
  return BSON.BINARY;
}

function writeDate(reader: WireReader, out: BsonWriter): number {
  const text = shortText(reader);
  if (text !== undefined) {
    const ms = parseIsoDate(text);
    if (ms !== undefined) {
      out.int64(BigInt(ms));
      return BSON.DATE;
    }
  } else if (reader.kind === TAG.STRUCT) {
    const inner = members(reader, ["$numberLong"]);
    if (inner?.[0] !== undefined) {
      select(reader, inner[0]);
      out.int64(integer(reader, "$numberLong in $date", INT64_MIN, INT64_MAX));
      return BSON.DATE;
    }
  }
  return reader.fail(
    '$date needs a string such as 2030-01-31T12:00:00.000Z, with a time zone and at most milliseconds, or {"$numberLong": "…"}',
  );
}

function writeText(reader: WireReader, out: BsonWriter, form: string, type: number): number {
  if (reader.kind !== TAG.STRING) reader.fail(`${form} needs a string`);
  if (!out.text(reader.wire, reader.start, reader.end)) reader.badText();
  return type;
}

function writeOne(reader: WireReader, form: string, type: number): number {
  if (reader.kind !== TAG.NUMBER || reader.double(reader.start) !== 1) {
    reader.fail(`${form} needs the number 1`);
  }
  return type;
}

function writeUndefined(reader: WireReader): number {
  if (reader.kind !== TAG.BOOL || reader.start !== 1) reader.fail("$undefined needs true");
  return BSON.UNDEFINED;
}

function writeTimestamp(reader: WireReader, out: BsonWriter): number {
  const [t, i] = members(reader, ["t", "i"]) ?? [];
  const time = t === undefined ? undefined : uint32(reader, t);
  const increment = i === undefined ? undefined : uint32(reader, i);
  if (time === undefined || increment === undefined) {
    return reader.fail(`$timestamp needs exactly t and i, whole numbers from 0 to ${UINT32_MAX}`);
  }
  out.int32(increment | 0);
  out.int32(time | 0);
  return BSON.TIMESTAMP;
}

function uint32(reader: WireReader, member: Member): number | undefined {
  if (member.kind !== TAG.NUMBER) return undefined;
  const value = reader.double(member.start);
  return value === value >>> 0 ? value : undefined;
}

function writeRegex(reader: WireReader, out: BsonWriter): number {
  const [pattern, options] = members(reader, ["pattern", "options"]) ?? [];
  if (pattern?.kind !== TAG.STRING || options?.kind !== TAG.STRING) {
    return reader.fail("$regularExpression needs exactly pattern and options, both strings");
  }
  for (const { start, end } of [pattern, options]) {
    reader.checkText(start, end);
    if (reader.wire.subarray(start, end).includes(0)) {
      reader.fail("$regularExpression contains a NUL character; remove it");
    }
  }
  out.copy(reader.wire, pattern.start, pattern.end);
  out.byte(0);
  // BSON wants the options in alphabetical order.
  const sorted = Array.from(reader.wire.toString("utf8", options.start, options.end))
    .toSorted()
    .join("");
  const bytes = Buffer.from(sorted);
  out.copy(bytes, 0, bytes.length);
  out.byte(0);
  return BSON.REGEX;
}

function writeDbPointer(reader: WireReader, out: BsonWriter): number {
  const [ref, id] = members(reader, ["$ref", "$id"]) ?? [];
  if (ref?.kind === TAG.STRING && id?.kind === TAG.STRUCT) {
    select(reader, id);
    const [oid] = members(reader, ["$oid"]) ?? [];
    if (oid !== undefined) {
      if (!out.text(reader.wire, ref.start, ref.end)) reader.badText();
      select(reader, oid);
      writeObjectId(reader, out, "$oid in $dbPointer");
      return BSON.DB_POINTER;
    }
  }
  return reader.fail('$dbPointer needs exactly $ref, a string, and $id, an {"$oid": "…"}');
}

function writeBinary(reader: WireReader, out: BsonWriter): number {
  const [base64, subType] = members(reader, ["base64", "subType"]) ?? [];
  if (base64?.kind === TAG.STRING && subType?.kind === TAG.STRING) {
    const digits = reader.wire.toString("latin1", subType.start, subType.end);
    const length = base64Length(reader.wire, base64.start, base64.end);
    if (/^[0-9a-fA-F]{1,2}$/.test(digits) && length !== -1) {
      const type = Number.parseInt(digits, 16);
      // Subtype 2 holds its length again.
      out.int32(type === 2 ? length + 4 : length);
      out.byte(type);
      if (type === 2) out.int32(length);
      out.room(length);
      out.buf.write(reader.wire.toString("latin1", base64.start, base64.end), out.pos, length, "base64");
      out.pos += length;
      return BSON.BINARY;
    }
  }
  return reader.fail(
    "$binary needs exactly base64, a string of padded standard base64, and subType, a string of two hex digits",
  );
}

/** The bytes that a range of padded base64 stands for; -1 if it is none. */
function base64Length(wire: Buffer, start: number, end: number): number {
  const length = end - start;
  if (length % 4 !== 0) return -1;
  let last = end;
  while (last > start && end - last < 2 && wire[last - 1] === 0x3d) last--;
  for (let at = start; at < last; at++) if (IS_BASE64[byteAt(wire, at)] !== 1) return -1;
  return (length / 4) * 3 - (end - last);
}

const IS_BASE64 = new Uint8Array(256);
for (const byte of Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")) {
  IS_BASE64[byte] = 1;
}

interface Member {
  readonly kind: number;
  readonly start: number;
  readonly end: number;
}

/** The members of the object just read, in the order of `wanted`; undefined if they are not exactly these. */
function members(reader: WireReader, wanted: readonly string[]): readonly Member[] | undefined {
  if (reader.kind !== TAG.STRUCT) return undefined;
  const limit = reader.end;
  const found = new Map<string, Member>();
  reader.pos = reader.start;
  for (
    let end = reader.next(TAG.STRUCT_ENTRY, limit);
    end !== -1;
    end = reader.next(TAG.STRUCT_ENTRY, limit)
  ) {
    reader.entry(end);
    const name = reader.wire.toString(
      "latin1",
      reader.keyStart,
      Math.min(reader.keyEnd, reader.keyStart + 20),
    );
    if (found.has(name) || !wanted.includes(name)) return undefined;
    reader.pos = reader.valueStart;
    reader.value(reader.valueEnd);
    found.set(name, { kind: reader.kind, start: reader.start, end: reader.end });
    reader.pos = end;
  }
  const inOrder = wanted.map((name) => found.get(name));
  return inOrder.every((member) => member !== undefined) ? inOrder : undefined;
}

/** Makes a member what the reader has just read. */
function select(reader: WireReader, member: Member): void {
  reader.kind = member.kind;
  reader.start = member.start;
  reader.end = member.end;
}
