import {
  Binary,
  BSONRegExp,
  Code,
  Decimal128,
  DistantDate,
  Double,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  RawValue,
  Timestamp,
  UUID,
} from "execution-store";
import type { Json, JsonObject } from "./scenario.js";

/** The TypeScript value that a neutral one stands for: that which is stored in exactly this type. */
export function toNative(value: Json): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (isList(value)) return value.map(toNative);
  const form = formOf(value);
  if (form !== undefined) return fromForm(form, value);
  const object: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    Object.defineProperty(object, name, {
      value: toNative(member),
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
  return object;
}

/** The neutral form of a TypeScript value. Numbers have one form, since they are compared by what they are worth. */
export function toNeutral(value: unknown): Json {
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") return { $numberDouble: Object.is(value, -0) ? "-0.0" : String(value) };
  if (typeof value === "bigint") return { $numberLong: String(value) };
  if (Array.isArray(value)) return value.map(toNeutral);
  if (typeof value !== "object") throw new TypeError(`a value of type ${typeof value} cannot have been read`);
  return classToNeutral(value) ?? objectToNeutral(value);
}

/** Whether two neutral values are the same: numbers by what they are worth, fields in any order. */
export function sameValue(left: Json, right: Json): boolean {
  const [leftNumber, rightNumber] = [numberOf(left), numberOf(right)];
  if (leftNumber !== undefined || rightNumber !== undefined) return Object.is(leftNumber, rightNumber);
  if (typeof left !== "object" || left === null || typeof right !== "object" || right === null) {
    return left === right;
  }
  if (isList(left) || isList(right)) {
    if (!isList(left) || !isList(right) || left.length !== right.length) return false;
    return left.every((item, index) => sameValue(item, right[index] ?? null));
  }
  const names = Object.keys(left);
  if (names.length !== Object.keys(right).length) return false;
  return names.every((name) => {
    const other = Object.hasOwn(right, name) ? right[name] : undefined;
    return other !== undefined && sameValue(left[name] ?? null, other);
  });
}

/** Tells lists from objects, which Array.isArray does not do for read-only ones. */
export function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

/** Each form by its first field. */
const FORMS: Readonly<Record<string, (body: never, whole: JsonObject) => unknown>> = {
  $numberInt: (text: string) => Number(text),
  $numberLong: (text: string) => BigInt(text),
  $numberDouble: (text: string) => {
    const number = Number(text);
    // A whole number is an integer unless it says otherwise.
    return Number.isInteger(number) && !Object.is(number, -0) ? new Double(number) : number;
  },
  $numberDecimal: (text: string) => Decimal128.fromString(text),
  $date: ({ $numberLong }: { $numberLong: string }) => {
    const date = new Date(Number($numberLong));
    return Number.isNaN(date.getTime()) ? new DistantDate(BigInt($numberLong)) : date;
  },
  $oid: (hex: string) => new ObjectId(hex),
  $binary: ({ base64, subType }: { base64: string; subType: string }) => {
    const bytes = Uint8Array.from(Buffer.from(base64, "base64"));
    if (subType === "00") return bytes;
    return subType === "04" ? new UUID(bytes) : new Binary(bytes, Number.parseInt(subType, 16));
  },
  $regularExpression: ({ pattern, options }: { pattern: string; options: string }) =>
    new BSONRegExp(pattern, options),
  $timestamp: (parts: { t: number; i: number }) => new Timestamp(parts),
  $code: (code: string, { $scope }) =>
    $scope === undefined ? new Code(code) : new Code(code, toNative($scope) as Record<string, unknown>),
  $minKey: () => new MinKey(),
  $maxKey: () => new MaxKey(),
  $bson: (hex: string) => new RawValue(Uint8Array.from(Buffer.from(hex, "hex"))),
};

function formOf(value: JsonObject): string | undefined {
  const [name] = Object.keys(value);
  return name !== undefined && Object.hasOwn(FORMS, name) ? name : undefined;
}

function fromForm(form: string, whole: JsonObject): unknown {
  return FORMS[form]?.(whole[form] as never, whole);
}

/** What a neutral number is worth: exactly, whatever its type. */
function numberOf(value: Json): bigint | number | undefined {
  if (typeof value === "number") return exact(value);
  if (typeof value !== "object" || value === null || isList(value)) return undefined;
  const [name] = Object.keys(value);
  const text = name === undefined ? undefined : value[name];
  if (typeof text !== "string") return undefined;
  if (name === "$numberInt" || name === "$numberLong") return BigInt(text);
  return name === "$numberDouble" ? exact(Number(text)) : undefined;
}

function exact(number: number): bigint | number {
  return Number.isInteger(number) ? BigInt(number) : number;
}

function classToNeutral(value: object): JsonObject | undefined {
  if (value instanceof Date) return { $date: { $numberLong: String(value.getTime()) } };
  if (value instanceof DistantDate) return { $date: { $numberLong: String(value.milliseconds) } };
  if (value instanceof RawValue) return { $bson: Buffer.from(value.bytes).toString("hex") };
  if (value instanceof Uint8Array) return binary(value, 0);
  if (value instanceof UUID) return binary(value.buffer, 4);
  if (value instanceof Binary) return binary(value.value(), value.sub_type);
  if (value instanceof ObjectId) return { $oid: value.toHexString() };
  if (value instanceof Decimal128) return { $numberDecimal: value.toString() };
  if (value instanceof Double) return { $numberDouble: value.toString() };
  // Timestamp is a Long in the bson package.
  if (value instanceof Timestamp) return { $timestamp: { t: value.t, i: value.i } };
  if (value instanceof Long) return { $numberLong: value.toString() };
  if (value instanceof BSONRegExp) {
    return { $regularExpression: { pattern: value.pattern, options: value.options } };
  }
  if (value instanceof Code) return codeToNeutral(value);
  if (value instanceof MinKey) return { $minKey: 1 };
  return value instanceof MaxKey ? { $maxKey: 1 } : undefined;
}

function codeToNeutral({ code, scope }: Code): JsonObject {
  return { $code: code, ...(scope !== null && { $scope: objectToNeutral(scope) }) };
}

function binary(bytes: Uint8Array, subType: number): JsonObject {
  const base64 = Buffer.from(bytes).toString("base64");
  return { $binary: { base64, subType: subType.toString(16).padStart(2, "0") } };
}

function objectToNeutral(value: object): JsonObject {
  const entries = Object.entries(value).map(([name, member]) => [name, toNeutral(member)] as const);
  return Object.fromEntries(entries);
}
