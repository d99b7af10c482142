import { readFileSync } from "node:fs";
import {
  Binary,
  BSONRegExp,
  Code,
  Decimal128,
  Double,
  type ExecutionStoreService,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
  UUID,
} from "execution-store";
import { toNeutral } from "./neutral.js";
import type { Json } from "./scenario.js";

/** One value of values.json, which every client writes in its own types and reads from the others. */
export interface CrossValue {
  readonly name: string;
  /** What the table calls the stored type. */
  readonly stored: string;
  /** The stored document `{value: …}` in hex. */
  readonly bson: string;
  /** What every client must read, in the notation of the scenarios. */
  readonly value: Json;
  /** How it comes in the field `value`. */
  readonly json: Json;
  /** By client: what it stores instead, where its encoding has no such type. */
  readonly otherwise?: Readonly<Record<string, string>>;
}

/** By key: the language's type that was written there, or read from there. */
export type Written = Readonly<Record<string, string>>;
export type Read = Readonly<Record<string, { readonly type: string; readonly value: Json }>>;

export const CROSS_VALUES = JSON.parse(
  readFileSync(new URL("values.json", import.meta.url), "utf8"),
) as readonly CrossValue[];

const UUID_BYTES = Uint8Array.from({ length: 16 }, (_, index) => index);

/** By the names of values.json: what TypeScript has for each. The key of the second one ends in /1, and so on. */
const NATIVES: Readonly<Record<string, readonly unknown[]>> = {
  null: [null],
  boolean: [true],
  int32: [5, new Int32(5)],
  int64: [2 ** 40, 2n ** 40n, Long.fromNumber(2 ** 40)],
  "int64 beyond 2^53": [2n ** 63n - 1n],
  double: [0.5, new Double(0.5)],
  "whole double": [new Double(1)],
  NaN: [Number.NaN],
  string: ["a\0ß€😀"],
  date: [new Date("2030-01-02T03:04:05.678Z")],
  binary: [new Uint8Array([0, 255]), Buffer.from([0, 255]), new Binary(new Uint8Array([0, 255]))],
  uuid: [new UUID(UUID_BYTES)],
  array: [[1, "a", null]],
  object: [{ b: { a: true } }, new Map([["b", { a: true }]])],
  objectid: [new ObjectId("65f0c1d2e3a4b5c6d7e8f901")],
  decimal128: [Decimal128.fromString("0.10")],
  regex: [/^a/i, new BSONRegExp("^a", "i")],
  timestamp: [new Timestamp({ t: 1, i: 2 })],
  code: [new Code("f()")],
  minkey: [new MinKey()],
  maxkey: [new MaxKey()],
};

/** Writes what TypeScript has into a store. */
export async function writeNatives(service: ExecutionStoreService, storeName: string): Promise<Written> {
  const written: Record<string, string> = {};
  for (const [name, natives] of Object.entries(NATIVES)) {
    for (const [index, native] of natives.entries()) {
      const key = index === 0 ? name : `${name}/${index}`;
      await service.setKey(storeName, key, native);
      written[key] = typeName(native);
    }
  }
  return written;
}

/** Reads what a client wrote. */
export async function readNatives(service: ExecutionStoreService, storeName: string): Promise<Read> {
  const read: Record<string, { type: string; value: Json }> = {};
  for await (const { key, value } of service.listValues(storeName)) {
    read[key] = { type: typeName(value), value: toNeutral(value) };
  }
  return read;
}

function typeName(value: unknown): string {
  if (typeof value !== "object" || value === null) return value === null ? "null" : typeof value;
  const { name } = value.constructor;
  return name === "Object" || name === "Array" ? name.toLowerCase() : name;
}
