import type { Document } from "mongodb";
import type { ChangeType } from "../../../store/changes.js";
import type { Element } from "../bson-document.js";
import type { RawDocument } from "../record.js";
import { type DocumentMap, idText, updated } from "./document-map.js";
import { judge, type Verdict } from "./judge.js";
import type { RawEvent } from "./raw-event.js";
import { type ChangeView, toChanges } from "./view.js";

/** What an update may change of a document but its value. */
const NAMES = ["store_name", "key", "dataset_id", "created_at", "updated_at", "expires_at", "policy"];

/** An update tells the new value, too, and with the document both would be too large for one event. */
const WITHOUT_VALUE_DELTA: Document = {
  $set: {
    updateDescription: {
      $cond: [
        { $eq: ["$operationType", "update"] },
        {
          updatedFields: {
            $arrayToObject: {
              $filter: {
                input: { $objectToArray: "$updateDescription.updatedFields" },
                cond: { $in: ["$$this.k", NAMES] },
              },
            },
          },
          removedFields: "$updateDescription.removedFields",
        },
        "$$REMOVE",
      ],
    },
  },
};

/**
 * Reads changes without the images that MongoDB could keep: what a document was before is known from a map, which is
 * kept current, and what an update made of it is looked up. What has been deleted by then cannot be shown: its update is
 * not told, and a creation only when a later update finds the document, else neither that nor its end.
 *
 * @param map as of where the stream begins
 */
export function lookupView(map: DocumentMap): ChangeView {
  const untold = new UntoldDocuments();
  return {
    options: { fullDocument: "updateLookup" },
    stages: [WITHOUT_VALUE_DELTA],
    hasImages: false,
    changesOf(event) {
      const { id, type, wallTime } = event;
      if (id === undefined) throw new Error("a change of a document without an _id");
      const before = map.get(id);
      const after = afterOf(event, before);
      if (after === undefined) map.delete(id);
      else map.set(id, after);
      const told = untold.tell(judge({ before, after, wallTime }), id, event.after !== undefined);
      return toChanges(told, event.position, {
        document: event.after,
        previous: undefined,
        lookedUp: type === "update",
      });
    },
  };
}

function afterOf(
  { type, after, updateDescription }: RawEvent,
  before: RawDocument | undefined,
): RawDocument | undefined {
  if (type !== "update") return after;
  if (before === undefined || updateDescription === undefined) {
    throw new Error("an update of a document that was not there");
  }
  return updated(before, updateDescription);
}

/** Documents whose creation could not be shown. */
class UntoldDocuments {
  readonly #ids = new Set<string>();

  /** What can be told of verdicts about a document. */
  tell(verdicts: readonly Verdict[], document: Element, isShown: boolean): readonly Verdict[] {
    const id = idText(document);
    return verdicts.flatMap((verdict) => {
      const types = verdict.types.flatMap((each) => this.#tell(each, id, isShown));
      return types.length === 0 ? [] : [{ ...verdict, types }];
    });
  }

  #tell(type: ChangeType, id: string, isShown: boolean): ChangeType[] {
    if (type === "expired" || type === "deleted") return this.#ids.delete(id) ? [] : [type];
    if (isShown) return [this.#ids.delete(id) ? "created" : type];
    if (type === "created") this.#ids.add(id);
    return [];
  }
}
