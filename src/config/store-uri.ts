import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { DEFAULT_DATABASE } from "../store/limits.js";
import { InvalidValue } from "./invalid-value.js";
import { quote } from "./quote.js";

/** A directory of the embedded database. */
export interface LmdbLocation {
  readonly engine: "lmdb";
  /** Absolute path of the database's directory. */
  readonly path: string;
}

/** A database of a MongoDB. */
export interface MongodbLocation {
  readonly engine: "mongodb";
  /** As it was given, user and password included: nothing to be shown. */
  readonly uri: string;
  readonly database: string;
  /** Hosts and database, for people. */
  readonly shown: string;
}

/** Where documents are kept. */
export type StoreLocation = LmdbLocation | MongodbLocation;

const LMDB_HINT = "expected lmdb:PATH, such as lmdb:/var/lib/execution-store";
const MONGODB_HINT = "mongodb://HOST:PORT/DATABASE";
const HINT = `${LMDB_HINT}, or ${MONGODB_HINT}`;

/** What MongoDB keeps for itself. */
const OWN_DATABASES = ["admin", "config", "local"];
const MAX_DATABASE_BYTES = 63;

/** A location as messages and logs name it, without any secret. */
export function shownStore(location: StoreLocation): string {
  return location.engine === "lmdb" ? `lmdb:${location.path}` : location.shown;
}

/**
 * Reads `lmdb:PATH`, the path taken from the working directory, or from the home directory after `~/`; or
 * `mongodb://…` or `mongodb+srv://…`, whose path names the database. Throws InvalidValue, whose message never repeats
 * a URI that may hold a password.
 */
export function parseStoreUri(text: string): StoreLocation {
  const [, scheme, rest] = /^(mongodb(?:\+srv)?):(.*)$/is.exec(text) ?? [];
  if (scheme !== undefined && rest !== undefined) return mongodbLocation(scheme.toLowerCase(), rest);
  const path = /^lmdb:(.*)$/s.exec(text)?.[1];
  if (path === undefined) {
    throw new InvalidValue(`${quote(text)} names no engine; ${HINT}`);
  }
  if (path === "" || /^(?:[a-z][a-z0-9+.-]*:)?\/\//i.test(path) || path.includes("\0")) {
    throw new InvalidValue(`${quote(text)} has no path after "lmdb:"; ${LMDB_HINT}`);
  }
  return { engine: "lmdb", path: path.startsWith("~/") ? join(homedir(), path.slice(2)) : resolve(path) };
}

/** The rest, such as the options, is the driver's to check. */
function mongodbLocation(scheme: string, rest: string): MongodbLocation {
  if (!rest.startsWith("//")) {
    throw new InvalidValue(`has no "//" after "${scheme}:"; expected ${MONGODB_HINT}`);
  }
  // A password may hold anything by mistake, so all up to the last "@" may be part of one.
  const [, credentials, place = ""] = /^\/\/(?:(.*)@)?(.*)$/s.exec(rest) ?? [];
  if (credentials !== undefined && /[/?#@\s]/.test(credentials)) {
    throw new InvalidValue(
      'has an "@" after a "/", "?", "#" or "@", or a space before it; percent-encode what is part of user, password or options: "@" is %40, "/" is %2F, "?" is %3F, "#" is %23',
    );
  }
  const [, hosts, path = ""] = /^([^/?]+)(?:\/([^?]*))?(?:\?.*)?$/s.exec(place) ?? [];
  if (hosts === undefined) {
    throw new InvalidValue(`names no host of its MongoDB; expected ${MONGODB_HINT}`);
  }
  const database = path === "" ? DEFAULT_DATABASE : checkDatabase(path);
  const user = credentials === undefined ? "" : "***@";
  return {
    engine: "mongodb",
    uri: `${scheme}:${rest}`,
    database,
    shown: `${scheme}://${user}${hosts}/${database}`,
  };
}

function checkDatabase(path: string): string {
  const name = decoded(path);
  if (name === undefined || Buffer.byteLength(name) > MAX_DATABASE_BYTES || /[/\\. "$\0]/.test(name)) {
    throw new InvalidValue(
      `names the database ${JSON.stringify(name ?? path)}, which cannot be; expected 1 to ${MAX_DATABASE_BYTES} bytes without any of / \\ . " $ and space`,
    );
  }
  if (OWN_DATABASES.includes(name)) {
    throw new InvalidValue(
      `names the database ${name}, which is MongoDB's own; name another, and add authSource=${name} if the user belongs there`,
    );
  }
  return name;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
