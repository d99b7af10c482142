import type { OpenArchive } from "./cli/copy.js";
import { ARGUMENT_OF, copyProblem, openingProblem, type Role } from "./cli/copy-problem.js";
import { ConfigError } from "./config/config-error.js";
import type { LmdbLocation, MongodbLocation, StoreLocation } from "./config/store-uri.js";
import type { LmdbEngineOptions } from "./engines/lmdb/engine.js";
import { openProblem } from "./open-problem.js";
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

/** An engine whose documents can be copied. */
interface Opened {
  readonly archive: Archive;
  close(): Promise<void>;
}

/**
 * Opens the engine of a store for copying from it or to it. Its errors are sentences that name it.
 *
 * @param say hears what the engine has to tell
 * @param signal ends the attempt to connect
 */
export async function openArchive(
  location: StoreLocation,
  role: Role,
  collections: readonly string[],
  say: (message: string) => void,
  signal: AbortSignal,
): Promise<OpenArchive> {
  const engine =
    location.engine === "lmdb"
      ? await openLmdb(location, role, collections)
      : await openMongo(location, role, collections, say, signal);
  return {
    archive: inWords(engine.archive, role, location),
    [Symbol.asyncDispose]: () => engine.close(),
  };
}

async function openLmdb(location: LmdbLocation, role: Role, collections: readonly string[]): Promise<Opened> {
  const { openLmdbEngine } = await import("./engines/lmdb/engine.js");
  const own = role === "source" ? SOURCE : {};
  try {
    return await openLmdbEngine({ path: location.path, collections, ...own });
  } catch (error) {
    throw new Error(openProblem(location, error, ARGUMENT_OF[role]), { cause: error });
  }
}

async function openMongo(
  { uri }: MongodbLocation,
  role: Role,
  collections: readonly string[],
  say: (message: string) => void,
  signal: AbortSignal,
): Promise<Opened> {
  const { openMongoArchive } = await import("./engines/mongo/open-archive.js");
  const onEvent = (event: { readonly message: string; readonly level?: string }): void => {
    if (event.level === "warn" || event.level === "error") say(`the ${role}: ${event.message}`);
  };
  const write = role === "target";
  try {
    return await openMongoArchive({ uri, collections, write, onEvent, timeoutMs: CONNECT_MS, signal });
  } catch (error) {
    if (signal.aborted || !isStoreError(error)) throw error;
    if (error.reason !== "DATABASE_URI_INVALID") throw openingProblem(error, role);
    throw new ConfigError(`${ARGUMENT_OF[role]} ${error.message}`);
  }
}

/** The same documents, with errors in the words of a copy. */
function inWords(archive: Archive, role: Role, location: StoreLocation): Archive {
  const rethrow = (error: unknown): never => {
    throw isStoreError(error) ? copyProblem(error, role, location) : error;
  };
  return {
    size: (...args) => archive.size(...args).catch(rethrow),
    write: (...args) => archive.write(...args).catch(rethrow),
    async *read(...args) {
      try {
        yield* archive.read(...args);
      } catch (error) {
        rethrow(error);
      }
    },
  };
}
