import type { Document } from "mongodb";
import type { Change, ChangeEvent, EventDocument, Position } from "../../../store/changes.js";
import { historyLost } from "../../../store/errors.js";
import { keyDocumentOf, type Place, type RawDocument } from "../record.js";
import { judge, type Verdict } from "./judge.js";
import { positionOfPart } from "./position.js";
import type { RawEvent } from "./raw-event.js";

/** How changes are read from a change stream. */
export interface ChangeView {
  /** Options of the `$changeStream`. */
  readonly options: Document;
  /** The stages behind it. */
  readonly stages: readonly Document[];
  /** Whether it can read any part of the history, so that watches resume, and shows previous documents. */
  readonly hasImages: boolean;
  /**
   * The changes of one event: of none, one or two keys. Events are to be given in their order, each once.
   *
   * @throws StoreError HISTORY_LOST where they cannot be told
   */
  changesOf(event: RawEvent): readonly Change[];
}

/** The most bytes of a previous document that is shown with its value. */
const MAX_PREVIOUS_BYTES = 7 * 1024 * 1024;
/** The most bytes of both documents together: an event must not be larger than 16 MiB, and has other fields. */
const MAX_BOTH_BYTES = 16 * 1024 * 1024 - 128 * 1024;

const BEFORE = "$fullDocumentBeforeChange";
const AFTER = "$fullDocument";

/** Which fields changed is of no use here, and would be the new value once more. */
const WITHOUT_DELTA: Document = { $unset: "updateDescription" };

/** Without it, one large document that replaces another would end the stream for everybody (error 10334). */
const WITHOUT_LARGE_VALUES: readonly Document[] = [
  {
    $set: {
      valueOmitted: {
        $or: [
          { $gt: [{ $bsonSize: BEFORE }, MAX_PREVIOUS_BYTES] },
          {
            $gt: [{ $add: [{ $bsonSize: BEFORE }, { $ifNull: [{ $bsonSize: AFTER }, 0] }] }, MAX_BOTH_BYTES],
          },
        ],
      },
    },
  },
  {
    $set: {
      fullDocumentBeforeChange: {
        $cond: ["$valueOmitted", { $unsetField: { field: "value", input: BEFORE } }, BEFORE],
      },
    },
  },
];

/** Reads changes with the documents before and after them, which the database keeps. */
export const IMAGES_VIEW: ChangeView = {
  options: { fullDocument: "whenAvailable", fullDocumentBeforeChange: "whenAvailable" },
  stages: [WITHOUT_DELTA, ...WITHOUT_LARGE_VALUES],
  hasImages: true,
  changesOf(event) {
    const { type, before, after } = event;
    if (before === undefined && type !== "insert") throw imagesLost();
    if (after === undefined && type !== "delete") throw imagesLost();
    return toChanges(judge(event), event.position, {
      document: after,
      previous: before,
      valueOmitted: event.valueOmitted,
    });
  },
};

function imagesLost(): Error {
  return historyLost("MongoDB did not keep what the documents were before");
}

/** The documents of an event, as it shows them. */
export interface Shown {
  readonly document: RawDocument | undefined;
  readonly previous: RawDocument | undefined;
  /** Whether the previous document's value is not to be had. */
  readonly valueOmitted?: boolean;
  /** Whether `document` was read after the change. */
  readonly lookedUp?: boolean;
}

/** Changes as watchers see them. */
export function toChanges(verdicts: readonly Verdict[], position: Position, shown: Shown): readonly Change[] {
  return verdicts.map(({ place, types, commitTime }, index) => ({
    datasetId: place.datasetId,
    storeName: place.storeName,
    key: place.key,
    position: verdicts.length === 1 ? position : positionOfPart(position, index === 0 ? 1 : 2),
    events: types.map((type): ChangeEvent => {
      const hasDocument = type === "created" || type === "updated";
      return {
        type,
        commitTime,
        document: hasDocument ? shownAt(place, shown.document, false) : undefined,
        previous:
          type === "created" ? undefined : shownAt(place, shown.previous, shown.valueOmitted === true),
        ...(hasDocument && shown.lookedUp === true && { lookedUp: true }),
      };
    }),
  }));
}

function shownAt(
  place: Place,
  raw: RawDocument | undefined,
  valueOmitted: boolean,
): EventDocument | undefined {
  return raw && { read: (withValue) => keyDocumentOf(raw, place, withValue && !valueOmitted) };
}
