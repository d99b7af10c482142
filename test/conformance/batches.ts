import { expect } from "vitest";
import { MAX_BATCH_KEYS, MAX_PAGE_BYTES } from "../../src/store/limits.js";
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

const VALUES = { withValue: true, maxBytes: MAX_PAGE_BYTES };

/** The most that an engine counts for a document besides its value. */
const OVERHEAD_BYTES = 256;

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

/** Many keys in one call. */
export function batches(check: Check): void {
  check("sets, reads and deletes many keys in the order asked for", async ({ engine, clock }) => {
    await engine.setKey(FIRST, "jobs", "b", persist("old"));
    clock.advance(5000);
    const results = await engine.batchSetKeys(FIRST, "jobs", [
      { key: "c", ...persist("vc") },
      { key: "b", ...evict("vb") },
      { key: "a", ...expiring(1_000_000, "va") },
    ]);
    expect(results.map(({ created }) => created)).toEqual([true, false, true]);
    expect(results.map(({ document }) => document)).toMatchObject([
      { key: "c", policy: "persist", expiresAt: undefined, createdAt: clock.at(5000), value: undefined },
      { key: "b", policy: "evict", expiresAt: undefined, createdAt: clock.at(0), updatedAt: clock.at(5000) },
      { key: "a", policy: "evict", expiresAt: clock.at(1_005_000), createdAt: clock.at(5000) },
    ]);
    const { documents } = await engine.batchGetKeys(FIRST, "jobs", ["b", "nowhere", "a", "c"], VALUES);
    expect(documents.map((document) => document?.key)).toEqual(["b", undefined, "a", "c"]);
    expect(documents.map((document) => plain(document?.value))).toEqual(
      ["vb", undefined, "va", "vc"].map((value) => plain(value === undefined ? undefined : valueOf(value))),
    );
    expect({ ...documents[3], value: undefined }).toEqual(results[0]?.document);
    expect(await engine.batchDeleteKeys(FIRST, "jobs", ["c", "nowhere", "a"])).toBe(2);
    expect(await keysOf(engine, FIRST, "jobs")).toEqual(["b"]);
    expect(await engine.batchDeleteKeys(FIRST, "jobs", ["c", "b"])).toBe(1);
    expect(await engine.hasStore(FIRST, "jobs")).toBe(false);
  });

  check("gives every key of a batch its own etag", async ({ engine }) => {
    const entries = Array.from({ length: 50 }, (_, index) => ({ key: `k${index}`, ...persist("same") }));
    const first = await engine.batchSetKeys(FIRST, "jobs", entries);
    const second = await engine.batchSetKeys(FIRST, "jobs", entries);
    expect(new Set([...first, ...second].map(({ document }) => document.etag)).size).toBe(100);
    expect(await engine.deleteKey(FIRST, "jobs", "k7", first[7]?.document.etag)).toBe(false);
    expect(await engine.deleteKey(FIRST, "jobs", "k7", second[7]?.document.etag)).toBe(true);
  });

  check("counts no values against the bytes asked for where none are asked for", async ({ engine }) => {
    const keys = ["a", "b", "c", "d", "e"];
    for (const key of keys) await engine.setKey(FIRST, "jobs", key, persist("x".repeat(1_000_000)));
    const values = { withValue: false, maxBytes: MAX_PAGE_BYTES };
    const { documents } = await engine.batchGetKeys(FIRST, "jobs", keys, values);
    expect(documents.map((document) => document?.key)).toEqual(keys);
    expect(documents.map((document) => document?.value)).toEqual(keys.map(() => undefined));
    const page = { prefix: "", after: undefined, limit: 10, ...values };
    expect(await engine.listValues(FIRST, "jobs", page)).toEqual({ items: documents, next: undefined });
  });

  check("takes no keys at all", async ({ engine }) => {
    expect(await engine.batchSetKeys(FIRST, "jobs", [])).toEqual([]);
    expect((await engine.batchGetKeys(FIRST, "jobs", [], VALUES)).documents).toEqual([]);
    expect(await engine.batchDeleteKeys(FIRST, "jobs", [])).toBe(0);
    expect(await engine.hasStore(FIRST, "jobs")).toBe(false);
  });

  check("takes the largest batch", async ({ engine }) => {
    const keys = Array.from(
      { length: MAX_BATCH_KEYS },
      (_, index) => `key-${(index * 7919) % MAX_BATCH_KEYS}`,
    );
    const results = await engine.batchSetKeys(
      FIRST,
      "jobs",
      keys.map((key) => ({ key, ...persist(key) })),
    );
    expect(results.map(({ document }) => document.key)).toEqual(keys);
    expect(await engine.countKeys(FIRST, "jobs", "")).toBe(MAX_BATCH_KEYS);
    const { documents } = await engine.batchGetKeys(FIRST, "jobs", keys, VALUES);
    expect(documents.map((document) => plain(document?.value))).toEqual(
      keys.map((key) => plain(valueOf(key))),
    );
    expect(await engine.batchDeleteKeys(FIRST, "jobs", keys)).toBe(MAX_BATCH_KEYS);
    expect(await engine.countStores(FIRST)).toBe(0);
  });

  check("reads and lists many large values completely", async ({ engine }) => {
    const keys = ["a", "b", "c", "d", "e", "f", "g"];
    for (const key of keys) await engine.setKey(FIRST, "jobs", key, persist(key.repeat(1_000_000)));
    let asked = keys;
    const found: string[] = [];
    while (asked.length > 0) {
      const { documents } = await engine.batchGetKeys(FIRST, "jobs", asked, VALUES);
      expect(documents.length).toBeGreaterThan(0);
      for (const document of documents) {
        const { key, value } = present(document);
        expect(Buffer.compare(present(value), valueOf(key.repeat(1_000_000)))).toBe(0);
        found.push(key);
      }
      asked = asked.slice(documents.length);
    }
    expect(found).toEqual(keys);
    const listed = await documentsOf(engine, FIRST, "jobs");
    expect(listed.map(({ key, value }) => [key, value?.length])).toEqual(
      keys.map((key) => [key, valueOf(key.repeat(1_000_000)).length]),
    );
  });

  check(
    "cuts answers before their values exceed the bytes asked for, but not below one",
    async ({ engine }) => {
      const sizes = [100, 2000, 300, 50_000, 10, 10, 900, 1024, 1025, 70_000];
      const keys = sizes.map((_, index) => `key-${index}`);
      for (const [index, size] of sizes.entries()) {
        await engine.setKey(FIRST, "jobs", `key-${index}`, persist("x".repeat(size)));
      }
      const lengths = sizes.map((size) => valueOf("x".repeat(size)).length);
      for (const maxBytes of [1, 100, 2100, 3000, 60_000, 1_000_000]) {
        const values = { withValue: true, maxBytes };
        let after: string | undefined;
        const listed: string[] = [];
        do {
          const page = await engine.listValues(FIRST, "jobs", { prefix: "", after, limit: 4, ...values });
          const bytes = sum(page.items.map(({ value }) => present(value).length));
          if (page.items.length > 1) expect(bytes).toBeLessThanOrEqual(maxBytes);
          expect(page.items.length).toBeLessThanOrEqual(4);
          listed.push(...page.items.map(({ key }) => key));
          after = page.next;
        } while (after !== undefined);
        expect(listed).toEqual(keys);

        const { documents } = await engine.batchGetKeys(FIRST, "jobs", ["nowhere", ...keys], values);
        expect(documents.slice(1).map((document) => document?.key)).toEqual(
          keys.slice(0, documents.length - 1),
        );
        expect(documents.length).toBeGreaterThan(1);
        const answered = sum(lengths.slice(0, documents.length - 1));
        if (documents.length > 2) expect(answered).toBeLessThanOrEqual(maxBytes);
        // An engine may count names and times, too, but must not cut for nothing.
        const next = lengths[documents.length - 1];
        if (next !== undefined) {
          expect(answered + next + documents.length * OVERHEAD_BYTES).toBeGreaterThan(maxBytes);
        }
      }
    },
    "cuts",
  );

  check("expires keys of a batch each at its own time", async ({ engine, clock }) => {
    await engine.batchSetKeys(
      FIRST,
      "jobs",
      [1, 2, 3, 4].map((step) => ({ key: `key-${step}`, ...expiring(step * 100_000) })),
    );
    for (const left of [3, 2, 1, 0]) {
      clock.advance(100_000);
      expect(await engine.countKeys(FIRST, "jobs", "")).toBe(left);
    }
    expect(await readValue(engine, FIRST, "jobs", "key-4")).toBeUndefined();
  });
}
