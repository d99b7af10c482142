import type { Choices } from "../../race/random.js";
import { EVERYTHING } from "../checkers/everything.js";
import type { EventType, WatchRequest } from "../checkers/history.js";

/** Where everything happens: few places, so that writers collide. Names that are prefixes of others are among them. */
export const CONTEXTS = ["", "0123456789abcdef01234567"] as const;
export const STORES = ["s", "s1", "täglich"] as const;
export const KEYS = ["a", "a/1", "a/2", "b", "b/ä", "ba", "c\u{1f600}"] as const;
const PREFIXES = ["a", "a/", "b", "none"] as const;
const CHANGE_TYPES: readonly EventType[] = ["created", "updated", "deleted", "expired"];
const ENCODINGS = ["json", "bson", "none"] as const;

type Selector = Pick<WatchRequest, "datasetId" | "allContexts" | "storeName" | "key" | "keyPrefix">;

/** Any selector: of one context or all, one store or all, one key, a prefix or all; often of everything. */
export function anySelector(choices: Choices): Selector {
  if (choices.below(5) === 0) return EVERYTHING;
  const context = choices.below(CONTEXTS.length + 1);
  const keys = choices.below(3);
  return {
    allContexts: context === CONTEXTS.length,
    datasetId: CONTEXTS[context] ?? "",
    storeName: choices.below(3) === 0 ? "" : choices.of(STORES),
    key: keys === 0 ? choices.of(KEYS) : undefined,
    keyPrefix: keys === 1 ? choices.of(PREFIXES) : "",
  };
}

/** Any way to have a selector's events, from now on or with what is there. */
export function anyRequest(selector: Selector, snapshot: boolean, choices: Choices): WatchRequest {
  const filtered = choices.below(3) === 0;
  const types = CHANGE_TYPES.filter(() => choices.below(2) === 0);
  return {
    ...selector,
    snapshot,
    resumeToken: "",
    types: !filtered ? [] : snapshot ? ["existing", ...types] : types,
    encoding: choices.of(ENCODINGS),
    includePrevious: choices.below(2) === 0,
  };
}
