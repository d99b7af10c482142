import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Change, Selector } from "../../../src/store/changes.js";
import { WatchIndex } from "../../../src/watch/watch-index.js";

const contexts = fc.constantFrom("", "a".repeat(24), "b".repeat(24));
const stores = fc.constantFrom("s", "t", "*", "/s", "");
const keys = fc.string({ unit: fc.constantFrom("a", "b", "é", "\u{1F600}"), maxLength: 3 });

const selectors: fc.Arbitrary<Selector> = fc.record({
  datasetId: fc.option(contexts, { nil: undefined }),
  storeName: fc.option(
    stores.filter((name) => name !== ""),
    { nil: undefined },
  ),
  key: fc.option(keys, { nil: undefined }),
  keyPrefix: keys,
});

function matches(selector: Selector, change: Pick<Change, "datasetId" | "storeName" | "key">): boolean {
  const { datasetId, storeName, key, keyPrefix } = selector;
  return (
    (datasetId === undefined || datasetId === change.datasetId) &&
    (storeName === undefined || storeName === change.storeName) &&
    (key === undefined ? change.key.startsWith(keyPrefix) : key === change.key)
  );
}

describe("the index of watchers", () => {
  it("finds exactly the watchers that a change concerns, each once, whoever comes and goes", () => {
    fc.assert(
      fc.property(
        fc.array(selectors, { maxLength: 30 }),
        fc.array(fc.nat(), { maxLength: 15 }),
        fc.array(fc.record({ datasetId: contexts, storeName: stores, key: keys }), { maxLength: 10 }),
        (all, gone, changes) => {
          const index = new WatchIndex<{ readonly selector: Selector }>();
          const watchers = all.map((selector) => ({ selector }));
          for (const watcher of watchers) index.add(watcher);
          const removed = new Set(gone.map((at) => watchers[at % Math.max(1, watchers.length)]));
          for (const watcher of removed) if (watcher !== undefined) index.remove(watcher);
          const left = watchers.filter((watcher) => !removed.has(watcher));
          expect(index.size).toBe(left.length);
          for (const parts of changes) {
            const found = index.matching({ ...parts, position: "", events: [] });
            expect(new Set(found).size).toBe(found.length);
            expect(new Set(found)).toEqual(new Set(left.filter(({ selector }) => matches(selector, parts))));
          }
        },
      ),
    );
  });
});
