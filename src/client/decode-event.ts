import {
  KeyEvent_Type,
  type KeyEvent as WireEvent,
  type KeyDocument as WireKey,
} from "../../gen/ts/execution_store/v1/execution_store.js";
import type { Duration } from "../../gen/ts/google/protobuf/duration.js";
import { brokenAnswer, date, decodeDocument, decodeMetadata, present } from "./decode.js";
import type { KeyMetadata, ReadDocument, ValueEncoding } from "./documents.js";
import type { KeyEvent, KeyIdentity } from "./watch-events.js";

/** An event of a key; `resumeToken` if it is the last of a message that has one. */
export function decodeEvent<T, E extends ValueEncoding>(
  wire: WireEvent,
  encoding: E | undefined,
  resumeToken: string | undefined,
): KeyEvent<T, E> {
  const document = present(wire.document);
  const common = { ...identity(document), resumeToken };
  switch (wire.type) {
    case KeyEvent_Type.TYPE_EXISTING:
      return { type: "existing", ...common, document: decodeDocument<T, E>(document, encoding) };
    case KeyEvent_Type.TYPE_CREATED:
    case KeyEvent_Type.TYPE_UPDATED:
      return {
        type: wire.type === KeyEvent_Type.TYPE_CREATED ? "created" : "updated",
        ...common,
        document: decodeDocument<T, E>(document, encoding),
        lookedUp: wire.documentLookedUp,
        ...previous<T, E>(wire, encoding),
        commitTime: date(wire.commitTime),
      };
    case KeyEvent_Type.TYPE_DELETED:
    case KeyEvent_Type.TYPE_EXPIRED:
      return {
        type: wire.type === KeyEvent_Type.TYPE_DELETED ? "deleted" : "expired",
        ...common,
        ...previous<T, E>(wire, encoding),
        commitTime: date(wire.commitTime),
      };
    case KeyEvent_Type.TYPE_UNSPECIFIED:
  }
  throw brokenAnswer("holds an event of a type that this client does not know");
}

/** Milliseconds of a duration, rounded up. */
export function decodeMs(duration: Duration | undefined): number {
  if (duration === undefined) throw brokenAnswer("to a watch does not say its interval of progress");
  return Number(duration.seconds) * 1000 + Math.ceil(duration.nanos / 1e6);
}

function identity({ storeName, key, datasetId }: WireKey): KeyIdentity {
  return { storeName, key, datasetId: datasetId === "" ? undefined : datasetId };
}

function previous<T, E extends ValueEncoding>(
  wire: WireEvent,
  encoding: E | undefined,
): { previous: ReadDocument<T, E> | KeyMetadata | undefined; previousValueOmitted: boolean } {
  const omitted = wire.previousValueOmitted;
  if (wire.previous === undefined) return { previous: undefined, previousValueOmitted: omitted };
  return {
    previous: omitted ? decodeMetadata(wire.previous) : decodeDocument<T, E>(wire.previous, encoding),
    previousValueOmitted: omitted,
  };
}
