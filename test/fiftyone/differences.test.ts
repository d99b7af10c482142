import { Double, ObjectId } from "bson";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { openMongoEngine } from "../../src/engines/mongo/engine.js";
import { ExecutionStoreService } from "../../src/index.js";
import { leavesOut } from "../support/left-out.js";
import { startTestServer } from "../support/test-server.js";
import {
  type BothSides,
  DEFAULT_COLLECTION,
  openBothSides,
  type Place,
  type PythonDocument,
  SETUP_LIMIT_MS,
} from "./both-sides.js";

const HOUR = 3600;
const HOUR_MS = HOUR * 1000;
const NONE: Place = { datasetId: undefined };
const GLOBAL: Place = { datasetId: undefined, collection: "global" };
/** A collection that nothing is removed from. */
const UNSWEPT: Place = { datasetId: undefined, collection: "unswept" };

let sides: BothSides;
let lastStore = 0;

beforeAll(async () => {
  if (leavesOut("fiftyone") || leavesOut("mongodb")) return;
  sides = await openBothSides({ collections: ["global"] });
}, SETUP_LIMIT_MS);
afterAll(() => sides?.close());

function newStore(): string {
  lastStore += 1;
  return `store-${lastStore}`;
}

function service(place: Place = NONE): ExecutionStoreService {
  return sides.serviceIn(place);
}

/** Calls a method of FiftyOne's ExecutionStoreService. */
function python<T = PythonDocument>(method: string, ...args: unknown[]): Promise<T> {
  return sides.python<T>(NONE, method, ...args);
}

async function stored(store: string, key: string): Promise<PythonDocument> {
  const [document] = await sides.documents({ store_name: store, key });
  if (document === undefined) throw new Error(`there is no document for ${key}`);
  return document as unknown as PythonDocument;
}

/** Changes a document past both sides. */
async function tamper(
  store: string,
  key: string,
  fields: object,
  unset: readonly string[] = [],
): Promise<void> {
  await sides.database
    .collection(DEFAULT_COLLECTION)
    .updateOne({ store_name: store, key }, [{ $set: fields }, ...unset.map((name) => ({ $unset: name }))]);
}

// Each of these is a line of the README's table of differences.
describe.skipIf(leavesOut("fiftyone") || leavesOut("mongodb"))("where FiftyOne does otherwise", () => {
  test("overwriting: FiftyOne leaves policy and expiry, the service sets them", async () => {
    const store = newStore();
    for (const key of ["theirs", "ours"]) await python("set_key", store, key, 1, HOUR);
    await python("set_key", store, "theirs", 2);
    expect(await stored(store, "theirs")).toMatchObject({ policy: "evict", expires_at: expect.any(Date) });
    await service().setKey(store, "ours", 2);
    expect(await stored(store, "ours")).toMatchObject({ policy: "persist", expires_at: null });
  });

  test("overwriting with a ttl: FiftyOne answers an expiry that it does not store", async () => {
    const store = newStore();
    for (const key of ["theirs", "ours"]) await python("set_key", store, key, 1);
    expect((await python("set_key", store, "theirs", 2, HOUR)).expires_at).toBeInstanceOf(Date);
    expect(await stored(store, "theirs")).toMatchObject({ policy: "persist", expires_at: null });
    const { document } = await service().setKey(store, "ours", 2, { ttl: HOUR });
    expect(await stored(store, "ours")).toMatchObject({ policy: "evict", expires_at: document.expiresAt });
  });

  test("a ttl of 0: FiftyOne takes it as evictable without expiry, the service refuses it", async () => {
    const store = newStore();
    await python("set_key", store, "theirs", 1, 0);
    expect(await stored(store, "theirs")).toMatchObject({ policy: "evict", expires_at: null });
    expect(await service().getKey(store, "theirs")).toMatchObject({ policy: "evict", expiresAt: undefined });
    await expect(service().setKey(store, "ours", 1, { ttl: 0 })).rejects.toMatchObject({
      reason: "TTL_NOT_POSITIVE",
    });
  });

  test("update_ttl: FiftyOne leaves policy and updated_at, the service sets them", async () => {
    const store = newStore();
    for (const key of ["theirs", "ours"]) await python("set_key", store, key, 1);
    const before = { theirs: await stored(store, "theirs"), ours: await stored(store, "ours") };
    await python("update_ttl", store, "theirs", HOUR);
    expect(await stored(store, "theirs")).toMatchObject({
      policy: "persist",
      updated_at: before.theirs.updated_at,
    });
    const updated = await service().updateTtl(store, "ours", HOUR);
    expect(updated.policy).toBe("evict");
    expect(updated.updatedAt.getTime()).toBeGreaterThan(Number(before.ours.updated_at));
    // What has an expiry may go, whatever the policy says: on both sides.
    expect(await service().clearCache(store)).toBe(2);
  });

  test("update_policy: FiftyOne's fails, the service's works and FiftyOne sees it", async () => {
    const store = newStore();
    await python("set_key", store, "k", 1, HOUR);
    const call = { store_name: store, method: "update_policy", args: ["k", "persist"] };
    await expect(sides.command(NONE, "store", call)).rejects.toMatchObject({
      type: "AttributeError",
    });
    await service().updatePolicy(store, "k", "persist");
    expect(await python("get_key", store, "k")).toMatchObject({ policy: "persist", expires_at: null });
  });

  test("a missing key: None or False there, undefined or NOT_FOUND here", async () => {
    const store = newStore();
    expect(await python("get_key", store, "none")).toBeNull();
    expect(await python("update_ttl", store, "none", HOUR)).toBe(false);
    expect(await service().getKey(store, "none")).toBeUndefined();
    await expect(service().updateTtl(store, "none", HOUR)).rejects.toMatchObject({ reason: "KEY_NOT_FOUND" });
  });

  test("updated_at: FiftyOne's may go back, the service's only grows", async () => {
    const store = newStore();
    const ahead = new Date(Date.now() + HOUR_MS);
    for (const key of ["theirs", "ours"]) {
      await python("set_key", store, key, 1);
      await tamper(store, key, { updated_at: ahead });
    }
    await python("set_key", store, "theirs", 2);
    expect(Number((await stored(store, "theirs")).updated_at)).toBeLessThan(ahead.getTime());
    const { document } = await service().setKey(store, "ours", 2);
    expect(document.updatedAt.getTime()).toBe(ahead.getTime() + 1);
  });

  test("equality: Python's in FiftyOne's compare_and_set, that of values in the service's", async () => {
    const store = newStore();
    const compare = async (value: unknown, expected: unknown): Promise<[boolean, boolean]> => {
      for (const key of ["theirs", "ours"]) await service().setKey(store, key, value);
      const there = await python<boolean>("compare_and_set_key", store, "theirs", expected, "new");
      const { set } = await service().compareAndSetKey(store, "ours", { expected }, "new");
      return [there, set];
    };
    expect(await compare(1, new Double(1))).toEqual([true, true]);
    expect(await compare({ a: 1, b: 2 }, { b: 2, a: 1 })).toEqual([true, true]);
    expect(await compare(true, 1)).toEqual([true, false]);
    expect(await compare(Number.NaN, Number.NaN)).toEqual([false, true]);
  });

  test("compare_and_set to persist: FiftyOne leaves the expiry, the service removes it", async () => {
    const store = newStore();
    for (const key of ["theirs", "ours"]) await service().setKey(store, key, 1, { ttl: HOUR });
    await python("compare_and_set_key", store, "theirs", 1, 2, null, "persist");
    expect(await stored(store, "theirs")).toMatchObject({ policy: "persist", expires_at: expect.any(Date) });
    await service().compareAndSetKey(store, "ours", { expected: 1 }, 2, { policy: "persist" });
    expect(await stored(store, "ours")).toMatchObject({ policy: "persist", expires_at: null });
  });

  test("__store__: FiftyOne lets it be set as a key, the service reserves it", async () => {
    const store = newStore();
    await python("set_key", store, "__store__", { by: "python" });
    expect(await service().listKeys(store).toArray()).toEqual([]);
    expect((await service().getStore(store))?.metadata).toEqual({ by: "python" });
    await expect(service().setKey(store, "__store__", 1)).rejects.toMatchObject({ reason: "KEY_RESERVED" });
  });

  test("create_store of one that exists: DuplicateKeyError there, ALREADY_EXISTS here", async () => {
    const store = newStore();
    await python("create_store", store);
    await expect(python("create_store", store)).rejects.toMatchObject({ type: "DuplicateKeyError" });
    await expect(service().createStore(store)).rejects.toMatchObject({ kind: "ALREADY_EXISTS" });
  });

  test("a store that exists only through its keys: FiftyOne makes a time up, the service has none", async () => {
    const store = newStore();
    await python("set_key", store, "k", 1);
    expect(await python("get_store", store)).toMatchObject({
      created_at: expect.any(Date),
      policy: "persist",
    });
    expect(await service().getStore(store)).toMatchObject({ createdAt: undefined, policy: undefined });
  });

  test("a new store: FiftyOne leaves its updated_at empty, the service says when it was created", async () => {
    const [theirs, ours] = [newStore(), newStore()];
    await python("create_store", theirs);
    await service().createStore(ours);
    expect((await stored(theirs, "__store__")).updated_at).toBeNull();
    expect((await stored(ours, "__store__")).updated_at).toBeInstanceOf(Date);
    const read = await service().getStore(theirs);
    expect(read?.updatedAt).toEqual(read?.createdAt);
  });

  test("limits: FiftyOne has none, the service reads and deletes what is over its own", async () => {
    const [store, key] = [`${newStore()}${"s".repeat(300)}`, "k".repeat(1100)];
    await python("set_key", store, key, 1);
    await sides.command(NONE, "set_nested", { store_name: store, key: "deep", steps: 110 });
    expect(await service().listKeys(store).toArray()).toEqual(["deep", key]);
    expect((await service().getKey(store, key))?.value).toBe(1);
    const deep = await service().getKey(store, "deep", { encoding: "raw" });
    await expect(service().setKey(store, key, 2)).rejects.toMatchObject({ kind: "INVALID_ARGUMENT" });
    await expect(service().setKey("s", "deep", deep?.value)).rejects.toMatchObject({
      reason: "VALUE_TOO_DEEP",
    });
    expect(await service().deleteKey(store, key)).toBe(true);
    expect(await service().deleteStore(store)).toBe(1);
  });

  test("documents of older releases, without dataset_id and policy", async () => {
    const store = newStore();
    for (const key of ["kept", "timed"])
      await python("set_key", store, key, 1, key === "timed" ? HOUR : null);
    for (const key of ["kept", "timed"]) await tamper(store, key, {}, ["dataset_id", "policy"]);
    expect(await service().getKey(store, "kept")).toMatchObject({ policy: "persist", datasetId: undefined });
    expect(await service().getKey(store, "timed")).toMatchObject({ policy: "evict" });
    await service().setKey(store, "kept", 2);
    expect(await python("get_key", store, "kept")).toMatchObject({ value: 2, policy: "persist" });
    expect(await sides.documents({ store_name: store })).toHaveLength(2);
    expect(await service().deleteStore(store)).toBe(2);
  });

  test("all contexts: FiftyOne takes a store with older documents for two and deletes documents, not stores", async () => {
    const ours = service(GLOBAL);
    const inGlobal = <T>(method: string, ...args: unknown[]): Promise<T> =>
      sides.python<T>(GLOBAL, method, ...args);
    for (const store of ["theirs", "ours"]) {
      for (const key of ["a", "b", "c"]) await ours.setKey(store, key, 1);
      await sides.database
        .collection("global")
        .updateOne({ store_name: store, key: "a" }, { $unset: { dataset_id: 1 } });
    }
    expect(await inGlobal("count_stores_global")).toBe(4);
    expect(await inGlobal("list_stores_global")).toHaveLength(4);
    expect(await ours.countStoresGlobal()).toBe(2);
    expect(await ours.listStoresGlobal().toArray()).toHaveLength(2);
    expect(await inGlobal("delete_store_global", "theirs")).toBe(3);
    expect(await ours.deleteStoreGlobal("ours")).toEqual({ stores: 1, documents: 3 });
  });

  test("clear_cache and cleanup: FiftyOne answers nothing, the service a count", async () => {
    const place: Place = { datasetId: new ObjectId() };
    const fill = () => sides.serviceIn(place).setCacheKey("s", "k", 1);
    await fill();
    expect(await sides.python(place, "clear_cache")).toBeNull();
    await fill();
    expect(await sides.python(place, "cleanup")).toBeNull();
    await fill();
    expect(await sides.serviceIn(place).clearCache()).toBe(1);
    await fill();
    expect(await sides.serviceIn(place).cleanup()).toBe(1);
  });

  test("expiry: FiftyOne goes on with a key until it is removed, the service never does", async () => {
    // Nobody removes anything here, so that both sides can be seen with what has expired.
    const engine = await openMongoEngine({
      uri: sides.uri,
      collections: ["unswept"],
      sweepIntervalMs: HOUR_MS,
    });
    const server = await startTestServer({ engine, collections: ["unswept"] });
    onTestFinished(() => server.close());
    const ours = new ExecutionStoreService({ address: server.address, collectionName: "unswept" });
    onTestFinished(() => ours.close());
    const theirs = <T = unknown>(method: string, ...args: unknown[]): Promise<T> =>
      sides.python<T>(UNSWEPT, method, ...args);
    for (const key of ["read", "set", "claimed"]) await theirs("set_key", "s", key, 1, HOUR);
    const documents = sides.database.collection("unswept");
    await documents.dropIndex("expires_at");
    const expired = new Date(Date.now() - HOUR_MS);
    await documents.updateMany({}, { $set: { expires_at: expired } });

    expect(await ours.getKey("s", "read")).toBeUndefined();
    expect(await ours.hasKey("s", "read")).toBe(false);
    expect(await ours.countKeys("s")).toBe(0);
    expect(await ours.hasStore("s")).toBe(false);
    expect(await theirs("get_key", "s", "read")).toMatchObject({ value: 1, expires_at: expired });
    expect(await theirs("has_key", "s", "read")).toBe(true);
    expect(await theirs("count_keys", "s")).toBe(3);
    expect(await theirs("has_store", "s")).toBe(true);

    expect(await theirs("set_key_if_absent", "s", "claimed", 2)).toBe(false);
    expect((await ours.setKeyIfAbsent("s", "claimed", 3)).set).toBe(true);
    await theirs("set_key", "s", "set", 2);
    expect(await theirs("get_key", "s", "set")).toMatchObject({ value: 2, expires_at: expired });
    expect(await ours.getKey("s", "set")).toBeUndefined();
    expect((await ours.setKey("s", "set", 3)).created).toBe(true);
    expect(await ours.listKeys("s").toArray()).toEqual(["claimed", "set"]);
    expect(await theirs("get_key", "s", "claimed")).toMatchObject({ value: 3, expires_at: null });
  });
});
