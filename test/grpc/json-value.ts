import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";

/** What google.protobuf.Value holds. Objects are maps, so that every name survives the test itself. */
export type Json = null | boolean | number | string | readonly Json[] | ReadonlyMap<string, Json>;

function write(writer: BinaryWriter, value: Json): BinaryWriter {
  if (value === null) return writer.uint32(8).int32(0);
  if (typeof value === "number") return writer.uint32(17).double(value);
  if (typeof value === "string") return writer.uint32(26).string(value);
  if (typeof value === "boolean") return writer.uint32(32).bool(value);
  if (value instanceof Map) {
    writer.uint32(42).fork();
    writeStruct(writer, value as ReadonlyMap<string, Json>);
    return writer.join();
  }
  writer.uint32(50).fork();
  for (const item of value as readonly Json[]) write(writer.uint32(10).fork(), item).join();
  return writer.join();
}

function writeStruct(writer: BinaryWriter, fields: ReadonlyMap<string, Json>): void {
  for (const [name, value] of fields) {
    writer.uint32(10).fork().uint32(10).string(name).uint32(18).fork();
    write(writer, value).join().join();
  }
}

/** The wire bytes of a google.protobuf.Value. */
export function encodeJson(value: Json): Uint8Array {
  return write(new BinaryWriter(), value).finish();
}

/** The wire bytes of a google.protobuf.Struct. */
export function encodeStruct(fields: ReadonlyMap<string, Json>): Uint8Array {
  const writer = new BinaryWriter();
  writeStruct(writer, fields);
  return writer.finish();
}

function readStruct(bytes: Uint8Array): ReadonlyMap<string, Json> {
  const fields = new Map<string, Json>();
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    reader.uint32();
    const entry = new BinaryReader(reader.bytes());
    let name = "";
    let value: Json = null;
    while (entry.pos < entry.len) {
      if (entry.uint32() >>> 3 === 1) name = entry.string();
      else value = decodeJson(entry.bytes());
    }
    fields.set(name, value);
  }
  return fields;
}

/** The value in the wire bytes of a google.protobuf.Value. */
export function decodeJson(bytes: unknown): Json {
  if (!(bytes instanceof Uint8Array)) throw new TypeError("no bytes");
  const reader = new BinaryReader(bytes);
  switch (reader.uint32() >>> 3) {
    case 1:
      return null;
    case 2:
      return reader.double();
    case 3:
      return reader.string();
    case 4:
      return reader.bool();
    case 5:
      return readStruct(reader.bytes());
    default: {
      const items: Json[] = [];
      const list = new BinaryReader(reader.bytes());
      while (list.pos < list.len) {
        list.uint32();
        items.push(decodeJson(list.bytes()));
      }
      return items;
    }
  }
}

/** The metadata of a store in the bytes that the generated code hands out. */
export function decodeStruct(bytes: unknown): ReadonlyMap<string, Json> {
  if (!(bytes instanceof Uint8Array)) throw new TypeError("no bytes");
  return readStruct(bytes);
}

/** `levels` arrays inside each other. */
export function nested(levels: number): Json {
  let value: Json = 1;
  for (let level = 0; level < levels; level += 1) value = [value];
  return value;
}
