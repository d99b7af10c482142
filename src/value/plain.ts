import { StoreError } from "../store/errors.js";
import { MAX_BSON_LEVELS, MAX_JSON_LEVELS, MAX_METADATA_BYTES, MAX_VALUE_BYTES } from "../store/limits.js";
import { BsonWriter } from "./bson-writer.js";
import { PlainReader } from "./plain-reader.js";
import { PlainWriter } from "./plain-writer.js";
import { tooLarge } from "./value-error.js";

/**
 * Writes a JavaScript value as a document `{value: …}`.
 *
 * Taken are null, booleans, strings, numbers (whole ones up to 2^53 as int32 or int64, -0 and all others as
 * doubles), bigints (int64), valid Dates, DistantDate, Uint8Array and Buffer (binary, subtype 0), RegExp with the
 * flags i, m and s, the classes of the `bson` package, arrays (undefined elements become null), plain objects and
 * Maps with string keys (undefined members are left out). Anything else is refused rather than changed.
 *
 * @param field what the error calls the value
 * @throws StoreError VALUE_INVALID with the place, VALUE_TOO_DEEP beyond 100 levels, VALUE_TOO_LARGE beyond 15 MiB
 */
export function toValueBson(value: unknown, field = "value"): Uint8Array {
  return write(new BsonWriter(MAX_VALUE_BYTES, () => tooLarge(field)), (out) => {
    const writer = new PlainWriter(out, {
      field,
      invalid: "VALUE_INVALID",
      tooDeep: "VALUE_TOO_DEEP",
      maxLevels: MAX_BSON_LEVELS,
    });
    writer.valueDocument(value);
  });
}

/**
 * Reads a document `{value: …}`. int32 and double come as number; int64 as number up to 2^53, else as bigint; dates
 * as Date or, beyond its range, DistantDate; binary of subtype 0 as Uint8Array, of subtype 4 as UUID, of others as
 * Binary; objects as plain objects, `__proto__` included; the remaining types as the classes of the `bson` package.
 * The deprecated undefined comes as null and a DBPointer as DBRef. Of a field name that another writer left twice,
 * the last counts. Nothing in the result shares memory with `bytes`.
 *
 * @throws StoreError INTERNAL if the document is not well-formed
 */
export function fromValueBson(bytes: Uint8Array): unknown {
  return new PlainReader(bytes).valueDocument();
}

/**
 * Writes a store's metadata, by the rules of toValueBson, as a BSON document. As it travels as JSON, it may nest 30
 * levels, itself included.
 *
 * @throws StoreError METADATA_INVALID with the place, METADATA_TOO_LARGE beyond 1 MiB
 */
export function toDocumentBson(metadata: Readonly<Record<string, unknown>>, field = "metadata"): Uint8Array {
  const metadataTooLarge = (): StoreError =>
    new StoreError(
      "METADATA_TOO_LARGE",
      `${field} is larger than the ${MAX_METADATA_BYTES} bytes (1 MiB) that it may take as BSON; keep the rest under a key`,
    );
  return write(new BsonWriter(MAX_METADATA_BYTES, metadataTooLarge), (out) => {
    const writer = new PlainWriter(out, {
      field,
      invalid: "METADATA_INVALID",
      tooDeep: "METADATA_INVALID",
      maxLevels: MAX_JSON_LEVELS,
    });
    writer.document(metadata);
  });
}

/** Reads a BSON document as a plain object, by the rules of fromValueBson. */
export function fromDocumentBson(bytes: Uint8Array): Record<string, unknown> {
  return new PlainReader(bytes).document();
}

function write(out: BsonWriter, run: (out: BsonWriter) => void): Uint8Array {
  try {
    run(out);
    return out.take();
  } finally {
    out.drop();
  }
}
