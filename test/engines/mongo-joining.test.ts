import type { CommandStartedEvent } from "mongodb";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type KeyWrites, openKeyWrites } from "../../src/engines/mongo/key-writes.js";
import { type KeyReads, openKeyReads } from "../../src/engines/mongo/reads.js";
import { compareAndSetKey, deleteKey, setKeyIfAbsent, updateTtl } from "../../src/engines/mongo/writes.js";
import { fromValueBson, toValueBson } from "../../src/value/plain.js";
import { leavesOut } from "../support/left-out.js";
import { type BareCollection, openBareCollection } from "./mongo-collection.js";

const scope = { collection: "joined", datasetId: "" };

function target(key: string) {
  return { scope, storeName: "s", key };
}

function write(value: unknown, ttlMs?: number) {
  return { value: toValueBson(value), ttlMs, policy: "persist" as const };
}

describe.skipIf(leavesOut("mongodb"))("calls that come together", () => {
  let bare: BareCollection;
  let writes: KeyWrites;
  let reads: KeyReads;

  beforeAll(async () => {
    bare = await openBareCollection(scope.collection);
    writes = openKeyWrites(bare.collection);
    reads = openKeyReads(bare.collection);
    // The first call has the primary show that it is one.
    await bare.connection.confirmed();
  });
  afterAll(() => bare?.close());

  const set = (key: string, value: unknown, ttlMs?: number) =>
    writes.setKey(target(key), write(value, ttlMs), undefined);

  const setIfAbsent = (key: string, value: unknown) =>
    setKeyIfAbsent(bare.collection, target(key), write(value), undefined);

  /** The names of the commands that the driver sends meanwhile. */
  async function commandsOf(work: () => Promise<unknown>): Promise<string[]> {
    const names: string[] = [];
    const note = ({ commandName }: CommandStartedEvent): void => void names.push(commandName);
    bare.connection.client.on("commandStarted", note);
    try {
      await work();
    } finally {
      bare.connection.client.off("commandStarted", note);
    }
    return names;
  }

  test("a lone call is one command, and a conditional one two", async () => {
    expect(await commandsOf(() => set("a", 1))).toEqual(["findAndModify"]);
    expect(await commandsOf(() => set("a", 2, 60_000))).toEqual(["findAndModify"]);
    expect(await commandsOf(() => reads.getKey(target("a"), true, undefined))).toEqual(["find"]);
    expect(await commandsOf(() => updateTtl(bare.collection, target("a"), 50_000, undefined))).toEqual([
      "findAndModify",
    ]);
    expect(await commandsOf(() => setIfAbsent("b", 1))).toEqual(["find", "findAndModify"]);
    expect(await commandsOf(() => setIfAbsent("b", 1))).toEqual(["find"]);
    const change = { value: toValueBson(2), ttlMs: undefined, policy: undefined };
    const swap = () =>
      compareAndSetKey(bare.collection, target("b"), { value: toValueBson(1) }, change, undefined);
    expect(await commandsOf(swap)).toEqual(["find", "update"]);
    expect(await commandsOf(() => deleteKey(bare.collection, target("b"), undefined, undefined))).toContain(
      "findAndModify",
    );
  });

  test("reads are one command", async () => {
    await Promise.all(Array.from({ length: 40 }, (_, index) => set(`r${index}`, index)));
    const found = new Map<number, unknown>();
    const names = await commandsOf(() =>
      Promise.all(
        Array.from({ length: 50 }, async (_, index) => {
          const document = await reads.getKey(target(`r${index}`), true, undefined);
          found.set(index, document?.value && fromValueBson(document.value));
        }),
      ),
    );
    expect(names).toEqual(["find"]);
    for (const [index, value] of found) expect(value).toBe(index < 40 ? index : undefined);
  });

  test("sets are few commands, each with its own result", async () => {
    await Promise.all(Array.from({ length: 32 }, (_, index) => set(`k${index}`, 0)));
    let results: Awaited<ReturnType<typeof set>>[] = [];
    const names = await commandsOf(async () => {
      results = await Promise.all(
        Array.from({ length: 64 }, (_, index) => set(`k${index}`, index, 600_000 + index)),
      );
    });
    // The last one learns when the new ones were written.
    expect(names).toEqual(["find", "update", "find"]);
    expect(results.map(({ created }) => created)).toEqual(
      Array.from({ length: 64 }, (_, index) => index >= 32),
    );
    for (const [index, { document }] of results.entries()) {
      expect(await reads.getKey(target(`k${index}`), false, undefined)).toEqual(document);
      expect(Number(document.expiresAt) - document.updatedAt).toBe(600_000 + index);
    }
  });

  test("keys that another program's transaction holds delay no other, alone or together", async () => {
    const held = ["h0", "h1", "h2", "h3"];
    await Promise.all(held.map((key) => set(key, 0)));
    const session = bare.connection.client.startSession();
    onTestFinished(() => session.endSession());
    session.startTransaction();
    await bare.connection.db
      .collection(scope.collection)
      .updateMany({ key: { $in: held } }, { $set: { policy: "evict" } }, { session });
    let ended = 0;
    const blocked: Promise<unknown>[] = [];
    for (const key of held) {
      blocked.push(set(key, 1).finally(() => (ended += 1)));
      // One after another, so that each is on its way alone.
      await new Promise((resolve) => setImmediate(resolve));
      await reads.getKey(target(key), false, undefined);
    }
    await Promise.all([set("free", 1), ...Array.from({ length: 20 }, (_, index) => set(`free${index}`, 1))]);
    expect(ended).toBe(0);
    await session.commitTransaction();
    await Promise.all(blocked);
    expect(ended).toBe(held.length);
  });
});
