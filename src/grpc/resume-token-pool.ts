import type { Selector } from "../store/changes.js";
import { ResumeTokens, selectorText } from "./resume-token.js";

/** Shares the makers of resume tokens among the watches of one selector, which mostly tell the same place. */
export class ResumeTokenPool {
  readonly #byName = new Map<string, ResumeTokens>();

  /** release() must follow. */
  acquire(collection: string, selector: Selector, history: string): ResumeTokens {
    const made = new ResumeTokens(selectorText(collection, selector), history);
    const tokens = this.#byName.get(made.name) ?? made;
    if (tokens === made) this.#byName.set(made.name, made);
    tokens.users += 1;
    return tokens;
  }

  release(tokens: ResumeTokens): void {
    tokens.users -= 1;
    if (tokens.users === 0) this.#byName.delete(tokens.name);
  }
}
