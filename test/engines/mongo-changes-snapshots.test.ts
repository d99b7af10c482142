import { describe, expect, it } from "vitest";
import type { ChangeSnapshot } from "../../src/store/changes.js";
import { EVERYTHING } from "../conformance/changes/change-world.js";
import { leavesOut } from "../support/left-out.js";
import { testDatabase } from "../support/mongodb/test-database.js";
import { until } from "../support/until.js";
import { keyDocument, openWatched } from "./watched-collection.js";

async function keysOf(snapshot: ChangeSnapshot): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of snapshot.pages()) keys.push(...page.map(({ key }) => key));
  return keys;
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `key ${String(index).padStart(5, "0")}`);
}

describe.skipIf(leavesOut("mongodb"))("a snapshot", () => {
  it("is read beside the calls, which do not wait for it, nor it for them", async () => {
    const { uri } = await testDatabase();
    const { source, connection, documents } = await openWatched({ uri: `${uri}&maxPoolSize=1` });
    const keys = numbered(100);
    await documents.insertMany(keys.map((key) => keyDocument(key)));
    const snapshot = await source.snapshot(EVERYTHING, true);
    const controller = new AbortController();
    // The only turn that calls have.
    const call = connection.run(undefined, "read", async () => {
      await new Promise((resolve) => controller.signal.addEventListener("abort", resolve));
    });
    expect(await keysOf(snapshot)).toEqual(keys);
    controller.abort();
    await call;
  });

  it("waits in line with hundreds of others, for each page anew", async () => {
    const { source, documents } = await openWatched();
    const keys = numbered(20);
    await documents.insertMany(keys.map((key) => keyDocument(key)));
    const snapshots = await Promise.all(Array.from({ length: 400 }, () => source.snapshot(EVERYTHING, true)));
    for (const read of await Promise.all(snapshots.map(keysOf))) expect(read).toEqual(keys);
  });

  it("that waits in line ends with its caller, and with the source", async () => {
    const { source, closeWatch, documents } = await openWatched();
    await documents.insertMany(numbered(1_000).map((key) => keyDocument(key)));
    const controller = new AbortController();
    const snapshots = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        source.snapshot(EVERYTHING, true, index === 39 ? { signal: controller.signal } : {}),
      ),
    );
    const reads = snapshots.map(async (snapshot) => {
      try {
        return (await keysOf(snapshot)).length;
      } catch (error) {
        return error;
      }
    });
    const gone = new Error("the caller is gone");
    controller.abort(gone);
    expect(await reads.at(-1)).toBe(gone);
    await closeWatch();
    for (const read of await Promise.all(reads.slice(8, -1))) {
      if (read !== 1_000) expect(read).toMatchObject({ reason: "SHUTTING_DOWN" });
    }
  });

  it("of many small documents comes in pages that are soon made ready", async () => {
    const { source, documents } = await openWatched();
    const keys = numbered(2_500);
    await documents.insertMany(keys.map((key) => keyDocument(key)));
    const read: string[] = [];
    for await (const page of (await source.snapshot(EVERYTHING, true)).pages()) {
      expect(page.length).toBeLessThanOrEqual(1_000);
      read.push(...page.map(({ key }) => key));
    }
    expect(read).toEqual(keys);
  });

  it("shows nothing that another program wrote into a document which had expired", async () => {
    const { source, documents } = await openWatched();
    for (let round = 0; round < 30; round += 1) {
      const expiresAt = new Date(Date.now() + 10 + round);
      await documents.insertOne({ ...keyDocument("key"), policy: "evict", expires_at: expiresAt });
      const taken = source.snapshot(EVERYTHING, false);
      // At another place of its beginning each time.
      await until(() => Date.now() > expiresAt.getTime(), "it has expired");
      await documents.updateOne({ key: "key" }, { $set: { updated_at: new Date() } });
      for await (const page of (await taken).pages()) {
        expect(page.filter((document) => document.updatedAt >= (document.expiresAt ?? Infinity))).toEqual([]);
      }
      await documents.deleteOne({ key: "key" });
    }
  });

  it("does without the index that it names where somebody has dropped that", async () => {
    const { source, connection, documents } = await openWatched();
    const keys = numbered(1_500);
    await documents.insertMany(keys.map((key) => keyDocument(key)));
    const pages = (await source.snapshot(EVERYTHING, true)).pages();
    const first = await pages.next();
    await documents.dropIndexes();
    const { losses } = connection.hints;
    const rest: string[] = [];
    for await (const page of pages) rest.push(...page.map(({ key }) => key));
    expect([...(first.value ?? []).map(({ key }) => key), ...rest]).toEqual(keys);
    await until(() => connection.hints.losses > losses, "the index is not named any more");
  });

  it("is whole while indexes are made, and given up if the collection is renamed and back", async () => {
    const { source, documents } = await openWatched();
    const keys = numbered(1_500);
    await documents.insertMany(keys.map((key) => keyDocument(key)));
    const [whole, gone] = [
      await source.snapshot(EVERYTHING, false),
      await source.snapshot(EVERYTHING, false),
    ];
    await documents.createIndex({ another: 1 });
    expect(await keysOf(whole)).toEqual(keys);
    await (await documents.rename("elsewhere")).rename(documents.collectionName);
    await expect(gone.pages().next()).rejects.toMatchObject({
      kind: "UNAVAILABLE",
      reason: "DATABASE_CONFLICT",
      message: expect.stringContaining("renamed") as string,
    });
  });
});
