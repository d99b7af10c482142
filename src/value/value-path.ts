import { cstringEnd } from "./bson-bytes.js";

const PLAIN = /^[A-Za-z_][A-Za-z0-9_-]*$/;
/** Characters of one name, and parts of a path, that an error shows: enough to find the place. */
const MAX_NAME = 40;
const MAX_PARTS = 8;

/** One step into a value: a field's name or an element's index. */
export type PathPart = string | number;

/** A place in a value for an error message, such as `items[2].id`; long names and long paths are cut. */
export function pathText(parts: readonly PathPart[]): string {
  const half = MAX_PARTS / 2;
  if (parts.length <= MAX_PARTS) return partsText(parts);
  return `${partsText(parts.slice(0, half))}.….${partsText(parts.slice(-half)).replace(/^\./, "")}`;
}

function partsText(parts: readonly PathPart[]): string {
  let text = "";
  for (const part of parts) {
    if (typeof part === "number") text += `[${part}]`;
    else if (PLAIN.test(part) && part.length <= MAX_NAME) text += text === "" ? part : `.${part}`;
    else text += `[${JSON.stringify(part.length > MAX_NAME ? `${part.slice(0, MAX_NAME)}…` : part)}]`;
  }
  return text;
}

/**
 * The place that a walk over BSON has reached, kept for the case of an error: where each open element's name
 * begins, by level, and whether it is an array's.
 */
export class BsonPath {
  /** Offsets of names, by level; negative in an array. */
  readonly #names: number[] = [];

  /** Notes the element that the walk is at on a level; deeper levels are forgotten. */
  set(level: number, name: number, inArray: boolean): void {
    this.#names[level] = inArray ? -name : name;
  }

  /** The parts from level `from` to level `to`, both included. */
  parts(buf: Buffer, from: number, to: number): PathPart[] {
    const parts: PathPart[] = [];
    for (let level = from; level <= to; level++) {
      const signed = this.#names[level] ?? 0;
      const start = Math.abs(signed);
      const name = buf.toString("utf8", start, cstringEnd(buf, start, buf.length));
      parts.push(signed < 0 && /^\d{1,9}$/.test(name) ? Number(name) : name);
    }
    return parts;
  }
}
