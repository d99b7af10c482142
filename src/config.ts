import { parseAddress } from "./config/address.js";
import { ConfigError } from "./config/config-error.js";
import { readConfigFile } from "./config/config-file.js";
import { InvalidValue } from "./config/invalid-value.js";
import {
  oneOf,
  optional,
  resolveOptions,
  type Sources,
  several,
  single,
  toggle,
  type Values,
  variableOf,
} from "./config/options.js";
import { quote } from "./config/quote.js";
import { parseStoreUri } from "./config/store-uri.js";
import { parseDuration, parseSize } from "./config/units.js";
import { DEFAULT_ADDRESS, DEFAULT_COLLECTION } from "./store/limits.js";

const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
const WAIT = { least: "0s", most: "1h" };
const STORE_WAIT = { least: "1s", most: "30d" };
const HISTORY_TIME = { least: "1s", most: "365d" };
const WATCH_PROGRESS = { least: "200ms", most: "1h" };
const WATCH_STALL = { least: "100ms", most: "1h" };
const WATCH_SIZE = { least: "1MB", most: "1TB" };
const HISTORY_SIZE = { least: "1MB", most: "1TB" };

/** Every option of `serve`: flags, environment, config file, help texts and validation all come from here. */
export const SERVE_OPTIONS = {
  store: single({
    name: "store",
    placeholder: "URI",
    help: "Where documents are kept: lmdb:PATH, a directory that one server owns at a time and that is created if missing; or mongodb://HOST:PORT/DATABASE or mongodb+srv://…, a MongoDB 6.0 or newer.",
    fallback: "lmdb:./execution-store.lmdb",
    parse: parseStoreUri,
  }),
  storeWaitMs: single({
    name: "store-wait",
    placeholder: "TIME",
    help: "How long to wait at the start for a MongoDB that cannot be reached, before the server exits; 1s to 30d, or forever.",
    fallback: "60s",
    parse: (text) => (text === "forever" ? undefined : parseDuration(text, STORE_WAIT)),
  }),
  listen: several({
    name: "listen",
    placeholder: "ADDRESS",
    help: "Where to listen: HOST:PORT (port 0 takes a free one) or unix:PATH. For several addresses repeat it, or put commas between them.",
    fallback: [DEFAULT_ADDRESS],
    parse: parseAddress,
  }),
  allowRemote: toggle({
    name: "allow-remote",
    help: "Allow addresses that other machines can reach. There is no access control: whoever reaches the server may read, change and delete everything.",
  }),
  collections: several({
    name: "collections",
    placeholder: "NAMES",
    help: `Names that requests may give as collection_name besides ${DEFAULT_COLLECTION}, with commas between them.`,
    fallback: [],
    parse: parseCollection,
  }),
  historyTimeMs: single({
    name: "history-time",
    placeholder: "TIME",
    help: "LMDB: how long changes are kept, so that an interrupted watch can resume; 1s to 365d. MongoDB keeps them as long as its oplog reaches back.",
    fallback: "1h",
    parse: (text) => parseDuration(text, HISTORY_TIME),
  }),
  historyBytes: single({
    name: "history-size",
    placeholder: "SIZE",
    help: "LMDB: how much disk the kept changes may take, whatever their age; 1MB to 1TB.",
    fallback: "256MB",
    parse: (text) => parseSize(text, HISTORY_SIZE),
  }),
  watchProgressMs: single({
    name: "watch-progress",
    placeholder: "TIME",
    help: "The shortest interval at which a watch may ask for progress messages; 200ms to 1h.",
    fallback: "1s",
    parse: (text) => parseDuration(text, WATCH_PROGRESS),
  }),
  watchStallMs: single({
    name: "watch-stall",
    placeholder: "TIME",
    help: "How long a watch may leave a message unread before it is ended as too slow; 100ms to 1h.",
    fallback: "30s",
    parse: (text) => parseDuration(text, WATCH_STALL),
  }),
  watchBytes: single({
    name: "watch-memory",
    placeholder: "SIZE",
    help: "How many bytes of events may wait in memory for the watches of a collection; what is beyond is read again later, from history; 1MB to 1TB.",
    fallback: "256MB",
    parse: (text) => parseSize(text, WATCH_SIZE),
  }),
  mongodbImages: single({
    name: "mongodb-images",
    placeholder: "WHEN",
    help: "MongoDB: auto switches pre- and post-images of a collection on with its first watch, which costs every write something; off leaves the collection as it is, and watches then tell less.",
    fallback: "auto",
    parse: oneOf(["auto", "off"] as const),
  }),
  drainDelayMs: single({
    name: "drain-delay",
    placeholder: "TIME",
    help: "On SIGTERM or SIGINT: how long to report NOT_SERVING and still answer, so that load balancers turn away.",
    fallback: "0s",
    parse: (text) => parseDuration(text, WAIT),
  }),
  shutdownGraceMs: single({
    name: "shutdown-grace",
    placeholder: "TIME",
    help: "After that: how long calls in flight may take before they are cut off.",
    fallback: "10s",
    parse: (text) => parseDuration(text, WAIT),
  }),
  logLevel: single({
    name: "log-level",
    placeholder: "LEVEL",
    help: `The least important lines to log: ${LOG_LEVELS.join(", ")}. The log is JSON lines on stderr.`,
    fallback: "info",
    parse: oneOf(LOG_LEVELS),
  }),
  configFile: optional({
    name: "config",
    placeholder: "FILE",
    help: "A YAML or JSON file with these options by name, without the dashes before it.",
    parse: (text) => text,
  }),
};

/** The configuration of a server. */
export type ServeConfig = Values<typeof SERVE_OPTIONS>;

/** Reads and checks the configuration of `serve`. Throws ConfigError. */
export async function loadServeConfig(sources: Omit<Sources, "file">): Promise<ServeConfig> {
  const path = resolveOptions({ configFile: SERVE_OPTIONS.configFile }, sources).values.configFile;
  const file = path === undefined ? undefined : await readConfigFile(path, SERVE_OPTIONS);
  const { values, origins } = resolveOptions(SERVE_OPTIONS, { ...sources, file });
  checkListen(values, origins.listen);
  return values;
}

function checkListen({ listen, allowRemote }: ServeConfig, origin: string): void {
  if (listen.length === 0) {
    throw new ConfigError(`${origin} names no address; expected at least one, such as ${DEFAULT_ADDRESS}`);
  }
  const texts = listen.map(({ text }) => text);
  const repeated = texts.find((text, index) => !text.endsWith(":0") && texts.indexOf(text) !== index);
  if (repeated !== undefined) {
    throw new ConfigError(`${origin} names ${repeated} twice; expected each address once`);
  }
  const remote = listen.find(({ local }) => !local);
  if (remote !== undefined && !allowRemote) {
    throw new ConfigError(
      `${origin} names ${remote.text}, which other machines may reach, and there is no access control; ` +
        `expected a loopback address such as 127.0.0.1, or --allow-remote ` +
        `(${variableOf(SERVE_OPTIONS.allowRemote)}=true) if only trusted callers can reach it`,
    );
  }
}

function parseCollection(text: string): string {
  // What MongoDB takes as a collection's name, so that a configuration serves every engine.
  if (/^[^$\0]{1,120}$/.test(text) && Buffer.byteLength(text) <= 120 && !text.startsWith("system."))
    return text;
  throw new InvalidValue(
    `${quote(text)} cannot name a collection; expected 1 to 120 bytes of UTF-8 without "$" and NUL, not starting with "system."`,
  );
}
