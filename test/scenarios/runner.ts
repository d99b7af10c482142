import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type ExecutionStoreService, isStoreError, type StoreError } from "execution-store";
import { CALLS, CAN } from "./calls.js";
import { difference, expand, type Variables } from "./notation.js";
import type { Json, JsonObject, Scenario, Step } from "./scenario.js";
import { nextEvent, openWatch, type ScenarioWatch } from "./watches.js";

const EVENTUALLY_MS = 10_000;
const PAUSE_MS = 20;

/** The steps that this client takes of a scenario; those that need what it does not have are left out. */
export function stepsOf({ steps }: Scenario): readonly Step[] {
  return steps.filter(({ needs = [] }) => needs.every((feature) => CAN.has(feature)));
}

/** Goes through a scenario. Throws where a step does not end as it should, naming it. */
export async function runScenario(service: ExecutionStoreService, scenario: Scenario): Promise<void> {
  const run = new Run(service);
  try {
    for (const step of stepsOf(scenario)) {
      const index = scenario.steps.indexOf(step);
      const problem = await run.take(step);
      const said = step.call ?? step.watch ?? step.read ?? step.close;
      if (problem !== undefined) throw new Error(`step ${index} (${said}): ${problem}`);
    }
  } finally {
    run.close();
  }
}

class Run {
  readonly #service: ExecutionStoreService;
  readonly #variables: Variables;
  readonly #watches = new Map<string, ScenarioWatch>();

  constructor(service: ExecutionStoreService) {
    this.#service = service;
    const dataset = `abcdef${randomBytes(9).toString("hex")}`;
    this.#variables = new Map<string, Json>([
      ["store", `scenario-${randomBytes(6).toString("hex")}`],
      ["dataset", dataset],
      ["DATASET", dataset.toUpperCase()],
      ["other_dataset", `fedcba${randomBytes(9).toString("hex")}`],
    ]);
  }

  /** What is wrong with the outcome of a step. */
  async take(step: Step): Promise<string | undefined> {
    if (step.close !== undefined) return this.#close(step.close);
    if (step.eventually !== true) return this.#outcome(step);
    const deadline = Date.now() + EVENTUALLY_MS;
    for (;;) {
      const problem = await this.#outcome(step);
      if (problem === undefined || Date.now() > deadline) return problem;
      await delay(PAUSE_MS);
    }
  }

  close(): void {
    for (const watch of this.#watches.values()) watch.close();
  }

  async #outcome(step: Step): Promise<string | undefined> {
    let answer: Json;
    try {
      answer = await this.#answer(step);
    } catch (error) {
      if (!isStoreError(error) || step.error === undefined) throw error;
      return errorProblem(expand(step.error, this.#variables) as JsonObject, error);
    }
    if (step.error !== undefined) return `ended well, expected ${JSON.stringify(step.error)}`;
    const expected = step.events ?? step.result;
    const problem =
      expected === undefined ? undefined : difference(expand(expected, this.#variables), answer);
    if (problem === undefined && step.save !== undefined) this.#variables.set(step.save, answer);
    return problem;
  }

  #answer(step: Step): Promise<Json> {
    const args = expand(step.args ?? {}, this.#variables) as JsonObject;
    if (step.read !== undefined) return this.#read(step.read, step.events?.length ?? 0);
    const context = expand({ ...step.context }, this.#variables) as JsonObject;
    const service = this.#service.withContext({
      datasetId: context["dataset_id"] as string | undefined,
      collectionName: context["collection_name"] as string | undefined,
    });
    if (step.watch !== undefined) return this.#watch(service, step, args);
    const call = CALLS[step.call ?? ""];
    if (call === undefined) throw new Error(`no client has a method ${step.call}`);
    return call(service, args);
  }

  /** A watch connects when it is read, so that one that must fail is read at once. */
  async #watch(service: ExecutionStoreService, step: Step, args: JsonObject): Promise<Json> {
    const watch = openWatch(service, args);
    this.#watches.set(step.watch ?? "", watch);
    return step.error === undefined ? null : nextEvent(watch);
  }

  async #read(name: string, count: number): Promise<Json> {
    const watch = this.#watches.get(name);
    if (watch === undefined) throw new Error(`no watch is named ${name}`);
    const events: JsonObject[] = [];
    while (events.length < count) events.push(await nextEvent(watch));
    const token = events.at(-1)?.["resume_token"] ?? null;
    this.#variables.set(name, { token });
    return events;
  }

  #close(name: string): undefined {
    this.#watches.get(name)?.close();
    return undefined;
  }
}

function errorProblem(expected: JsonObject, error: StoreError): string | undefined {
  const { fields, ...plain } = expected;
  const { kind, reason, outcome, resource, violations } = error;
  const actual = {
    status: kind,
    reason,
    outcome: outcome ?? null,
    resource: resource === undefined ? null : { ...resource },
  };
  const problem = difference(plain, actual, "error");
  if (problem !== undefined || fields === undefined) return problem;
  const named = violations.map(({ field }) => field);
  // A client may name a place in a value, or the form in which it travels.
  const missing = (fields as string[]).find((field) => !named.some((each) => each.startsWith(field)));
  return missing === undefined ? undefined : `the error names ${named.join(", ")}, expected ${missing}`;
}
