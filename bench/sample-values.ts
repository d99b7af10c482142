import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { serialize } from "bson";

/** What JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** One value, and in both forms that a request may have. */
export interface SampleValue {
  readonly json: Json;
  /** A BSON document with the one field `value`. */
  readonly bson: Buffer;
  /** An encoded google.protobuf.Value. */
  readonly wire: Buffer;
}

function writeValue(writer: BinaryWriter, value: Json): BinaryWriter {
  if (value === null) return writer.uint32(8).int32(0);
  if (typeof value === "number") return writer.uint32(17).double(value);
  if (typeof value === "string") return writer.uint32(26).string(value);
  if (typeof value === "boolean") return writer.uint32(32).bool(value);
  if (Array.isArray(value)) {
    writer.uint32(50).fork();
    for (const item of value as readonly Json[]) writeValue(writer.uint32(10).fork(), item).join();
    return writer.join();
  }
  writer.uint32(42).fork();
  for (const [name, item] of Object.entries(value)) {
    writer.uint32(10).fork().uint32(10).string(name);
    writeValue(writer.uint32(18).fork(), item).join().join();
  }
  return writer.join();
}

/** A value in all its forms. */
export function sampleValue(value: Json): SampleValue {
  return {
    json: value,
    bson: Buffer.from(serialize({ value })),
    wire: Buffer.from(writeValue(new BinaryWriter(), value).finish()),
  };
}

function detection(index: number): Json {
  return {
    label: `class-${index % 80}`,
    confidence: (index % 1000) / 1001,
    box: [0.125, 0.25, (index % 7) / 7, 0.5],
    tags: ["validation", "reviewed"],
    index,
  };
}

/** What an operator keeps for one sample: 250 bytes of BSON, give or take five. */
export function smallValue(index: number): SampleValue {
  return sampleValue({
    status: "done",
    progress: 1,
    sha256: index.toString(16).padStart(64, "0"),
    mean: [0.485, 0.456, (index % 1000) / 1001],
    model: "detector-v2",
    path: "/data/images/0001.jpg",
    attempts: 1,
    error: null,
  });
}

/** What an operator keeps for a data set: detections, 0.9 MB of BSON, give or take a hundredth. */
export function largeValue(index: number): SampleValue {
  const some = Array.from({ length: 1000 }, (_, at) => detection(at));
  const count = Math.floor((1000 * 900_000) / serialize({ value: some }).length);
  return sampleValue(Array.from({ length: count }, (_, at) => detection(1000 * index + at)));
}
