import type {
  Binary,
  BSONRegExp,
  BSONSymbol,
  BSONTypeTag,
  BSONValue,
  Code,
  DBRef,
  Decimal128,
  Double,
  Int32,
  Long,
  ObjectId,
  Timestamp,
} from "bson";
import { asBuffer, BSON } from "./bson-bytes.js";
import type { BsonWriter } from "./bson-writer.js";

/** What writing a class needs from the walk that met it. */
export interface ClassWriter {
  /** Refuses the value. */
  fail(problem: string): never;
  /** Writes a string with its length. */
  string(text: string): void;
  /** Writes pattern and options. */
  regex(pattern: string, options: string): void;
  /** Writes an object that is a part of the value. */
  nested(name: string, value: object): void;
}

/**
 * Writes an instance of a class of the `bson` package, of whichever copy of it: they are told by the tag that their
 * prototype has. Answers the BSON type; anything else goes to the writer's `fail`.
 */
export function writeBsonClass(value: object, out: BsonWriter, writer: ClassWriter): number {
  const tag = Object.hasOwn(value, "_bsontype") ? undefined : (value as Partial<BSONValue>)._bsontype;
  const write = tag === undefined ? undefined : WRITERS[tag];
  if (write === undefined) {
    const { name } = value.constructor ?? {};
    return writer.fail(
      `an instance of ${name || "a class"} cannot be stored; store a plain object, an array or a Uint8Array with its data`,
    );
  }
  return write(value as never, out, writer);
}

type Write<T> = (value: T, out: BsonWriter, writer: ClassWriter) => number;

const WRITERS: Readonly<Record<BSONTypeTag, Write<never> | undefined>> = {
  ObjectId: writeObjectId satisfies Write<ObjectId>,
  Binary: writeBinary satisfies Write<Binary>,
  Decimal128: writeDecimal satisfies Write<Decimal128>,
  Double: ({ value }: Double, out, writer) => {
    out.double(checkNumber(value, writer));
    return BSON.DOUBLE;
  },
  Int32: ({ value }: Int32, out, writer) => {
    out.int32(checkNumber(value, writer));
    return BSON.INT32;
  },
  Long: writeLong satisfies Write<Long>,
  Timestamp: writeTimestamp satisfies Write<Timestamp>,
  BSONRegExp: ({ pattern, options }: BSONRegExp, _out, writer) => {
    writer.regex(pattern, options);
    return BSON.REGEX;
  },
  BSONSymbol: ({ value }: BSONSymbol, _out, writer) => {
    writer.string(value);
    return BSON.SYMBOL;
  },
  Code: writeCode satisfies Write<Code>,
  DBRef: writeDbRef satisfies Write<DBRef>,
  MinKey: () => BSON.MIN_KEY,
  MaxKey: () => BSON.MAX_KEY,
};

function checkNumber(value: number, writer: ClassWriter): number {
  return typeof value === "number" ? value : writer.fail("an instance of a bson class holds no number");
}

/** Copies bytes of a fixed length, whatever copy of the package made them. */
function fixed(bytes: Uint8Array, length: number, out: BsonWriter, writer: ClassWriter): void {
  if (!(bytes instanceof Uint8Array) || bytes.length !== length) {
    writer.fail("an instance of a bson class is of an unknown version; use version 6 or newer");
  }
  out.copy(asBuffer(bytes), 0, length);
}

function writeObjectId(value: ObjectId, out: BsonWriter, writer: ClassWriter): number {
  fixed(value.id, 12, out, writer);
  return BSON.OBJECT_ID;
}

function writeDecimal(value: Decimal128, out: BsonWriter, writer: ClassWriter): number {
  fixed(value.bytes, 16, out, writer);
  return BSON.DECIMAL128;
}

function writeBinary(value: Binary, out: BsonWriter): number {
  const bytes = asBuffer(value.buffer);
  const length = value.position;
  // Subtype 2 holds its length again.
  const inner = value.sub_type === 2;
  out.int32(inner ? length + 4 : length);
  out.byte(value.sub_type);
  if (inner) out.int32(length);
  out.copy(bytes, 0, length);
  return BSON.BINARY;
}

function writeLong(value: Long, out: BsonWriter, writer: ClassWriter): number {
  if (value.unsigned && value.high < 0) {
    writer.fail("an unsigned Long needs more than 63 bits; use a Decimal128 or a string");
  }
  out.int32(value.low);
  out.int32(value.high);
  return BSON.INT64;
}

function writeTimestamp(value: Timestamp, out: BsonWriter): number {
  out.int32(value.i | 0);
  out.int32(value.t | 0);
  return BSON.TIMESTAMP;
}

function writeCode(value: Code, out: BsonWriter, writer: ClassWriter): number {
  if (value.scope === null || value.scope === undefined) {
    writer.string(value.code);
    return BSON.CODE;
  }
  out.room(4);
  const start = out.pos;
  out.pos += 4;
  writer.string(value.code);
  writer.nested("$scope", value.scope);
  out.putInt32(start, out.pos - start);
  return BSON.CODE_WITH_SCOPE;
}

function writeDbRef(value: DBRef, _out: BsonWriter, writer: ClassWriter): number {
  const { collection, oid, db, fields } = value;
  writer.nested("$ref", new Map(Object.entries({ $ref: collection, $id: oid, $db: db, ...fields })));
  return BSON.OBJECT;
}
