import { BinaryReader } from "@bufbuild/protobuf/wire";

/** The fields of google.protobuf.Value, by number. */
const NULL = 1;
const NUMBER = 2;
const STRING = 3;
const BOOL = 4;
const STRUCT = 5;
const LIST = 6;

/** One field of an object: its name and the bytes of its value. */
type Member = readonly [name: string, value: Uint8Array];

/**
 * JSON text of the bytes of a google.protobuf.Value, with the fields in their order. Objects of one scalar field
 * whose name begins with "$", such as Extended JSON forms, stay on one line.
 *
 * @param indent spaces per level; 0 for one line
 */
export function wireToJson(wire: Uint8Array, indent: number): string {
  const parts: string[] = [];
  printValue(wire, indent, "\n", parts);
  return parts.join("");
}

function printValue(wire: Uint8Array, indent: number, newline: string, parts: string[]): void {
  const reader = new BinaryReader(wire);
  let printed = false;
  while (reader.pos < reader.len && !printed) {
    const [field, type] = reader.tag();
    printed = true;
    if (field === NUMBER) parts.push(printNumber(reader.double()));
    else if (field === STRING) parts.push(JSON.stringify(reader.string()));
    else if (field === BOOL) parts.push(String(reader.bool()));
    else if (field === STRUCT) printObject(members(reader.bytes()), indent, newline, parts);
    else if (field === LIST) printList(items(reader.bytes()), indent, newline, parts);
    else if (field === NULL) parts.push("null");
    else {
      reader.skip(type);
      printed = false;
    }
  }
  if (!printed) parts.push("null");
}

function printNumber(value: number): string {
  // JSON.stringify would make -0 a plain 0, which is another value.
  if (Object.is(value, -0)) return "-0";
  // With an exponent, so that nobody takes a rounded double for a whole number that is exact to its last digit.
  if (Math.abs(value) > 2 ** 53) return value.toExponential();
  return JSON.stringify(value);
}

function printObject(fields: readonly Member[], indent: number, newline: string, parts: string[]): void {
  const [first] = fields;
  const compact = indent === 0 || (fields.length === 1 && first?.[0].startsWith("$") === true);
  const inner = compact ? "" : newline + " ".repeat(indent);
  parts.push("{");
  fields.forEach(([name, value], index) => {
    parts.push(index === 0 ? inner : `,${inner}`, JSON.stringify(name), indent === 0 ? ":" : ": ");
    printValue(value, indent, compact ? newline : inner, parts);
  });
  parts.push(fields.length === 0 || compact ? "" : newline, "}");
}

function printList(values: readonly Uint8Array[], indent: number, newline: string, parts: string[]): void {
  const inner = indent === 0 ? "" : newline + " ".repeat(indent);
  parts.push("[");
  values.forEach((value, index) => {
    parts.push(index === 0 ? inner : `,${inner}`);
    printValue(value, indent, inner, parts);
  });
  parts.push(values.length === 0 || indent === 0 ? "" : newline, "]");
}

/** The entries of a google.protobuf.Struct. */
function members(struct: Uint8Array): readonly Member[] {
  return items(struct).map((entry) => {
    const reader = new BinaryReader(entry);
    let name = "";
    let value: Uint8Array = new Uint8Array();
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag();
      if (field === 1) name = reader.string();
      else if (field === 2) value = reader.bytes();
      else reader.skip(type);
    }
    return [name, value];
  });
}

/** The elements of field 1: a list's values, or a struct's entries. */
function items(wire: Uint8Array): readonly Uint8Array[] {
  const reader = new BinaryReader(wire);
  const found: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1) found.push(reader.bytes());
    else reader.skip(type);
  }
  return found;
}
