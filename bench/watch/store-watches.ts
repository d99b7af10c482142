import { ValueEncoding, WatchKeysRequest } from "../../gen/ts/execution_store/v1/execution_store.js";
import { methodPath } from "../bench-client.js";
import type { Child } from "../children.js";
import { DATASET_ID, setKeyMessage } from "../sample-requests.js";
import { STAMPED_VALUE, stampable } from "./stamp.js";
import type { WatchedServer } from "./watched-server.js";

/** The path of WatchKeys. */
export const WATCH_PATH = methodPath("WatchKeys");

/** An encoded WatchKeysRequest of the context of all samples; values as BSON unless said otherwise. */
export function watchKeysMessage(fields: Partial<WatchKeysRequest>): Buffer {
  const request = WatchKeysRequest.fromPartial({
    datasetId: DATASET_ID,
    encoding: ValueEncoding.VALUE_ENCODING_BSON,
    ...fields,
  });
  return Buffer.from(WatchKeysRequest.encode(request).finish());
}

/** How the measured server is watched. */
export function storeWatches(name: string, { pid, port }: Child): WatchedServer {
  return {
    name,
    pid,
    port,
    watch: {
      path: WATCH_PATH,
      ends: true,
      message: ({ store, key }) => watchKeysMessage({ storeName: store, ...(key !== undefined && { key }) }),
    },
    write: {
      path: methodPath("SetKey"),
      message: ({ store, key }) => stampable(setKeyMessage(store, key, STAMPED_VALUE, "bson")),
    },
  };
}
