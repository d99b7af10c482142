import { serialize } from "bson";
import { expect } from "vitest";
import { MAX_PAGE_BYTES } from "../../src/store/limits.js";
import {
  type Check,
  documentsOf,
  ELSEWHERE,
  evict,
  FIRST,
  keysOf,
  NONE,
  OTHER_COLLECTION,
  persist,
  plain,
  readValue,
  SECOND,
  storesOf,
  valueOf,
} from "./world.js";

const SCOPES = [NONE, FIRST, SECOND, ELSEWHERE, { collection: OTHER_COLLECTION, datasetId: "" }];

/** Contexts and collections do not see each other. */
export function contexts(check: Check): void {
  check("keeps the same names in other contexts and collections apart", async ({ engine, clock }) => {
    for (const [index, scope] of SCOPES.entries()) {
      await engine.createStore(scope, "jobs", serialize({ index }), "persist");
      await engine.setKey(scope, "jobs", "key", persist(index));
      await engine.setKey(scope, `only-${index}`, `key-${index}`, persist(index));
    }
    for (const [index, scope] of SCOPES.entries()) {
      expect(plain(await readValue(engine, scope, "jobs", "key"))).toEqual(plain(valueOf(index)));
      expect((await engine.getKey(scope, "jobs", "key", false))?.datasetId).toBe(scope.datasetId);
      const { own, datasetId } = (await engine.getStore(scope, "jobs")) ?? {};
      expect(datasetId).toBe(scope.datasetId);
      expect(plain(own?.metadata)).toEqual(plain(serialize({ index })));
      expect(await storesOf(engine, scope)).toEqual(["jobs", `only-${index}`]);
      expect(await engine.countStores(scope)).toBe(2);
      expect(await keysOf(engine, scope, "jobs")).toEqual(["key"]);
      expect(await engine.countKeys(scope, "jobs", "")).toBe(1);
      const [document] = await documentsOf(engine, scope, "jobs");
      expect(document?.datasetId).toBe(scope.datasetId);
      const other = `only-${(index + 1) % SCOPES.length}`;
      expect(await engine.hasStore(scope, other)).toBe(false);
      expect(await engine.countKeys(scope, other, "")).toBe(0);
      const values = { withValue: true, maxBytes: MAX_PAGE_BYTES };
      const batch = await engine.batchGetKeys(scope, `only-${index}`, [`key-${index}`, other], values);
      expect(batch.documents.map((found) => found?.datasetId)).toEqual([scope.datasetId, undefined]);
    }
    clock.advance(1000);
  });

  for (const [own, scope] of SCOPES.entries()) {
    check(`changes nothing outside context ${own}`, async ({ engine }) => {
      const names = ["a", "b", "c", "d", "e", "f"];
      for (const each of SCOPES) {
        await engine.createStore(each, "stored", undefined, "evict");
        await engine.batchSetKeys(
          each,
          "jobs",
          names.map((key) => ({ key, ...evict(key) })),
        );
      }
      const before = await Promise.all(SCOPES.map((each) => documentsOf(engine, each, "jobs")));
      await engine.setKey(scope, "jobs", "a", persist("changed"));
      await engine.setKeyIfAbsent(scope, "jobs", "new", persist("changed"));
      await engine.compareAndSetKey(scope, "jobs", "b", { value: valueOf("b") }, persist("changed"));
      await engine.updateTtl(scope, "jobs", "c", 1_000_000);
      await engine.updatePolicy(scope, "jobs", "d", "persist");
      await engine.deleteKey(scope, "jobs", "e", undefined);
      await engine.batchSetKeys(scope, "jobs", [{ key: "f", ...persist("changed") }]);
      const untouched = async (): Promise<void> => {
        for (const [index, each] of SCOPES.entries()) {
          if (index === own) continue;
          expect(await documentsOf(engine, each, "jobs")).toEqual(before[index]);
          expect((await engine.getStore(each, "stored"))?.own?.policy).toBe("evict");
          expect(await storesOf(engine, each)).toEqual(["jobs", "stored"]);
        }
      };
      await untouched();
      await engine.batchDeleteKeys(scope, "jobs", ["a"]);
      expect(await engine.clearCache(scope, "jobs")).toBe(1);
      expect(await engine.clearCache(scope, undefined)).toBe(1);
      expect(await engine.deleteStore(scope, "jobs")).toBe(4);
      await engine.setKey(scope, "rest", "key", persist());
      expect(await engine.cleanup(scope)).toBe(1);
      await untouched();
    });
  }
}
