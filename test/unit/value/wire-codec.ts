import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** JSON as google.protobuf.Value carries it; objects as Maps, so that every name and the order stay. */
export type Json = null | boolean | number | string | readonly Json[] | JsonFields;

/** The fields of an object, in order. */
export type JsonFields = ReadonlyMap<string, Json>;

/** Encodes google.protobuf.Value with the library's writer, as any client would. */
export function encodeValue(value: Json): Uint8Array {
  const writer = new BinaryWriter();
  if (value === null) writer.uint32(8).int32(0);
  else if (typeof value === "number") writer.uint32(17).double(value);
  else if (typeof value === "string") writer.uint32(26).string(value);
  else if (typeof value === "boolean") writer.uint32(32).bool(value);
  else if (value instanceof Map) writer.uint32(42).bytes(encodeStruct(value));
  else if (Array.isArray(value)) {
    const list = new BinaryWriter();
    for (const item of value as readonly Json[]) list.uint32(10).bytes(encodeValue(item));
    writer.uint32(50).bytes(list.finish());
  }
  return writer.finish();
}

/** Encodes google.protobuf.Struct. */
export function encodeStruct(fields: JsonFields): Uint8Array {
  const writer = new BinaryWriter();
  for (const [name, value] of fields) {
    const entry = new BinaryWriter().uint32(10).string(name).uint32(18).bytes(encodeValue(value)).finish();
    writer.uint32(10).bytes(entry);
  }
  return writer.finish();
}

/** Decodes google.protobuf.Value strictly: exactly one kind, valid UTF-8, no unknown fields. */
export function decodeValue(bytes: Uint8Array): Json {
  const reader = new BinaryReader(bytes, strictUtf8);
  const kinds: Json[] = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    kinds.push(decodeKind(reader, field, wireType));
  }
  const [kind] = kinds;
  if (kinds.length !== 1 || kind === undefined) throw new Error(`${kinds.length} kinds`);
  return kind;
}

function decodeKind(reader: BinaryReader, field: number, wireType: WireType): Json {
  const expected = [WireType.Varint, WireType.Bit64, WireType.LengthDelimited, WireType.Varint];
  if (wireType !== (expected[field - 1] ?? WireType.LengthDelimited))
    throw new Error(`wire type of ${field}`);
  switch (field) {
    case 1:
      if (reader.int32() !== 0) throw new Error("null_value is not 0");
      return null;
    case 2:
      return reader.double();
    case 3:
      return reader.string();
    case 4:
      return reader.bool();
    case 5:
      return decodeStruct(reader.bytes());
    case 6:
      return decodeList(reader.bytes());
    default:
      throw new Error(`field ${field}`);
  }
}

/** Decodes google.protobuf.Struct strictly, names in the order of the wire. */
export function decodeStruct(bytes: Uint8Array): JsonFields {
  const fields = new Map<string, Json>();
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    if (reader.uint32() !== 10) throw new Error("tag in Struct");
    const entry = new BinaryReader(reader.bytes(), strictUtf8);
    if (entry.uint32() !== 10) throw new Error("tag of key");
    const name = entry.string();
    if (entry.uint32() !== 18) throw new Error("tag of value");
    fields.set(name, decodeValue(entry.bytes()));
    if (entry.pos !== entry.len) throw new Error("bytes after an entry");
  }
  return fields;
}

function decodeList(bytes: Uint8Array): Json[] {
  const items: Json[] = [];
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    if (reader.uint32() !== 10) throw new Error("tag in ListValue");
    items.push(decodeValue(reader.bytes()));
  }
  return items;
}

function strictUtf8(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}

/** Plain JSON (as JSON.parse makes it) as Json. */
export function fromPlain(value: unknown): Json {
  if (Array.isArray(value)) return value.map(fromPlain);
  if (typeof value !== "object" || value === null) return value as Json;
  return new Map(Object.entries(value).map(([name, member]) => [name, fromPlain(member)]));
}
