import { BSON, Long, serialize } from "bson";
import { OpMsgRequest, OpMsgResponse } from "mongodb/lib/cmap/commands.js";

/** How far ahead of itself this process sees the database's clock, in milliseconds. */
let ahead = 0;

/** What a command says for the present time. */
const NOW = "$$NOW";
/** Fields that hold the data of users, in which the same text means nothing. */
const DATA = new Set(["$literal", "value", "documents"]);
const STRING = 2;
const OBJECT = 3;
const ARRAY = 4;
const DATE = 9;

/**
 * Moves the clock of every MongoDB that this process talks to: in what the driver sends, `$$NOW` becomes a sum, and in
 * what it gets, the server's `localTime` is later. Nothing else changes, so that time passes and expires as always; the
 * server's own TTL monitor alone knows nothing of it.
 *
 * @param ms how far ahead of the real time, at least 0
 */
export function moveDatabaseClock(ms: number): void {
  ahead = ms;
}

const { makeSections } = OpMsgRequest.prototype;
OpMsgRequest.prototype.makeSections = function makeMovedSections(buffers, command) {
  if (ahead === 0) return makeSections.call(this, buffers, command);
  const own: Uint8Array[] = [];
  makeSections.call(this, own, command);
  const sections = movedSections(Buffer.concat(own));
  buffers.push(...sections);
  return sections.reduce((sum, { length }) => sum + length, 0);
};

const { parse } = OpMsgResponse.prototype;
OpMsgResponse.prototype.parse = function parseMoved() {
  const first = !this.parsed;
  const document = parse.call(this);
  if (first && ahead !== 0) moveLocalTime(document);
  return document;
};

/** A section is a zero and a document, or a one, its length, its name and documents. */
function movedSections(bytes: Buffer): Buffer[] {
  const sections: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readInt32LE(at + 1);
    const end = at + 1 + length;
    if (bytes[at] === 0) sections.push(bytes.subarray(at, at + 1), moved(bytes.subarray(at + 1, end)));
    else sections.push(movedSequence(bytes.subarray(at, end)));
    at = end;
  }
  return sections;
}

function movedSequence(section: Buffer): Buffer {
  const nameEnd = section.indexOf(0, 5);
  const name = section.toString("utf8", 5, nameEnd);
  if (DATA.has(name)) return section;
  const parts = [section.subarray(0, nameEnd + 1)];
  for (let at = nameEnd + 1; at < section.length; ) {
    const length = section.readInt32LE(at);
    parts.push(moved(section.subarray(at, at + length)));
    at += length;
  }
  const result = Buffer.concat(parts);
  result.writeInt32LE(result.length - 1, 1);
  return result;
}

function moved(document: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (const [type, nameOffset, nameLength, offset, length] of BSON.onDemand.parseToElements(document)) {
    const name = document.subarray(nameOffset, nameOffset + nameLength);
    const value = document.subarray(offset, offset + length);
    if (DATA.has(name.toString())) parts.push(element(type, name, value));
    else if (type === OBJECT || type === ARRAY) parts.push(element(type, name, moved(value)));
    else if (type === STRING && value.toString("utf8", 4, length - 1) === NOW) {
      parts.push(element(OBJECT, name, Buffer.from(serialize({ $add: [NOW, Long.fromNumber(ahead)] }))));
    } else parts.push(element(type, name, value));
  }
  return Buffer.concat([
    int32(5 + parts.reduce((sum, { length }) => sum + length, 0)),
    ...parts,
    Buffer.of(0),
  ]);
}

function element(type: number, name: Buffer, value: Buffer): Buffer {
  return Buffer.concat([Buffer.of(type), name, Buffer.of(0), value]);
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

function moveLocalTime(document: Uint8Array): void {
  for (const [type, nameOffset, nameLength, offset] of BSON.onDemand.parseToElements(document)) {
    const name = Buffer.from(document.subarray(nameOffset, nameOffset + nameLength)).toString();
    if (type !== DATE || name !== "localTime") continue;
    const view = new DataView(document.buffer, document.byteOffset + offset, 8);
    view.setBigInt64(0, view.getBigInt64(0, true) + BigInt(ahead), true);
  }
}
