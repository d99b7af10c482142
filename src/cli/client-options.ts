import { parseAddress } from "../client/address.js";
import { InvalidValue } from "../config/invalid-value.js";
import { optional, single } from "../config/options.js";
import { parseDuration } from "../config/units.js";
import { isStoreError } from "../store/errors.js";
import { DEFAULT_ADDRESS, DEFAULT_COLLECTION } from "../store/limits.js";
import { checkDatasetId } from "../store/names.js";

const TIMEOUT = { least: "1ms", most: "1h" };

/** The options that every client command has. */
export const CLIENT_OPTIONS = {
  address: single({
    name: "address",
    placeholder: "ADDRESS",
    help: "The server: HOST:PORT or unix:PATH.",
    fallback: DEFAULT_ADDRESS,
    parse: checked((text) => parseAddress(text).label),
  }),
  datasetId: optional({
    name: "dataset",
    placeholder: "ID",
    help: "The dataset that the stores belong to, as 24 hex digits; without it, stores tied to no dataset.",
    parse: checked(checkDatasetId),
  }),
  collectionName: optional({
    name: "collection",
    placeholder: "NAME",
    help: `The collection, if it is not the server's default, ${DEFAULT_COLLECTION}.`,
    parse: (text) => text,
  }),
  timeoutMs: single({
    name: "timeout",
    placeholder: "TIME",
    help: "How long to wait for each answer; 1ms to 1h.",
    fallback: "30s",
    parse: (text) => parseDuration(text, TIMEOUT),
  }),
};

/** Has the client's own check, which repeats no value, refuse one in the words of an option. */
function checked<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      const [violation] = isStoreError(error) ? error.violations : [];
      if (violation === undefined) throw error;
      throw new InvalidValue(violation.description);
    }
  };
}
