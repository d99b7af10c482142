import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { InvalidValue } from "./invalid-value.js";
import { quote } from "./quote.js";

/** Where documents are kept. */
export interface StoreLocation {
  readonly engine: "lmdb";
  /** Absolute path of the database's directory. */
  readonly path: string;
}

const HINT = "expected lmdb:PATH, such as lmdb:/var/lib/execution-store";

/**
 * Reads `lmdb:PATH`, the path taken from the working directory, or from the home directory after `~/`. Throws
 * InvalidValue, whose message never repeats a URI that may hold a password.
 */
export function parseStoreUri(text: string): StoreLocation {
  if (/^mongodb(\+srv)?:/i.test(text)) {
    throw new InvalidValue(`names a MongoDB, which this version cannot serve; ${HINT}`);
  }
  const path = /^lmdb:(.*)$/s.exec(text)?.[1];
  if (path === undefined) {
    throw new InvalidValue(`${quote(text)} names no engine; ${HINT}`);
  }
  if (path === "" || /^(?:[a-z][a-z0-9+.-]*:)?\/\//i.test(path) || path.includes("\0")) {
    throw new InvalidValue(`${quote(text)} has no path after "lmdb:"; ${HINT}`);
  }
  return { engine: "lmdb", path: path.startsWith("~/") ? join(homedir(), path.slice(2)) : resolve(path) };
}
