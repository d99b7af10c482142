import type { OpenArchive } from "./cli/copy.js";
import { ConfigError } from "./config/config-error.js";
import type { StoreLocation } from "./config/store-uri.js";
import type { LmdbEngineOptions } from "./engines/lmdb/engine.js";
import { isStoreError } from "./store/errors.js";
import type { Archive } from "./store/transfer.js";

/** How long a copy waits for a MongoDB, in ms. */
const CONNECT_MS = 10_000;
/** A source must be there, and its change log stays as it is. */
const SOURCE = {
  make: false,
  historyTimeMs: Number.POSITIVE_INFINITY,
  historyBytes: Number.POSITIVE_INFINITY,
} satisfies Partial<LmdbEngineOptions>;

/**
 * Opens the engine of a store for copying from it or to it.
 *
 * @param say hears what the engine has to tell
 * @param signal ends the attempt to connect
 */
export async function openArchive(
  location: StoreLocation,
  role: "source" | "target",
  collections: readonly string[],
  say: (message: string) => void,
  signal: AbortSignal,
): Promise<OpenArchive> {
  if (location.engine === "lmdb") {
    const { openLmdbEngine } = await import("./engines/lmdb/engine.js");
    const own = role === "source" ? SOURCE : {};
    return opened(await openLmdbEngine({ path: location.path, collections, ...own }));
  }
  const { openMongoArchive } = await import("./engines/mongo/open-archive.js");
  // That it is connected and lost needs no word: the copy goes on, or ends with an error.
  const onEvent = (event: { readonly message: string; readonly level?: string }): void => {
    if (event.level === "warn" || event.level === "error") say(`the ${role}: ${event.message}`);
  };
  try {
    const { uri } = location;
    const write = role === "target";
    return opened(
      await openMongoArchive({ uri, collections, write, onEvent, timeoutMs: CONNECT_MS, signal }),
    );
  } catch (error) {
    if (!isStoreError(error, "DATABASE_URI_INVALID")) throw error;
    throw new ConfigError(`${role.toUpperCase()}_URI ${error.message}`);
  }
}

function opened(engine: { readonly archive: Archive; close(): Promise<void> }): OpenArchive {
  return { archive: engine.archive, [Symbol.asyncDispose]: () => engine.close() };
}
