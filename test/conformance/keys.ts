import { expect } from "vitest";
import {
  type Check,
  documentsOf,
  evict,
  expiring,
  FIRST,
  keysOf,
  persist,
  plain,
  present,
  readValue,
  valueOf,
} from "./world.js";

/** Setting, reading and deleting single keys. */
export function keys(check: Check): void {
  check("sets a key, reads it and says that it was created", async ({ engine, clock }) => {
    const { document, created } = await engine.setKey(FIRST, "jobs", "key", persist("hello"));
    expect(created).toBe(true);
    expect(document).toEqual({
      datasetId: FIRST.datasetId,
      storeName: "jobs",
      key: "key",
      value: undefined,
      createdAt: clock.at(0),
      updatedAt: clock.at(0),
      expiresAt: undefined,
      policy: "persist",
      etag: document.etag,
    });
    expect(document.etag).not.toBe("");
    const found = present(await engine.getKey(FIRST, "jobs", "key", true));
    expect({ ...found, value: plain(found.value) }).toEqual({ ...document, value: plain(valueOf("hello")) });
    expect(await engine.getKey(FIRST, "jobs", "key", false)).toEqual(document);
    expect(await engine.hasKey(FIRST, "jobs", "key")).toBe(true);
    expect(await engine.countKeys(FIRST, "jobs", "")).toBe(1);
    expect(await keysOf(engine, FIRST, "jobs")).toEqual(["key"]);
  });

  check("overwrites value, policy and expiry together and keeps createdAt", async ({ engine, clock }) => {
    const first = await engine.setKey(FIRST, "jobs", "key", expiring(1_000_000, "old"));
    clock.advance(10_000);
    const second = await engine.setKey(FIRST, "jobs", "key", persist("new"));
    expect(second.created).toBe(false);
    expect(second.document).toMatchObject({
      createdAt: first.document.createdAt,
      updatedAt: clock.at(10_000),
      expiresAt: undefined,
      policy: "persist",
    });
    expect(second.document.etag).not.toBe(first.document.etag);
    expect(plain(await readValue(engine, FIRST, "jobs", "key"))).toEqual(plain(valueOf("new")));
    clock.advance(1_000_000);
    expect(await engine.hasKey(FIRST, "jobs", "key")).toBe(true);
    expect(await engine.countKeys(FIRST, "jobs", "")).toBe(1);
  });

  check("misses what is not there in every reading and changing method", async ({ engine }) => {
    await engine.setKey(FIRST, "jobs", "other", persist());
    for (const store of ["jobs", "nowhere"]) {
      expect(await engine.getKey(FIRST, store, "key", true)).toBeUndefined();
      expect(await engine.hasKey(FIRST, store, "key")).toBe(false);
      expect(await engine.deleteKey(FIRST, store, "key", undefined)).toBe(false);
      expect(await engine.deleteKey(FIRST, store, "key", "etag")).toBe(false);
      expect(await engine.updateTtl(FIRST, store, "key", 1_000_000)).toBeUndefined();
      expect(await engine.updatePolicy(FIRST, store, "key", "evict")).toBeUndefined();
      const write = { value: valueOf(1), ttlMs: undefined, policy: undefined };
      const missing = { set: false, document: undefined };
      expect(await engine.compareAndSetKey(FIRST, store, "key", { value: valueOf("value") }, write)).toEqual(
        missing,
      );
      expect(await engine.compareAndSetKey(FIRST, store, "key", { etag: "etag" }, write)).toEqual(missing);
    }
    expect(await engine.hasStore(FIRST, "nowhere")).toBe(false);
    expect(await keysOf(engine, FIRST, "jobs")).toEqual(["other"]);
    expect(await engine.countKeys(FIRST, "nowhere", "")).toBe(0);
    expect(await documentsOf(engine, FIRST, "nowhere")).toEqual([]);
  });

  check("deletes a key once and creates it anew", async ({ engine, clock }) => {
    const first = await engine.setKey(FIRST, "jobs", "key", persist("old"));
    expect(await engine.deleteKey(FIRST, "jobs", "key", undefined)).toBe(true);
    expect(await engine.deleteKey(FIRST, "jobs", "key", undefined)).toBe(false);
    expect(await readValue(engine, FIRST, "jobs", "key")).toBeUndefined();
    clock.advance(10_000);
    const second = await engine.setKey(FIRST, "jobs", "key", persist("new"));
    expect(second.created).toBe(true);
    expect(second.document.createdAt).toEqual(clock.at(10_000));
    expect(second.document.etag).not.toBe(first.document.etag);
    expect(plain(await readValue(engine, FIRST, "jobs", "key"))).toEqual(plain(valueOf("new")));
  });

  check("deletes only the version that an etag names", async ({ engine }) => {
    const stale = (await engine.setKey(FIRST, "jobs", "key", persist("same"))).document.etag;
    const other = (await engine.setKey(FIRST, "jobs", "other", persist("same"))).document.etag;
    const current = (await engine.setKey(FIRST, "jobs", "key", persist("same"))).document.etag;
    expect(await engine.deleteKey(FIRST, "jobs", "key", stale)).toBe(false);
    expect(await engine.deleteKey(FIRST, "jobs", "key", other)).toBe(false);
    expect(await engine.deleteKey(FIRST, "jobs", "key", "no etag of ours")).toBe(false);
    expect(await engine.hasKey(FIRST, "jobs", "key")).toBe(true);
    expect(await engine.deleteKey(FIRST, "jobs", "key", current)).toBe(true);
    expect(await engine.deleteKey(FIRST, "jobs", "key", current)).toBe(false);
    await engine.setKey(FIRST, "jobs", "key", persist("same"));
    expect(await engine.deleteKey(FIRST, "jobs", "key", current)).toBe(false);
    expect(await engine.hasKey(FIRST, "jobs", "key")).toBe(true);
  });

  check("changes the etag with every change and with nothing else", async ({ engine, clock }) => {
    const etags = [
      (await engine.setKey(FIRST, "jobs", "key", persist("same"))).document.etag,
      (await engine.setKey(FIRST, "jobs", "key", persist("same"))).document.etag,
      (await engine.updateTtl(FIRST, "jobs", "key", 1_000_000))?.etag,
      (await engine.updateTtl(FIRST, "jobs", "key", 1_000_000))?.etag,
      (await engine.updatePolicy(FIRST, "jobs", "key", "evict"))?.etag,
      (await engine.updatePolicy(FIRST, "jobs", "key", "persist"))?.etag,
    ];
    const swapped = await engine.compareAndSetKey(
      FIRST,
      "jobs",
      "key",
      { value: valueOf("same") },
      evict("same"),
    );
    etags.push(swapped.document?.etag);
    await engine.deleteKey(FIRST, "jobs", "key", undefined);
    etags.push((await engine.setKey(FIRST, "jobs", "key", persist("same"))).document.etag);
    expect(new Set(etags).size).toBe(etags.length);

    const current = etags.at(-1);
    clock.advance(50_000);
    await engine.setKeyIfAbsent(FIRST, "jobs", "key", persist("loser"));
    await engine.compareAndSetKey(FIRST, "jobs", "key", { value: valueOf("wrong") }, persist("loser"));
    await engine.deleteKey(FIRST, "jobs", "key", etags[0]);
    await engine.setKey(FIRST, "jobs", "other", persist());
    expect((await engine.getKey(FIRST, "jobs", "key", false))?.etag).toBe(current);
    expect((await documentsOf(engine, FIRST, "jobs"))[0]?.etag).toBe(current);
    const batch = await engine.batchGetKeys(FIRST, "jobs", ["key"], { withValue: false, maxBytes: 1000 });
    expect(batch.documents[0]?.etag).toBe(current);
  });

  check("answers the same document from every method", async ({ engine, clock }) => {
    await engine.setKey(FIRST, "jobs", "key", expiring(5_000_000, { nested: [1, 2] }));
    clock.advance(3000);
    const updated = present(await engine.updateTtl(FIRST, "jobs", "key", 7_000_000));
    expect(updated.value).toBeUndefined();
    expect(await engine.getKey(FIRST, "jobs", "key", false)).toEqual(updated);
    expect(await documentsOf(engine, FIRST, "jobs", { withValue: false })).toEqual([updated]);
    const values = { withValue: false, maxBytes: 1000 };
    expect((await engine.batchGetKeys(FIRST, "jobs", ["key"], values)).documents).toEqual([updated]);
    const lost = await engine.setKeyIfAbsent(FIRST, "jobs", "key", persist());
    expect(lost).toEqual({ set: false, document: updated });
    const stale = await engine.compareAndSetKey(FIRST, "jobs", "key", { etag: "stale" }, persist());
    expect(stale).toEqual({ set: false, document: updated });
  });
}
