import type { ObjectId } from "bson";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { leavesOut } from "../support/left-out.js";
import { type BothSides, openBothSides, type Place, SETUP_LIMIT_MS } from "./both-sides.js";

/** What a call of a cached function did. */
interface Cached {
  /** How often the function itself ran. */
  readonly runs: number;
  /** How the result differs from what the function computes; null if it does not. */
  readonly difference: string | null;
}

const NONE: Place = { datasetId: undefined };
const RAN: Cached = { runs: 1, difference: null };
const FROM_CACHE: Cached = { runs: 0, difference: null };

let sides: BothSides;
let datasetId: ObjectId;

beforeAll(async () => {
  if (leavesOut("fiftyone") || leavesOut("mongodb")) return;
  sides = await openBothSides();
  datasetId = await sides.fiftyOne.call<ObjectId>("create_dataset");
}, SETUP_LIMIT_MS);
afterAll(() => sides?.close());

function cached(name: string, args: readonly unknown[], attribute?: string): Promise<Cached> {
  return sides.fiftyOne.call("cached", {
    function: name,
    dataset_id: datasetId,
    args,
    attribute: attribute ?? null,
  });
}

describe.skipIf(leavesOut("fiftyone") || leavesOut("mongodb"))("FiftyOne's execution_cache", () => {
  describe.each(["cached_of_dataset", "cached_of_none"])("%s", (name) => {
    const place = (): Place => (name === "cached_of_dataset" ? { datasetId } : NONE);

    test("its entries are here, and the function does not run again", async () => {
      expect(await cached(name, ["a", 1])).toEqual(RAN);
      const [entry, ...more] = await sides.serviceIn(place()).listValues(name).toArray();
      expect(more).toEqual([]);
      expect(entry).toMatchObject({
        key: expect.stringMatching(/^[0-9a-f]{64}$/),
        policy: "evict",
        value: {
          args: ["a", 1],
          tuple: { _cls: "tuple", values: [1, 2, null] },
          bytes: { _cls: "bytes", value: "AP8=" },
          1: "a number as key",
          nested: { empty: {}, none: [] },
        },
      });
      expect(entry?.expiresAt).toEqual(name === "cached_of_none" ? expect.any(Date) : undefined);
      expect(await cached(name, ["a", 1])).toEqual(FROM_CACHE);
    });

    test("what the service sets or deletes there counts for it", async () => {
      const service = sides.serviceIn(place());
      await service.clearCache(name);
      await cached(name, ["b"]);
      const [entry] = await service.listValues(name, { encoding: "raw" }).toArray();
      if (entry === undefined) throw new Error("the function's result was not cached");

      expect(await service.deleteKey(name, entry.key)).toBe(true);
      await service.setCacheKey(name, entry.key, entry.value, { ttl: 600 });
      expect(await cached(name, ["b"])).toEqual(FROM_CACHE);
      await service.setCacheKey(name, entry.key, "ours");
      expect(await cached(name, ["b"])).toMatchObject({
        runs: 0,
        difference: expect.stringContaining("str"),
      });
      await service.clearCache(name);
      expect(await cached(name, ["b"])).toEqual(RAN);
    });

    test("clear_cache, set_cache and clear_all_caches are seen here", async () => {
      const service = sides.serviceIn(place());
      await service.clearCache(name);
      await cached(name, ["c"]);
      await cached(name, ["c"], "clear_cache");
      expect(await service.countKeys(name)).toBe(0);
      await cached(name, ["c", { set: "by hand" }], "set_cache");
      const [entry] = await service.listValues(name).toArray();
      expect(entry?.value).toEqual({ set: "by hand" });
      await service.setKey(name, "kept", 1);
      await sides.fiftyOne.call("clear_all_caches", {
        function: name,
        dataset_id: name === "cached_of_dataset" ? datasetId : null,
      });
      expect(await service.listKeys(name).toArray()).toEqual(["kept"]);
    });
  });
});

describe.skipIf(leavesOut("fiftyone") || leavesOut("mongodb"))("FiftyOne's execution_cache in memory", () => {
  test("what a process has cached itself, it does not look up again", async () => {
    const service = sides.serviceIn({ datasetId });
    await cached("cached_in_memory", ["m"]);
    const [key] = await service.listKeys("cached_in_memory").toArray();
    expect(await service.deleteKey("cached_in_memory", String(key))).toBe(true);
    expect(await cached("cached_in_memory", ["m"])).toEqual(FROM_CACHE);
  });
});

describe.skipIf(leavesOut("fiftyone") || leavesOut("mongodb"))("FiftyOne past its store's methods", () => {
  test("deleting a dataset deletes the stores that were made here", async () => {
    const doomed: Place = { datasetId: await sides.fiftyOne.call<ObjectId>("create_dataset") };
    await sides.serviceIn(doomed).createStore("of the dataset");
    await sides.serviceIn(doomed).setKey("of the dataset", "k", 1);
    await sides.serviceIn(NONE).setKey("of none", "k", 1);
    await sides.fiftyOne.call("delete_dataset", { dataset_id: doomed.datasetId });
    expect(await sides.serviceIn(doomed).countStores()).toBe(0);
    expect(await sides.serviceIn(NONE).hasKey("of none", "k")).toBe(true);
  });

  test("cloning a dataset clones what was set here", async () => {
    const service = sides.serviceIn({ datasetId });
    await service.setKey("cloned", "k", { n: 1 });
    const clone: ObjectId = await sides.fiftyOne.call("clone_dataset", {
      dataset_id: datasetId,
      store_name: "cloned",
    });
    expect(clone.toHexString()).not.toBe(datasetId.toHexString());
    const read = await sides.serviceIn({ datasetId: clone }).getKey("cloned", "k");
    expect(read?.value).toEqual({ n: 1 });
  });

  test("its jobs are claimed once, be it from there or from here", async () => {
    const store = "jobs";
    const job = <T>(method: string, args: unknown[], kwargs = {}): Promise<T> =>
      sides.command<T>(NONE, "job", { store_name: store, method, args, kwargs });
    const id = await job<{ id: string }>("create", [], { owner: "me", scope: "s", payload: { n: 1 } });
    const service = sides.serviceIn(NONE);
    const created = await service.getKey<Record<string, unknown>>(store, id.id);
    expect(created).toMatchObject({ policy: "evict", value: { state: "requested", fencing_token: 0 } });

    const expected = created?.value;
    const claimed = { ...expected, state: "running", fencing_token: 1, lease_expires_at: new Date(4e12) };
    expect((await service.compareAndSetKey(store, id.id, { expected }, claimed)).set).toBe(true);
    expect(await job("claim", [id.id])).toBeNull();
    expect(await job("set_progress", [id.id, 1, 0.5])).toMatchObject({ progress: 0.5, state: "running" });
    expect((await service.compareAndSetKey(store, id.id, { expected: claimed }, expected)).set).toBe(false);
    expect(await job("complete", [id.id, 1], { result: "done" })).toMatchObject({ state: "completed" });
    expect((await service.getKey(store, id.id))?.value).toMatchObject({ state: "completed", result: "done" });
  });
});
