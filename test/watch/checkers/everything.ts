import type { WatchRequest } from "./history.js";

/** What the reference asks for: everything. */
export const EVERYTHING: WatchRequest = {
  datasetId: "",
  allContexts: true,
  storeName: "",
  key: undefined,
  keyPrefix: "",
  snapshot: false,
  resumeToken: "",
  types: [],
  encoding: "bson",
  includePrevious: true,
};
