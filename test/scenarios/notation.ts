import { isList, sameValue } from "./neutral.js";
import type { Json, JsonObject } from "./scenario.js";

/** What the texts of a scenario may name. */
export type Variables = Map<string, Json>;

const NAME = /\$\{([^}]+)\}/g;
const WHOLE = /^\$\{([^}]+)\}$/;
const INDEX_DIGITS = 5;
/** How far a time may be from the one that is expected. */
const NEAR_MS = 1500;

/** A text with the variables and the generators of the notation put in. */
export function expand(node: Json, variables: Variables): Json {
  if (typeof node === "string") return expandText(node, variables);
  if (typeof node !== "object" || node === null) return node;
  if (isList(node)) return node.map((item) => expand(item, variables));
  const { $each, item = null, $text, $nest, of = null } = node;
  if (typeof $each === "number") {
    return Array.from({ length: $each }, (_, index) => {
      const i = String(index).padStart(INDEX_DIGITS, "0");
      return expand(item, new Map([...variables, ["i", i]]));
    });
  }
  if (typeof $text === "number") return "x".repeat($text);
  if (typeof $nest === "number") {
    let value = expand(of, variables);
    for (let level = 0; level < $nest; level += 1) value = [value];
    return value;
  }
  return Object.fromEntries(Object.entries(node).map(([name, member]) => [name, expand(member, variables)]));
}

function expandText(text: string, variables: Variables): Json {
  const whole = WHOLE.exec(text)?.[1];
  if (whole !== undefined) return lookUp(whole, variables);
  return text.replace(NAME, (_, path: string) => {
    const found = lookUp(path, variables);
    return typeof found === "string" ? found : JSON.stringify(found);
  });
}

function lookUp(path: string, variables: Variables): Json {
  const [name = "", ...parts] = path.split(".");
  let node = variables.get(name);
  for (const part of parts) {
    node = typeof node === "object" && node !== null ? (node as JsonObject)[part] : undefined;
  }
  if (node === undefined) throw new Error(`the scenario has nothing named ${path} yet`);
  return node;
}

/** Where an answer is not what was expected; undefined if it is. */
export function difference(expected: Json, actual: Json, path = "answer"): string | undefined {
  const differs = (): string => `${path} is ${shown(actual)}, expected ${shown(expected)}`;
  if (typeof expected !== "object" || expected === null) return expected === actual ? undefined : differs();
  if (isList(expected)) {
    if (!isList(actual) || actual.length !== expected.length) return differs();
    return first(expected, (item, index) => difference(item, actual[index] ?? null, `${path}[${index}]`));
  }
  const matched = matchedBy(expected, actual);
  if (matched !== undefined) return matched ? undefined : differs();
  if (typeof actual !== "object" || actual === null || isList(actual)) return differs();
  return first(Object.entries(expected), ([name, member]) => {
    const there = Object.hasOwn(actual, name) ? (actual[name] ?? null) : null;
    const at = `${path}.${name}`;
    if (!EXACT.has(name) || matchedBy(member, there) !== undefined) return difference(member, there, at);
    return sameValue(member, there) ? undefined : `${at} is ${shown(there)}, expected ${shown(member)}`;
  });
}

/** Fields that hold what callers stored: compared as a whole, with numbers by what they are worth. */
const EXACT: ReadonlySet<string> = new Set(["value", "metadata"]);

/** Whether a matcher matches; undefined if the expectation is none. */
function matchedBy(expected: Json, actual: Json): boolean | undefined {
  if (typeof expected !== "object" || expected === null || isList(expected)) return undefined;
  const { $any, $not, $above, $atLeast, $near, $length, $contains } = expected;
  if ($any !== undefined) return actual !== null;
  if ($not !== undefined) return difference($not, actual) !== undefined;
  if (typeof $above === "number") return typeof actual === "number" && actual > $above;
  if (typeof $atLeast === "number") return typeof actual === "number" && actual >= $atLeast;
  if ($near !== undefined && isList($near)) {
    const [base, plus] = $near as readonly [number, number];
    return typeof actual === "number" && Math.abs(actual - base - plus) <= NEAR_MS;
  }
  if (typeof $length === "number") {
    return (typeof actual === "string" || isList(actual)) && actual.length === $length;
  }
  if ($contains !== undefined && isList($contains)) {
    return isList(actual) && $contains.every((each) => actual.some((item) => !difference(each, item)));
  }
  return undefined;
}

function first<T>(items: readonly T[], problem: (item: T, index: number) => string | undefined) {
  for (const [index, item] of items.entries()) {
    const found = problem(item, index);
    if (found !== undefined) return found;
  }
  return undefined;
}

function shown(value: Json): string {
  const text = JSON.stringify(value);
  return text.length > 500 ? `${text.slice(0, 500)}…` : text;
}
