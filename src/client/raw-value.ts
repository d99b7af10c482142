import { StoreError } from "../store/errors.js";

/**
 * A value as the bytes that are stored: a BSON document with the one field `value`. Reads with
 * `encoding: "raw"` give it, and every method that writes takes it, so that a value can be copied in all its
 * types without being decoded. The bytes are neither copied nor checked here; the server checks them.
 *
 * @example
 * const document = await service.getKey("results", "a", { encoding: "raw" });
 * if (document !== undefined) await service.setKey("archive", "a", document.value);
 */
export class RawValue {
  /** The BSON document `{value: …}`. */
  readonly bytes: Uint8Array;

  /** Throws StoreError VALUE_INVALID if `bytes` is not a Uint8Array. */
  constructor(bytes: Uint8Array) {
    if (!(bytes instanceof Uint8Array)) {
      throw new StoreError(
        "VALUE_INVALID",
        "a RawValue holds a Uint8Array with a BSON document of the one field `value`; encode it with the bson package",
      );
    }
    this.bytes = bytes;
  }
}
