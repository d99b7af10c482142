import { readFileSync } from "node:fs";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { MessageShape } from "./well-formed.js";

/** A .proto file of the descriptor set. */
interface ProtoFile {
  readonly name: string;
  /** The encoded google.protobuf.FileDescriptorProto. */
  readonly bytes: Uint8Array;
  readonly dependencies: readonly string[];
}

// Field numbers of google/protobuf/descriptor.proto.
const FILE = { name: 1, package: 2, dependency: 3, message: 4, enum: 5, service: 6, extension: 7 } as const;
const MESSAGE = { field: 2, nested: 3, enum: 4, extension: 6, oneof: 8 } as const;
const ENUM_VALUE = 2;
const SERVICE_METHOD = 2;
const FIELD = { number: 3, typeName: 6 } as const;
const METHOD_INPUT = 2;

/** Messages whose own codec checks them: it does not read values, and they may nest deeply. */
const OPAQUE = new Set(["google.protobuf.Value", "google.protobuf.Struct"]);

/** The length-delimited fields of a message, by number. */
function bytesFields(bytes: Uint8Array): Map<number, Uint8Array[]> {
  const fields = new Map<number, Uint8Array[]>();
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (wireType !== WireType.LengthDelimited) {
      reader.skip(wireType, number);
      continue;
    }
    const values = fields.get(number) ?? [];
    values.push(reader.bytes());
    fields.set(number, values);
  }
  return fields;
}

function text(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? "" : Buffer.from(bytes).toString("utf8");
}

/** The name of a definition: field 1 of each kind. */
function nameOf(fields: ReadonlyMap<number, readonly Uint8Array[]>): string {
  return text(fields.get(1)?.[0]);
}

/** A full name without the dot before it. */
function typeName(values: readonly Uint8Array[] | undefined): string {
  return text(values?.[0]).replace(/^\./, "");
}

/** The number of a field, from its encoded FieldDescriptorProto. */
function numberOf(field: Uint8Array): number {
  const reader = new BinaryReader(field);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === FIELD.number && wireType === WireType.Varint) return reader.int32();
    reader.skip(wireType, number);
  }
  throw new RangeError("a field of the descriptor set has no number");
}

/** Beside the generated code, at the same place relative to this module in the sources and in the build. */
const DESCRIPTOR_SET = new URL("../../gen/descriptor_set.binpb", import.meta.url);

function join(scope: string, name: string): string {
  return scope === "" ? name : `${scope}.${name}`;
}

/** The .proto files behind the served contract, by what they define. */
export class Descriptors {
  readonly #files = new Map<string, ProtoFile>();
  readonly #symbols = new Map<string, ProtoFile>();
  /** The encoded fields of messages, by the messages' full names. */
  readonly #messages = new Map<string, readonly Uint8Array[]>();
  readonly #inputs = new Map<string, string>();

  /** Reads the descriptor set that is shipped with the service. Throws if the file is missing or damaged. */
  constructor(location: URL = DESCRIPTOR_SET) {
    // A FileDescriptorSet has the one field `file`.
    for (const bytes of bytesFields(readFileSync(location)).get(1) ?? []) this.#addFile(bytes);
  }

  /** A file and everything it imports, itself first; undefined if it is unknown. */
  byFilename(name: string): readonly Uint8Array[] | undefined {
    return this.#withDependencies(this.#files.get(name));
  }

  /** As byFilename, for the file that defines a message, enum, enum value, service, method, field or extension. */
  bySymbol(symbol: string): readonly Uint8Array[] | undefined {
    return this.#withDependencies(this.#symbols.get(symbol));
  }

  /** Whether a message of this full name is defined. */
  hasMessage(name: string): boolean {
    return this.#messages.has(name);
  }

  /**
   * The shape of a method's requests.
   *
   * @param path service and method, such as `execution_store.v1.StoreService/GetKey`; throws if it is unknown
   */
  requestShape(path: string): MessageShape {
    const input = this.#inputs.get(path);
    if (input === undefined) throw new Error(`the descriptor set has no method ${path}; generate it anew`);
    return this.#shape(input, new Map());
  }

  #shape(message: string, known: Map<string, MessageShape>): MessageShape {
    const found = known.get(message);
    if (found !== undefined) return found;
    const shape = new Map<number, MessageShape>();
    known.set(message, shape);
    for (const bytes of this.#messages.get(message) ?? []) {
      const type = typeName(bytesFields(bytes).get(FIELD.typeName));
      // Enums have a type name, too.
      if (this.#messages.has(type) && !OPAQUE.has(type)) shape.set(numberOf(bytes), this.#shape(type, known));
    }
    return shape;
  }

  #withDependencies(first: ProtoFile | undefined): readonly Uint8Array[] | undefined {
    if (first === undefined) return undefined;
    const found = new Set([first]);
    // A set hands out what is added while it is iterated.
    for (const file of found) {
      for (const name of file.dependencies) {
        const dependency = this.#files.get(name);
        if (dependency !== undefined) found.add(dependency);
      }
    }
    return [...found].map((file) => file.bytes);
  }

  #addFile(bytes: Uint8Array): void {
    const fields = bytesFields(bytes);
    const dependencies = (fields.get(FILE.dependency) ?? []).map(text);
    const file = { name: text(fields.get(FILE.name)?.[0]), bytes, dependencies };
    const scope = text(fields.get(FILE.package)?.[0]);
    this.#files.set(file.name, file);
    this.#addMessages(file, scope, fields.get(FILE.message));
    this.#addEnums(file, scope, fields.get(FILE.enum));
    this.#addServices(file, scope, fields.get(FILE.service));
    this.#add(file, scope, fields.get(FILE.extension));
  }

  #addMessages(file: ProtoFile, scope: string, messages: readonly Uint8Array[] = []): void {
    this.#add(file, scope, messages);
    for (const bytes of messages) {
      const fields = bytesFields(bytes);
      const name = join(scope, nameOf(fields));
      this.#messages.set(name, fields.get(MESSAGE.field) ?? []);
      for (const part of [MESSAGE.field, MESSAGE.extension, MESSAGE.oneof]) {
        this.#add(file, name, fields.get(part));
      }
      this.#addEnums(file, name, fields.get(MESSAGE.enum));
      this.#addMessages(file, name, fields.get(MESSAGE.nested));
    }
  }

  #addEnums(file: ProtoFile, scope: string, enums: readonly Uint8Array[] = []): void {
    this.#add(file, scope, enums);
    // The values of an enum belong to the scope around it.
    for (const bytes of enums) this.#add(file, scope, bytesFields(bytes).get(ENUM_VALUE));
  }

  #addServices(file: ProtoFile, scope: string, services: readonly Uint8Array[] = []): void {
    this.#add(file, scope, services);
    for (const bytes of services) {
      const fields = bytesFields(bytes);
      const service = join(scope, nameOf(fields));
      const methods = fields.get(SERVICE_METHOD) ?? [];
      this.#add(file, service, methods);
      for (const method of methods) {
        const parts = bytesFields(method);
        this.#inputs.set(`${service}/${nameOf(parts)}`, typeName(parts.get(METHOD_INPUT)));
      }
    }
  }

  #add(file: ProtoFile, scope: string, definitions: readonly Uint8Array[] = []): void {
    for (const definition of definitions) {
      this.#symbols.set(join(scope, nameOf(bytesFields(definition))), file);
    }
  }
}
