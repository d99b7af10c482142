import { Decimal128 } from "bson";
import { BSON, byteAt, cstringEnd, damaged, MAX_EXACT_INTEGER, readDouble, readInt32 } from "./bson-bytes.js";
import { isoDate } from "./iso-date.js";
import type { WireWriter } from "./wire-writer.js";

/** Writes a BSON value that JSON has no form for, or may have none for, as relaxed Extended JSON. */
export function writeExtended(out: WireWriter, buf: Buffer, type: number, at: number): void {
  switch (type) {
    case BSON.INT64:
      writeInt64(out, buf, at);
      break;
    case BSON.DOUBLE:
      writeForm(out, "$numberDouble", String(readDouble(buf, at)));
      break;
    case BSON.OBJECT_ID:
      writeForm(out, "$oid", buf.toString("hex", at, at + 12));
      break;
    case BSON.DATE:
      writeDate(out, buf, at);
      break;
    case BSON.BINARY:
      writeBinary(out, buf, at);
      break;
    case BSON.DECIMAL128:
      writeForm(out, "$numberDecimal", new Decimal128(Buffer.from(buf.subarray(at, at + 16))).toString());
      break;
    case BSON.TIMESTAMP:
      writeTimestamp(out, buf, at);
      break;
    case BSON.REGEX:
      writeRegex(out, buf, at);
      break;
    case BSON.CODE:
      writeText(out, "$code", buf, at);
      break;
    case BSON.SYMBOL:
      writeText(out, "$symbol", buf, at);
      break;
    case BSON.DB_POINTER:
      writeDbPointer(out, buf, at);
      break;
    case BSON.MIN_KEY:
      writeOne(out, "$minKey");
      break;
    case BSON.MAX_KEY:
      writeOne(out, "$maxKey");
      break;
    case BSON.UNDEFINED:
      writeUndefined(out);
      break;
    default:
      throw damaged();
  }
}

/** `{"name": "text"}`, both ASCII. */
function writeForm(out: WireWriter, name: string, text: string): void {
  const before = out.written;
  out.asciiValue(text);
  out.asciiEntry(before, name);
  out.structValue(before);
}

function writeText(out: WireWriter, name: string, buf: Buffer, at: number): void {
  const before = out.written;
  out.stringValue(buf, at + 4, at + 3 + readInt32(buf, at));
  out.asciiEntry(before, name);
  out.structValue(before);
}

function writeOne(out: WireWriter, name: string): void {
  const before = out.written;
  out.numberValue(1);
  out.asciiEntry(before, name);
  out.structValue(before);
}

function writeUndefined(out: WireWriter): void {
  const before = out.written;
  out.boolValue(true);
  out.asciiEntry(before, "$undefined");
  out.structValue(before);
}

function writeInt64(out: WireWriter, buf: Buffer, at: number): void {
  const high = readInt32(buf, at + 4);
  const value = high * 2 ** 32 + (readInt32(buf, at) >>> 0);
  // Beyond 2^53 the sum is rounded, but never to something within.
  if (Math.abs(value) < MAX_EXACT_INTEGER) {
    out.numberValue(value);
    return;
  }
  const exact = buf.readBigInt64LE(at);
  if (exact === BigInt(MAX_EXACT_INTEGER) || exact === -BigInt(MAX_EXACT_INTEGER)) out.numberValue(value);
  else writeForm(out, "$numberLong", String(exact));
}

function writeDate(out: WireWriter, buf: Buffer, at: number): void {
  const ms = readInt32(buf, at + 4) * 2 ** 32 + (readInt32(buf, at) >>> 0);
  const text = isoDate(ms);
  if (text !== undefined) {
    writeForm(out, "$date", text);
    return;
  }
  const before = out.written;
  writeForm(out, "$numberLong", String(buf.readBigInt64LE(at)));
  out.asciiEntry(before, "$date");
  out.structValue(before);
}

function writeBinary(out: WireWriter, buf: Buffer, at: number): void {
  const end = at + 5 + readInt32(buf, at);
  const subType = byteAt(buf, at + 4);
  // Subtype 2 holds its length again.
  const start = subType === 2 ? Math.min(at + 9, end) : at + 5;
  const before = out.written;
  out.asciiValue(subType.toString(16).padStart(2, "0"));
  out.asciiEntry(before, "subType");
  const beforeData = out.written;
  out.asciiValue(buf.toString("base64", start, end));
  out.asciiEntry(beforeData, "base64");
  out.structValue(before);
  out.asciiEntry(before, "$binary");
  out.structValue(before);
}

function writeTimestamp(out: WireWriter, buf: Buffer, at: number): void {
  const before = out.written;
  out.numberValue(readInt32(buf, at) >>> 0);
  out.asciiEntry(before, "i");
  const beforeTime = out.written;
  out.numberValue(readInt32(buf, at + 4) >>> 0);
  out.asciiEntry(beforeTime, "t");
  out.structValue(before);
  out.asciiEntry(before, "$timestamp");
  out.structValue(before);
}

function writeRegex(out: WireWriter, buf: Buffer, at: number): void {
  const patternEnd = cstringEnd(buf, at, buf.length);
  const optionsEnd = cstringEnd(buf, patternEnd + 1, buf.length);
  const before = out.written;
  out.stringValue(buf, patternEnd + 1, optionsEnd);
  out.asciiEntry(before, "options");
  const beforePattern = out.written;
  out.stringValue(buf, at, patternEnd);
  out.asciiEntry(beforePattern, "pattern");
  out.structValue(before);
  out.asciiEntry(before, "$regularExpression");
  out.structValue(before);
}

function writeDbPointer(out: WireWriter, buf: Buffer, at: number): void {
  const refEnd = at + 3 + readInt32(buf, at);
  const before = out.written;
  writeForm(out, "$oid", buf.toString("hex", refEnd + 1, refEnd + 13));
  out.asciiEntry(before, "$id");
  const beforeRef = out.written;
  out.stringValue(buf, at + 4, refEnd);
  out.asciiEntry(beforeRef, "$ref");
  out.structValue(before);
  out.asciiEntry(before, "$dbPointer");
  out.structValue(before);
}
