import type { Selector } from "../store/changes.js";
import { ResumeTokens } from "./resume-token.js";

/** Shares the makers of resume tokens among the watches of one selector, which mostly tell the same place. */
export class ResumeTokenPool {
  readonly #byName = new Map<string, { readonly tokens: ResumeTokens; users: number }>();
  readonly #names = new Map<ResumeTokens, string>();

  /** release() must follow. */
  acquire(collection: string, selector: Selector, history: string): ResumeTokens {
    const { datasetId, storeName, key, keyPrefix } = selector;
    const name = JSON.stringify([
      collection,
      datasetId ?? null,
      storeName ?? null,
      key ?? null,
      keyPrefix,
      history,
    ]);
    let found = this.#byName.get(name);
    if (found === undefined) {
      found = { tokens: new ResumeTokens(collection, selector, history), users: 0 };
      this.#byName.set(name, found);
      this.#names.set(found.tokens, name);
    }
    found.users += 1;
    return found.tokens;
  }

  release(tokens: ResumeTokens): void {
    const name = this.#names.get(tokens);
    const found = name === undefined ? undefined : this.#byName.get(name);
    if (name === undefined || found === undefined) return;
    found.users -= 1;
    if (found.users > 0) return;
    this.#byName.delete(name);
    this.#names.delete(tokens);
  }
}
