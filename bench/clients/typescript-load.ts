/** Loads servers by the TypeScript client, or by what is generated alone: see load-plan.ts. */
import { readFileSync } from "node:fs";
import { serveControl } from "../watch/control.js";
import type { ClientCall, LoadAnswer, LoadPlan, LoadRequest } from "./load-plan.js";
import { type Caller, clientCallers, stubCallers } from "./typescript-callers.js";

const plan = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as LoadPlan;
const made = new Map<string, Readonly<Record<ClientCall, Caller>>>();

function callersOf({ server, by, values }: LoadRequest): Readonly<Record<ClientCall, Caller>> {
  const name = JSON.stringify([server, by, values]);
  const callers = made.get(name) ?? (by === "client" ? clientCallers : stubCallers)(server, plan, values);
  made.set(name, callers);
  return callers;
}

/** The smallest time that so many of all are not above. */
function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] ?? Number.NaN;
}

let turn = 0;

async function load(request: LoadRequest): Promise<LoadAnswer> {
  const call = callersOf(request)[request.call];
  const times: number[] = [];
  let calls = 0;
  const start = performance.now();
  const caller = async (): Promise<void> => {
    for (let now = performance.now(); now - start < request.ms; ) {
      const done = await call(turn++);
      calls += done;
      const then = now;
      now = performance.now();
      times.push(now - then);
    }
  };
  await Promise.all(Array.from({ length: request.atOnce }, caller));
  const sorted = Float64Array.from(times).toSorted();
  return {
    calls,
    ms: performance.now() - start,
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
  };
}

serveControl((request) => load(request as LoadRequest));
