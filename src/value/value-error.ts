import { invalidField, type Reason, StoreError } from "../store/errors.js";
import { MAX_BSON_LEVELS, MAX_VALUE_BYTES } from "../store/limits.js";
import { type PathPart, pathText } from "./value-path.js";

/** An error about a place inside a value: `value is invalid at items[2].id: an $oid needs 24 hex digits`. */
export function invalidAt(
  reason: Reason,
  field: string,
  path: readonly PathPart[],
  problem: string,
): StoreError {
  const place = path.length === 0 ? "" : ` at ${pathText(path)}`;
  return invalidField(reason, field, `is invalid${place}: ${problem}`);
}

/** A value that nests deeper than `max` objects and arrays. */
export function tooDeep(reason: Reason, field: string, max: number, path: readonly PathPart[]): StoreError {
  const advice =
    reason === "VALUE_TOO_DEEP" && max < MAX_BSON_LEVELS
      ? `flatten it, or send it as BSON, which may nest ${MAX_BSON_LEVELS} levels`
      : "flatten it";
  return invalidField(
    reason,
    field,
    `nests deeper than ${max} levels of objects and arrays at ${pathText(path)}; ${advice}`,
  );
}

/** A value over the limit; `bytes` where its size is known. */
export function tooLarge(field: string, bytes?: number): StoreError {
  const size = bytes === undefined ? "is larger" : `is ${bytes} bytes of BSON, larger`;
  return new StoreError(
    "VALUE_TOO_LARGE",
    `${field} ${size} than the ${MAX_VALUE_BYTES} bytes (15 MiB) that a value may take as BSON; split it over several keys, or keep it elsewhere and store where`,
  );
}
