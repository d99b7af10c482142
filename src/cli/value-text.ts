import { deserialize, EJSON } from "bson";
import { bsonToJson } from "../value/bson-to-json.js";
import { escapeJson } from "./names.js";
import { wireToJson } from "./wire-to-json.js";

/**
 * A value document as JSON text, relaxed Extended JSON; with an indentation over several lines, else on one. What
 * nests deeper than JSON values may on the wire is canonical Extended JSON.
 */
export function valueText(bson: Uint8Array, indent: number): string {
  const wire = bsonToJson(bson);
  if (wire !== undefined) return escapeJson(wireToJson(wire, indent));
  const { value } = deserialize(bson, {
    promoteValues: false,
    bsonRegExp: true,
    validation: { utf8: false },
  });
  return escapeJson(EJSON.stringify(value, undefined, indent, { relaxed: false }));
}
