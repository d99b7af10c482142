import type { ExecutionStoreService, KeyEventType, ValueEncoding, Watch, WatchEvent } from "execution-store";
import { encoding, keyDocument } from "./calls.js";
import type { JsonObject } from "./scenario.js";

/** A watch of a scenario, in whatever encoding. */
export type ScenarioWatch = Watch<unknown, ValueEncoding>;

const PATIENCE_MS = 20_000;

/** Opens a watch; nothing is sent before the first event is asked for. */
export function openWatch(service: ExecutionStoreService, args: JsonObject): ScenarioWatch {
  return service.watchKeys({
    ...("store_name" in args && { storeName: args["store_name"] as string }),
    ...("all_contexts" in args && { allContexts: args["all_contexts"] as boolean }),
    ...("key" in args && { key: args["key"] as string }),
    ...("key_prefix" in args && { keyPrefix: args["key_prefix"] as string }),
    ...("snapshot" in args && { snapshot: args["snapshot"] as boolean }),
    ...("resume_token" in args && { resumeToken: args["resume_token"] as string }),
    ...("event_types" in args && { types: args["event_types"] as KeyEventType[] }),
    ...("include_previous" in args && { includePrevious: args["include_previous"] as boolean }),
    ...encoding(args),
  });
}

/** The next event but progress. Throws after a while in which there was none. */
export async function nextEvent(watch: ScenarioWatch): Promise<JsonObject> {
  for (;;) {
    const timer = setTimeout(() => watch.close(), PATIENCE_MS);
    const { value, done } = await watch.next().finally(() => clearTimeout(timer));
    if (done === true || value === undefined) throw new Error(`no event came in ${PATIENCE_MS} ms`);
    if (value.type !== "progress") return neutralEvent(value);
  }
}

function neutralEvent(event: WatchEvent<unknown, ValueEncoding>): JsonObject {
  const token = { resume_token: event.resumeToken ?? null };
  if (event.type === "snapshotComplete") return { type: "snapshot_complete", ...token };
  if (!("key" in event)) return { type: event.type, ...token };
  return {
    type: event.type,
    ...token,
    store_name: event.storeName,
    key: event.key,
    dataset_id: event.datasetId ?? null,
    document: "document" in event ? keyDocument(event.document) : null,
    ...("commitTime" in event && {
      commit_time: event.commitTime.getTime(),
      previous: event.previous === undefined ? null : keyDocument(event.previous),
      previous_value_omitted: event.previousValueOmitted,
    }),
  };
}
