import { invalidField } from "../store/errors.js";

/**
 * Refuses what is no list: a string is one of its characters, a plain object or nothing at all one without items,
 * and so each would quietly do something else than was meant. Throws CLIENT_OPTION_INVALID.
 *
 * @param expected what a list would hold, for the message
 */
export function checkIterable<T>(items: Iterable<T>, field: string, expected: string): Iterable<T> {
  // Callers without types may give anything.
  const given: unknown = items;
  if (typeof given === "object" && given !== null && Symbol.iterator in given) return items;
  throw invalidField(
    "CLIENT_OPTION_INVALID",
    field,
    `is not a list; expected an array, a Set or another iterable of ${expected}`,
  );
}
