/**
 * A value that a parser refuses. The message continues a sentence that begins with where the value came from:
 * "--ttl" + ` "10" has no unit; expected …`.
 */
export class InvalidValue extends Error {
  override readonly name = "InvalidValue";
}
