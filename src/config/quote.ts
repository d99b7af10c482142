/** What a user gave, as a JSON string for messages, without the user and password of a URI in it. */
export function quote(text: string): string {
  // One value is one URI at most, so that even a password with white space is told from what follows.
  const masked = text.replace(/([a-z][a-z0-9+.-]*:\/\/).*@/is, "$1***@");
  // The scheme may be what was forgotten.
  return JSON.stringify(masked === text ? text.replace(/^[^@]*:.*@/s, "***@") : masked);
}
