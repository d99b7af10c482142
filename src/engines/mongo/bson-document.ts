import { BSON, byteAt, cstringEnd, damaged, readInt32, VALUE_AT, valueEnd } from "../../value/bson-bytes.js";

/** A field's value as BSON: its type and its bytes, which may be a view of a reply. */
export interface Element {
  readonly type: number;
  readonly bytes: Buffer;
}

/** Builds a BSON document of elements that are BSON already. */
export function documentOf(fields: readonly (readonly [name: string, element: Element])[]): Buffer {
  let length = 5;
  for (const [name, { bytes }] of fields) length += 2 + Buffer.byteLength(name) + bytes.length;
  const document = Buffer.allocUnsafe(length);
  let at = document.writeInt32LE(length, 0);
  for (const [name, { type, bytes }] of fields) {
    at = document.writeUInt8(type, at);
    at += document.write(name, at);
    at = document.writeUInt8(0, at);
    document.set(bytes, at);
    at += bytes.length;
  }
  document[at] = 0;
  return document;
}

/** An object as an element. */
export function objectElement(fields: readonly (readonly [name: string, element: Element])[]): Element {
  return { type: BSON.OBJECT, bytes: documentOf(fields) };
}

/** An array as an element. */
export function arrayElement(elements: readonly Element[]): Element {
  return {
    type: BSON.ARRAY,
    bytes: documentOf(elements.map((element, index) => [String(index), element] as const)),
  };
}

/** The value of a document `{value: …}`; a view of it. */
export function valueElement(document: Uint8Array): Element {
  const bytes = Buffer.from(document.buffer, document.byteOffset, document.byteLength);
  return { type: bytes[4] ?? 0, bytes: bytes.subarray(VALUE_AT, bytes.length - 1) };
}

/** A string. */
export function textElement(text: string): Element {
  const length = Buffer.byteLength(text) + 1;
  const bytes = Buffer.alloc(4 + length);
  bytes.writeInt32LE(length);
  bytes.write(text, 4);
  return { type: BSON.STRING, bytes };
}

/** An int32. */
export function int32Element(value: number): Element {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32LE(value);
  return { type: BSON.INT32, bytes };
}

/** A date, in milliseconds since 1970. */
export function dateElement(ms: number): Element {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigInt64LE(BigInt(ms));
  return { type: BSON.DATE, bytes };
}

/** An ObjectId by its 24 hex digits. */
export function objectIdElement(hex: string): Element {
  return { type: BSON.OBJECT_ID, bytes: Buffer.from(hex, "hex") };
}

/** Null. */
export const NULL: Element = { type: BSON.NULL, bytes: Buffer.alloc(0) };
/** True. */
export const TRUE: Element = { type: BSON.BOOLEAN, bytes: Buffer.from([1]) };

/** Names for fieldsOf(). */
export function fieldNames<const Name extends string>(...names: readonly Name[]): ReadonlyMap<string, Name> {
  return new Map(names.map((name) => [name, name]));
}

/** Finds the fields of a document that are named; nothing is copied. */
export function fieldsOf<Name extends string>(
  bytes: Buffer,
  byName: ReadonlyMap<string, Name>,
): Partial<Record<Name, Element>> {
  const fields: Partial<Record<Name, Element>> = {};
  walk(bytes, (type, nameStart, nameEnd, end) => {
    const name = byName.get(bytes.toString("latin1", nameStart, nameEnd));
    if (name !== undefined) fields[name] = { type, bytes: bytes.subarray(nameEnd + 1, end) };
  });
  return fields;
}

/** The elements of an array in order; nothing is copied. */
export function itemsOf({ bytes }: Element): Element[] {
  const items: Element[] = [];
  walk(bytes, (type, _, nameEnd, end) => items.push({ type, bytes: bytes.subarray(nameEnd + 1, end) }));
  return items;
}

function walk(
  bytes: Buffer,
  visit: (type: number, nameStart: number, nameEnd: number, end: number) => void,
): void {
  const last = readInt32(bytes, 0) - 1;
  if (last < 4 || last >= bytes.length) throw damaged();
  for (let at = 4; at < last; ) {
    const type = byteAt(bytes, at);
    const nameEnd = cstringEnd(bytes, at + 1, last);
    const end = valueEnd(bytes, type, nameEnd + 1, last);
    visit(type, at + 1, nameEnd, end);
    at = end;
  }
}
