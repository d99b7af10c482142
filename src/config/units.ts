import { InvalidValue } from "./invalid-value.js";
import { quote } from "./quote.js";

const DURATION_UNITS: ReadonlyMap<string, bigint> = new Map([
  ["ms", 1n],
  ["s", 1000n],
  ["m", 60_000n],
  ["h", 3_600_000n],
  ["d", 86_400_000n],
]);

const SIZE_UNITS: ReadonlyMap<string, bigint> = new Map([
  ["b", 1n],
  ["kb", 1000n],
  ["mb", 1000n ** 2n],
  ["gb", 1000n ** 3n],
  ["tb", 1000n ** 4n],
  ["kib", 1024n],
  ["mib", 1024n ** 2n],
  ["gib", 1024n ** 3n],
  ["tib", 1024n ** 4n],
]);

const DURATION_HINT = "expected a number with a unit (ms, s, m, h or d), such as 250ms, 10m or 1h30m";
const SIZE_HINT = "expected a number with a unit (B, KB, MB, GB, TB, or KiB, MiB, GiB, TiB), such as 256MB";

/** What a parsed quantity may be; both bounds are inclusive and written as a user would write them. */
export interface Bounds {
  readonly least: string;
  readonly most: string;
}

/**
 * Reads a length of time such as `250ms`, `1.5s`, `10m`, `1h30m` or `30d` in whole milliseconds, rounded up. A
 * unit is required, since a bare number would be seconds to one reader and milliseconds to another. Throws
 * InvalidValue.
 */
export function parseDuration(text: string, bounds?: Bounds): number {
  const parts = text.match(/\d+(?:\.\d+)?[a-zA-Z]+/g);
  if (parts === null || parts.join("") !== text) throw notAQuantity(text, DURATION_HINT);
  const total = parts.reduce((sum, part) => sum + quantity(part, DURATION_UNITS, text, DURATION_HINT), 0);
  if (bounds !== undefined) checkBounds(text, total, bounds, (bound) => parseDuration(bound));
  return total;
}

/** Reads a size such as `256MB` or `1.5GiB` in whole bytes, rounded up. A unit is required. Throws InvalidValue. */
export function parseSize(text: string, bounds?: Bounds): number {
  if (!/^\d+(?:\.\d+)?[a-zA-Z]+$/.test(text)) throw notAQuantity(text, SIZE_HINT);
  const total = quantity(text.toLowerCase(), SIZE_UNITS, text, SIZE_HINT);
  if (bounds !== undefined) checkBounds(text, total, bounds, (bound) => parseSize(bound));
  return total;
}

function quantity(part: string, units: ReadonlyMap<string, bigint>, text: string, hint: string): number {
  const [, whole = "", fraction = "", unit = ""] = /^(\d+)(?:\.(\d+))?([a-zA-Z]+)$/.exec(part) ?? [];
  const factor = units.get(unit);
  if (factor === undefined) {
    throw new InvalidValue(`${quote(text)} has the unknown unit ${JSON.stringify(unit)}; ${hint}`);
  }
  // Decimal digits as integers: binary fractions would turn 1.1s into 1101 ms when rounding up.
  const scale = 10n ** BigInt(fraction.length);
  const scaled = BigInt(whole + fraction) * factor;
  return Number((scaled + scale - 1n) / scale);
}

function notAQuantity(text: string, hint: string): InvalidValue {
  if (/^\d+(?:\.\d+)?$/.test(text)) return new InvalidValue(`${quote(text)} has no unit; ${hint}`);
  return new InvalidValue(`${quote(text)} cannot be read; ${hint}`);
}

function checkBounds(text: string, value: number, bounds: Bounds, parse: (bound: string) => number): void {
  if (value < parse(bounds.least) || value > parse(bounds.most)) {
    throw new InvalidValue(`${quote(text)} is out of range; expected from ${bounds.least} to ${bounds.most}`);
  }
}
