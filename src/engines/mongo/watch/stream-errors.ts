import { MongoError } from "mongodb";
import { historyLost, isStoreError, StoreError } from "../../../store/errors.js";
import { CODES, databaseUnreachable, isTransient, serverCode, translate } from "../errors.js";

/** The place is not in the oplog: it was forgotten, or it is of another deployment. */
const LOST: ReadonlySet<number> = new Set([9, 260, 280, 286]);
/** An event is larger than MongoDB sends. */
const EVENT_TOO_LARGE = 10_334;
/** Change streams are of replica sets only. */
const NO_CHANGE_STREAMS = 40_573;

/** What a change stream's error means to its readers; undefined if the stream may go on when it is opened again. */
export function endOf(error: unknown): StoreError | undefined {
  if (isStoreError(error)) return error;
  const code = serverCode(error) ?? 0;
  if (LOST.has(code)) return historyLost("MongoDB's oplog does not reach back to it, or does not know it");
  if (code === EVENT_TOO_LARGE) return historyLost("one of them is larger than MongoDB can tell");
  if (code === NO_CHANGE_STREAMS) return replicaSetRequired();
  if (code === CODES.unauthorized) return watchRefused(error);
  const mayGoOn =
    isTransient(error) || (error instanceof MongoError && error.hasErrorLabel("ResumableChangeStreamError"));
  return mayGoOn ? undefined : translate(error, "read");
}

/** The same of an error of opening a stream behind a place: what the server does not understand then is the place. */
export function endOfOpening(error: unknown): StoreError | undefined {
  const end = endOf(error);
  const isPlace = end?.reason === "INTERNAL" && serverCode(error) !== undefined;
  return isPlace ? historyLost("MongoDB does not know the place") : end;
}

/** An error for those whose stream stays lost. */
export function streamLost(error: unknown): StoreError {
  return databaseUnreachable("read", "NOT_APPLIED", translate(error, "read").cause);
}

/** An error for those who watch a standalone. */
export function replicaSetRequired(): StoreError {
  return new StoreError(
    "REPLICA_SET_REQUIRED",
    "keys cannot be watched, since the server's MongoDB is a standalone; its operator may restart it with --replSet rs0 and run rs.initiate() once, which makes it a replica set of one member",
  );
}

/** An error for those who want previous documents where MongoDB does not keep them. */
export function previousUnavailable(): StoreError {
  return new StoreError(
    "PREVIOUS_UNAVAILABLE",
    "previous documents are not to be had, since the server's MongoDB keeps no pre- and post-images of this collection; watch without include_previous, or have the operator switch them on",
  );
}

/** An error for those who come where the user's rights do not reach. */
export function watchRefused(cause: unknown): StoreError {
  const { cause: logged } = translate(cause, "read");
  return new StoreError(
    "DATABASE_PERMISSION_DENIED",
    "the server's user may not watch its MongoDB; the operator may give it the role readWrite on the database, or a role with find, changeStream and listCollections",
    { cause: logged },
  );
}
