/** What moves the cursor, colours or reorders text on a terminal, or breaks a line: not printed as it is. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

/**
 * A name for people and for scripts that read lines: as it is, or as a JSON string if it holds control characters
 * or could be taken for a JSON string. No two names are printed alike.
 */
export function printName(name: string): string {
  return UNPRINTABLE.test(name) || name.startsWith('"') || name === "" ? printJsonString(name) : name;
}

/** A JSON string whose unprintable characters are all escaped. */
export function printJsonString(text: string): string {
  return escapeJson(JSON.stringify(text));
}

/** JSON text with the same meaning whose unprintable characters are all escaped. */
export function escapeJson(json: string): string {
  if (!UNPRINTABLE.test(json.replaceAll("\n", ""))) return json;
  return json.replace(
    /[\u007f-\u009f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
