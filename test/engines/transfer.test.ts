import { Double, Int32, serialize } from "bson";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Engine, Write } from "../../src/store/engine.js";
import type { Archive, ArchivedDocument, TransferOutcome } from "../../src/store/transfer.js";
import { COLLECTION, inOrder, openLmdb, openMongo, readAll, transferAll } from "../support/archives.js";
import { checkLmdb } from "../support/check-lmdb.js";
import { leavesOut } from "../support/left-out.js";
import { testDatabase } from "../support/mongodb/test-database.js";
import { tempDir } from "../support/temp-dir.js";
import { until } from "../support/until.js";
import { bsonValue, documentOf } from "../unit/value/arbitraries.js";
import { CASES } from "../unit/value/cases.js";

const DATASET = "65f0c0ffee65f0c0ffee65f0";
const SCOPES = ["", DATASET].map((datasetId) => ({ collection: COLLECTION, datasetId }));
const NONE = { collection: COLLECTION, datasetId: "" };
const HOUR_MS = 3_600_000;

const text = (value: unknown): Uint8Array => serialize({ value });

function document(changes: Partial<ArchivedDocument> = {}): ArchivedDocument {
  return {
    datasetId: "",
    storeName: "store",
    key: "key",
    createdAt: 1_700_000_000_000,
    updatedAt: 1_700_000_000_001,
    expiresAt: undefined,
    policy: "persist",
    value: text("a"),
    ...changes,
  };
}

/** Values of every type, keys and stores of awkward names, in both contexts, with every policy and expiry. */
async function fill(engine: Engine): Promise<void> {
  for (const scope of SCOPES) {
    for (const [index, { name, bson }] of CASES.entries()) {
      const ttlMs = index % 3 === 0 ? HOUR_MS + index : undefined;
      const policy = index % 2 === 0 ? "persist" : "evict";
      await engine.setKey(scope, `types-${index % 3}`, name, { value: bson, ttlMs, policy });
    }
    const write: Write = { value: text("x".repeat(70_000)), ttlMs: undefined, policy: "persist" };
    for (const name of ["a", "ä", "a b", "\u{1f600}", "z".repeat(255)]) {
      await engine.setKey(scope, name, `${name}.key`, write);
    }
    await engine.createStore(scope, "only-itself", serialize({ a: new Int32(1), "b.c": { $x: 1 } }), "evict");
    await engine.createStore(scope, "without-metadata", undefined, "persist");
    await engine.createStore(scope, "empty-metadata", serialize({}), "persist");
    await engine.setKey(scope, "gone", "in a moment", { value: text(1), ttlMs: 1, policy: "evict" });
  }
}

/** What a copy must be able to make equal, by the kinds of the two engines. */
const TARGETS: Record<string, () => Promise<Archive>> = {
  LMDB: async () => (await openLmdb()).archive,
  ...(leavesOut("mongodb") ? {} : { MongoDB: async () => openMongo((await testDatabase()).uri) }),
};

/** One change of a history. */
const change = fc.record({
  kind: fc.constantFrom("set", "set", "set", "ttl", "policy", "delete", "store"),
  scope: fc.constantFrom(...SCOPES),
  storeName: fc.constantFrom("s", "S", "ß"),
  key: fc.constantFrom("a", "b", "ü", "__store", "0"),
  value: bsonValue().map(documentOf),
  ttlMs: fc.option(fc.integer({ min: HOUR_MS, max: 100 * HOUR_MS }), { nil: undefined }),
  policy: fc.constantFrom("persist" as const, "evict" as const),
});

async function make(
  engine: Engine,
  changes: readonly (typeof change extends fc.Arbitrary<infer T> ? T : never)[],
) {
  for (const { kind, scope, storeName, key, value, ttlMs, policy } of changes) {
    if (kind === "set") await engine.setKey(scope, storeName, key, { value, ttlMs, policy });
    else if (kind === "ttl") await engine.updateTtl(scope, storeName, key, ttlMs ?? HOUR_MS);
    else if (kind === "policy") await engine.updatePolicy(scope, storeName, key, policy);
    else if (kind === "delete") await engine.deleteKey(scope, storeName, key, undefined);
    else if ((await engine.getStore(scope, storeName))?.own === undefined)
      await engine.createStore(scope, storeName, serialize({ n: new Double(1) }), policy);
  }
}

describe.each(Object.entries(TARGETS))("from LMDB to %s", (_name, openTarget) => {
  test("keeps values of every type, times, policies and expiry, both contexts, and the stores' own documents", async () => {
    const source = await openLmdb();
    await fill(source);
    await until(async () => !(await source.hasStore(NONE, "gone")), "the short-lived keys expire");
    const target = await openTarget();
    const all = await readAll(source.archive);
    expect(all).toHaveLength(2 * (CASES.length + 5 + 3));
    expect(await transferAll(source.archive, target, "compare")).toEqual({ missing: all.length });
    expect(await transferAll(source.archive, target, "add")).toEqual({ created: all.length });
    expect(await transferAll(source.archive, target, "add")).toEqual({ same: all.length });
    expect(await transferAll(source.archive, target, "compare")).toEqual({ same: all.length });
    expect(inOrder(await readAll(target))).toEqual(inOrder(all));
    expect((await target.size(COLLECTION)).documents).toBe(all.length);
    // And back again: nothing was lost on the way, and the new directory is consistent.
    const path = tempDir();
    const back = await openLmdb({ path });
    expect(await transferAll(target, back.archive, "add")).toEqual({ created: all.length });
    expect(inOrder(await readAll(back.archive))).toEqual(inOrder(all));
    await back.close();
    expect(await checkLmdb(path)).toMatchObject({ documents: all.length });
  });

  test("keeps whatever histories leave", { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 25 }), async (changes) => {
        const source = await openLmdb();
        const target = await openTarget();
        await make(source, changes);
        await transferAll(source.archive, target, "add");
        expect(inOrder(await readAll(target))).toEqual(inOrder(await readAll(source.archive)));
        // More changes: only what differs is replaced, and what is gone in the source stays.
        await make(source, changes.toReversed());
        const before = await transferAll(source.archive, target, "add");
        const after = await transferAll(source.archive, target, "overwrite");
        expect(after.replaced ?? 0).toBe(before.differs ?? 0);
        const total = (await readAll(source.archive)).length;
        expect(await transferAll(source.archive, target, "compare")).toEqual(
          total === 0 ? {} : { same: total },
        );
      }),
      { numRuns: 12 },
    );
  });

  test("copies more than one part holds", async () => {
    const source = await openLmdb();
    const large = { value: text("x".repeat(1_500_000)), ttlMs: undefined, policy: "persist" } as const;
    // Each begins with the one before.
    const keys = Array.from({ length: 13 }, (_, index) => "k".repeat(index + 1));
    for (const key of keys) await source.setKey(NONE, "large", key, large);
    const small = Array.from({ length: 700 }, (_, index) => ({
      ...large,
      key: `k${index}`,
      value: text(index),
    }));
    for (const store of ["a", "b", "c"]) await source.batchSetKeys(NONE, store, small);
    const target = await openTarget();
    const total = keys.length + 3 * small.length;
    expect(await transferAll(source.archive, target, "add")).toEqual({ created: total });
    expect(await readAll(target)).toHaveLength(total);
  });

  test("leaves what differs as it is, unless told to overwrite", async () => {
    const target = await openTarget();
    const variants: ArchivedDocument[] = [
      document({ value: text("b") }),
      document({ value: text(new Double(1)) }),
      document({ updatedAt: document().updatedAt + 1 }),
      document({ createdAt: document().createdAt - 1 }),
      document({ policy: "evict" }),
      document({ expiresAt: Date.now() + HOUR_MS }),
    ];
    const write = async (one: ArchivedDocument, mode: "add" | "overwrite" | "compare") =>
      target.write(COLLECTION, [one], mode);
    expect(await write(document(), "add")).toEqual(["created"]);
    for (const variant of variants) {
      expect(await write(variant, "compare")).toEqual(["differs"]);
      expect(await write(variant, "add")).toEqual(["differs"]);
      expect(await readAll(target)).toEqual([
        expect.objectContaining({ policy: "persist", expiresAt: undefined }),
      ]);
      expect(await write(variant, "overwrite")).toEqual(["replaced"]);
      expect(inOrder(await readAll(target))).toEqual(inOrder([variant]));
      expect(await write(document(), "overwrite")).toEqual(["replaced"]);
    }
    expect(await write(document(), "overwrite")).toEqual(["same"]);
  });

  test("does not copy what has expired, nor is hindered by it", async () => {
    const target = await openTarget();
    const gone = document({ expiresAt: Date.now() - 1 });
    for (const mode of ["compare", "add", "overwrite"] as const) {
      expect(await target.write(COLLECTION, [gone], mode)).toEqual(["expired"]);
    }
    const soon = document({ expiresAt: Date.now() + 300, policy: "evict" });
    expect(await target.write(COLLECTION, [soon], "add")).toEqual(["created"]);
    const writeLater = async (): Promise<TransferOutcome | undefined> =>
      (await target.write(COLLECTION, [document()], "add"))[0];
    let outcome = await writeLater();
    expect(outcome).toBe("differs");
    await until(async () => (outcome = await writeLater()) !== "differs", "the first one has expired");
    expect(outcome).toBe("created");
    expect(inOrder(await readAll(target))).toEqual(inOrder([document()]));
  });

  test("ends at once when its caller goes", async () => {
    const target = await openTarget();
    await target.write(COLLECTION, [document()], "add");
    const signal = AbortSignal.abort(new Error("gone"));
    await expect(target.write(COLLECTION, [document()], "overwrite", { signal })).rejects.toThrow("gone");
    await expect(target.read(COLLECTION, { signal }).next()).rejects.toThrow("gone");
    await expect(target.size(COLLECTION, { signal })).rejects.toThrow("gone");
  });
});

describe("into LMDB", () => {
  test("later changes are later than all that was copied, and versions are new ones", async () => {
    const { archive, ...engine } = await openLmdb();
    const future = Date.now() + 10 * HOUR_MS;
    const set = async (key: string) =>
      (await engine.setKey(NONE, "store", key, { value: text(1), ttlMs: undefined, policy: "persist" }))
        .document;
    const first = document({ key: "a", updatedAt: future });
    await archive.write(COLLECTION, [first, document({ key: "b", updatedAt: future })], "add");
    const etag = (await engine.getKey(NONE, "store", "a", false))?.etag;
    const changed = await set("a");
    expect(changed.updatedAt).toBeGreaterThan(future);
    expect(changed.createdAt).toBe(first.createdAt);
    expect(changed.etag).not.toBe(etag);
    // An older document in place of a newer one: what follows is later than both.
    await archive.write(COLLECTION, [document({ key: "a", updatedAt: 5 })], "overwrite");
    expect(await engine.getKey(NONE, "store", "a", false)).toMatchObject({ updatedAt: 5 });
    const again = await set("a");
    expect(again.updatedAt).toBeGreaterThan(changed.updatedAt);
    expect(again.etag).not.toBe(etag);
    // Also across a deletion.
    await engine.deleteKey(NONE, "store", "b", undefined);
    await archive.write(COLLECTION, [document({ key: "b", updatedAt: 5 })], "add");
    expect((await set("b")).updatedAt).toBeGreaterThan(future);
  });

  test("copied documents are listed, counted, expired and cleared like any others", async () => {
    const path = tempDir();
    const { archive, ...engine } = await openLmdb({ path });
    const soon = Date.now() + 400;
    const copied = [
      document({ key: undefined, value: text({ a: 1 }) }),
      document({ key: "kept" }),
      document({ key: "evictable", policy: "evict" }),
      document({ key: "soon", policy: "evict", expiresAt: soon, value: text("x".repeat(5000)) }),
      document({ key: "lasting", policy: "evict", expiresAt: soon + HOUR_MS }),
      document({ key: "elsewhere", datasetId: DATASET }),
    ];
    expect(await archive.write(COLLECTION, copied, "add")).toEqual(copied.map(() => "created"));
    expect((await engine.getStore(NONE, "store"))?.own?.metadata).toEqual(Buffer.from(serialize({ a: 1 })));
    expect(await engine.countStoresGlobal(COLLECTION)).toBe(2);
    const listed = async () =>
      (await engine.listKeys(NONE, "store", { prefix: "", after: undefined, limit: 10 })).items;
    await until(async () => (await engine.countKeys(NONE, "store", "")) === 3, "one of them expires");
    expect(Date.now()).toBeGreaterThanOrEqual(soon);
    expect(await listed()).toEqual(["evictable", "kept", "lasting"]);
    expect(await engine.clearCache(NONE, "store")).toBe(2);
    expect(await listed()).toEqual(["kept"]);
    await engine.sweep();
    await engine.close();
    expect(await checkLmdb(path)).toMatchObject({ documents: 3 });
  });

  test("refuses what its callers could not write, and copies the rest", async () => {
    const { archive } = await openLmdb();
    let deep: unknown = 1;
    for (let level = 0; level < 101; level += 1) deep = [deep];
    const refused: readonly [ArchivedDocument, RegExp][] = [
      [document({ key: "k".repeat(1025) }), /^its key is 1025 bytes long; expected 1 to 1024 bytes/],
      [document({ key: "a\0b" }), /NUL/],
      [document({ storeName: "s".repeat(256) }), /^store_name is 256 bytes long/],
      [document({ storeName: "" }), /is empty/],
      [
        document({ value: text("x".repeat(15 * 1024 * 1024)) }),
        /^its value is \d+ bytes of BSON, larger than/,
      ],
      [document({ value: text(deep) }), /nests deeper than 100 levels/],
      [document({ key: undefined, value: text("no object") }), /^its metadata is no object/],
      [document({ updatedAt: 2 ** 60 }), /one of its times/],
    ];
    for (const mode of ["compare", "add", "overwrite"] as const) {
      const outcomes = await archive.write(
        COLLECTION,
        refused.map(([one]) => one),
        mode,
      );
      for (const [index, [, problem]] of refused.entries()) {
        expect(outcomes[index]).toEqual({ refused: expect.stringMatching(problem) as string });
      }
    }
    const mixed = [document({ key: "" }), document(), document({ key: "b" })];
    expect(await archive.write(COLLECTION, mixed, "add")).toEqual([expect.anything(), "created", "created"]);
    expect(await readAll(archive)).toHaveLength(2);
  });
});
