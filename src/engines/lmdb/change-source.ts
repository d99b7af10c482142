import type { ChangeBatch, ChangeSource, HistoryPoint } from "../../store/changes.js";
import { historyLost } from "../../store/errors.js";
import { positionOf, readLog, revisionBefore } from "./change-reader.js";
import { takeSnapshot } from "./change-snapshot.js";
import { type Collection, readState } from "./collection.js";
import { Turns } from "./snapshot.js";

/** See ChangeSource: over the change log of a collection. */
export function createChangeSource(collection: Collection): ChangeSource {
  const { environment, incarnation, name } = collection;
  return {
    async now(_needs, options) {
      options?.signal?.throwIfAborted();
      environment.closing.throwIfAborted();
      return { history: incarnation, position: positionOf(readState(environment.meta, name).revision) };
    },
    read: (after, _needs, signal) => readChanges(collection, after, signal),
    snapshot: (selector, withValues, options) =>
      takeSnapshot(collection, selector, withValues, options?.signal),
  };
}

async function* readChanges(
  collection: Collection,
  after: HistoryPoint,
  signal: AbortSignal,
): AsyncGenerator<ChangeBatch, void, undefined> {
  const { environment, commits } = collection;
  if (after.history !== collection.incarnation) throw historyLost("this place is of another history");
  let place = revisionBefore(after.position);
  if (place === undefined) throw historyLost("this place is none of the server's");
  const turns = new Turns(environment, signal);
  for (;;) {
    signal.throwIfAborted();
    environment.closing.throwIfAborted();
    const { changes, position, revision, more } = readLog(collection, place);
    if (revision === place) {
      await commits.next(signal, environment.closing);
      continue;
    }
    place = revision;
    yield { changes, position };
    // At the end of the history nobody waits for others; on the way there, every part waits for its turn.
    if (more) await turns.rest();
  }
}
