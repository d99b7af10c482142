import type { History } from "./clients.js";
import { type KeyCall, keyModel, timeProblems } from "./key-model.js";
import { checkLinearizable } from "./linearizability.js";

/** How many calls before the end of an impossible history are shown. */
const SHOWN = 12;

/** What an engine is allowed. */
export interface Allowed {
  /**
   * Over MongoDB, sets that travel together read the versions that they made when all are made. One that was deleted
   * before that answers a version that nobody else was given.
   */
  readonly guessedVersions?: boolean;
}

/** What no order of the calls explains, and versions whose times do not grow. */
export function problemsOf(history: History, { guessedVersions = false }: Allowed = {}): string[] {
  const problems: string[] = [];
  for (const [key, calls] of history.byKey) {
    for (const [earlier, later] of timeProblems(calls)) {
      problems.push(`${key}: no later time\n  after ${brief(earlier)}\n  was ${brief(later)}`);
    }
    const verdict = checkLinearizable(guessedVersions ? withGuesses(calls) : calls, keyModel);
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

/** The calls, with the versions that sets answered taken for guesses where a deletion may have met them before. */
export function withGuesses(calls: readonly KeyCall[]): KeyCall[] {
  const deletions = calls.filter(
    ({ request, answer }) => request.kind.startsWith("delete") && answer?.yes !== false,
  );
  return calls.map((call) => {
    if (call.request.kind !== "set" || call.answer === undefined) return call;
    const met = deletions.some(({ called, returned }) => called < call.returned && returned > call.called);
    return met ? { ...call, answer: { ...call.answer, guessed: true } } : call;
  });
}

function brief({ request, answer, called, returned, calledAt }: KeyCall): string {
  const times = `${called.toFixed(1)} to ${returned.toFixed(1)} (called at ${calledAt})`;
  return `${times}: ${JSON.stringify(request)} answered ${JSON.stringify(answer) ?? "nothing"}`;
}
