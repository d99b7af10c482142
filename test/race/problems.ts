import type { History } from "./clients.js";
import { type KeyCall, keyModel } from "./key-model.js";
import { checkLinearizable } from "./linearizability.js";

/** How many calls before the end of an impossible history are shown. */
const SHOWN = 12;

/** What no order of the calls explains; one text per key. */
export function problemsOf(history: History): string[] {
  const problems: string[] = [];
  for (const [key, calls] of history.byKey) {
    const verdict = checkLinearizable(calls, keyModel);
    if (verdict.linearizable) continue;
    const lines = [
      `${key}: no order explains the results`,
      ...verdict.longest.slice(-SHOWN).map((call) => `  then ${brief(call)}`),
      ...verdict.stuck.map((call) => `  but not ${brief(call)}`),
    ];
    problems.push(lines.join("\n"));
  }
  return problems;
}

function brief({ request, answer, called, returned, calledAt }: KeyCall): string {
  const times = `${called.toFixed(1)} to ${returned.toFixed(1)} (called at ${calledAt})`;
  return `${times}: ${JSON.stringify(request)} answered ${JSON.stringify(answer) ?? "nothing"}`;
}
