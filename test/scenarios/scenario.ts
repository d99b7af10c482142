import { readdirSync, readFileSync } from "node:fs";

/** What JSON holds. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
/** What a JSON object holds. */
export interface JsonObject {
  readonly [name: string]: Json;
}

/** What a client must be able to do for a step; see README.md. */
export const FEATURES = ["bson", "json", "pages"] as const;
export type Feature = (typeof FEATURES)[number];

/** Which stores a step sees. */
export interface Context {
  readonly dataset_id?: string;
  readonly collection_name?: string;
}

/** One step; see README.md for each field. */
export interface Step {
  readonly call?: string;
  readonly watch?: string;
  readonly read?: string;
  readonly close?: string;
  readonly args?: JsonObject;
  readonly context?: Context;
  readonly result?: Json;
  readonly error?: JsonObject;
  readonly events?: readonly Json[];
  readonly eventually?: boolean;
  readonly save?: string;
  readonly needs?: readonly Feature[];
  readonly note?: string;
}

/** Steps that belong together and see nothing of other scenarios. */
export interface Scenario {
  readonly name: string;
  readonly steps: readonly Step[];
}

const STEP_FIELDS = new Set([
  "call",
  "watch",
  "read",
  "close",
  "args",
  "context",
  "result",
  "error",
  "events",
  "eventually",
  "save",
  "needs",
  "note",
]);
const KINDS = ["call", "watch", "read", "close"] as const;
const CASES = new URL("cases/", import.meta.url);

/** Every scenario, by file and name. Throws where a file does not keep to the notation. */
export function loadScenarios(): Scenario[] {
  const files = readdirSync(CASES).filter((name) => name.endsWith(".json"));
  const scenarios = files.toSorted().flatMap((file) => {
    const list = JSON.parse(readFileSync(new URL(file, CASES), "utf8")) as Scenario[];
    return list.map(({ name, steps }) => ({ name: `${file.replace(".json", "")}: ${name}`, steps }));
  });
  for (const { name, steps } of scenarios) {
    for (const [index, step] of steps.entries()) checkStep(step, `${name}, step ${index}`);
  }
  const names = scenarios.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`two scenarios have the name ${twice}`);
  return scenarios;
}

/** A misspelt field would be a promise that nobody checks. */
function checkStep(step: Step, where: string): void {
  const fail = (problem: string): never => {
    throw new Error(`${where}: ${problem}`);
  };
  const unknown = Object.keys(step).find((name) => !STEP_FIELDS.has(name));
  if (unknown !== undefined) fail(`has ${unknown}, which no step has`);
  if (KINDS.filter((kind) => step[kind] !== undefined).length !== 1)
    fail(`is not one of ${KINDS.join(", ")}`);
  const strange = step.needs?.find((feature) => !FEATURES.includes(feature));
  if (strange !== undefined) fail(`needs ${strange}, which is no feature`);
  if (step.call !== undefined && (step.result === undefined) === (step.error === undefined)) {
    fail("expects neither or both of a result and an error");
  }
  if ((step.read === undefined) !== (step.events === undefined)) fail("has only one of read and events");
  if (step.save !== undefined && step.error !== undefined) fail("saves an error");
}
