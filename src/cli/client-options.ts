import { parseAddress } from "../config/address.js";
import { InvalidValue } from "../config/invalid-value.js";
import { optional, single, type Values } from "../config/options.js";
import { parseDuration } from "../config/units.js";
import { DEFAULT_COLLECTION } from "../store/limits.js";

const TIMEOUT = { least: "1ms", most: "1h" };

/** The options that every client command has. */
export const CLIENT_OPTIONS = {
  address: single({
    name: "address",
    placeholder: "ADDRESS",
    help: "The server: HOST:PORT or unix:PATH.",
    fallback: "127.0.0.1:50051",
    parse: (text) => parseAddress(text).text,
  }),
  datasetId: optional({
    name: "dataset",
    placeholder: "ID",
    help: "The dataset that the stores belong to, as 24 hex digits; without it, stores tied to no dataset.",
    parse: parseDatasetId,
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

/** The values of CLIENT_OPTIONS. */
export type ClientConfig = Values<typeof CLIENT_OPTIONS>;

function parseDatasetId(text: string): string {
  if (/^([0-9a-f]{24})?$/i.test(text)) return text.toLowerCase();
  throw new InvalidValue(`${JSON.stringify(text)} is not a dataset's id; expected 24 hex digits`);
}
