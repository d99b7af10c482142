import type { History } from "./clients.js";
import { type KeyCall, keyModel, timeProblems } from "./key-model.js";
import { checkLinearizable } from "./linearizability.js";

/** How many calls before the end of an impossible history are shown. */
const SHOWN = 12;

/** What no order of the calls explains, and versions whose times do not grow. */
export function problemsOf(history: History): string[] {
  const problems: string[] = [];
  for (const [key, calls] of history.byKey) {
    for (const [earlier, later] of timeProblems(calls)) {
      problems.push(`${key}: no later time\n  after ${brief(earlier)}\n  was ${brief(later)}`);
    }
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
