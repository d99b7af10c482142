/**
 * The text with the user and password of every URI in it replaced by `***`. A password may hold any character but
 * white space, so all up to the last "@" counts as one.
 */
export function maskUri(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*:\/\/)\S*@/gi, "$1***@");
}
