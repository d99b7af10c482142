import { expect } from "vitest";
import { type Check, evict, expiring, FIRST, persist, present, valueOf } from "./world.js";

/** What writes and updates do to policy and expiry. */
export function policies(check: Check): void {
  check("stores the policy that a set names, and evict with a ttl", async ({ engine, clock }) => {
    const set = async (write: Parameters<typeof engine.setKey>[3]) =>
      (await engine.setKey(FIRST, "jobs", "key", write)).document;
    expect(await set(persist())).toMatchObject({ policy: "persist", expiresAt: undefined });
    expect(await set(evict())).toMatchObject({ policy: "evict", expiresAt: undefined });
    const overruled = await set({ value: valueOf(1), ttlMs: 1_000_000, policy: "persist" });
    expect(overruled.policy).toBe("evict");
    expect(overruled.expiresAt).toEqual(clock.at(1_000_000));
    expect(await set(persist())).toMatchObject({ policy: "persist", expiresAt: undefined });
  });

  check("goes persist → ttl → persist → evict → expired → set again", async ({ engine, clock }) => {
    const { document: first } = await engine.setKey(FIRST, "jobs", "key", persist("first"));
    clock.advance(10_000);
    expect(await engine.updateTtl(FIRST, "jobs", "key", 1_000_000)).toMatchObject({
      policy: "evict",
      expiresAt: clock.at(1_010_000),
      updatedAt: clock.at(10_000),
      createdAt: clock.at(0),
    });
    clock.advance(500_000);
    expect(await engine.updatePolicy(FIRST, "jobs", "key", "persist")).toMatchObject({
      policy: "persist",
      expiresAt: undefined,
      updatedAt: clock.at(510_000),
      createdAt: clock.at(0),
    });
    clock.advance(5_000_000);
    expect(await engine.hasKey(FIRST, "jobs", "key")).toBe(true);
    expect(await engine.updatePolicy(FIRST, "jobs", "key", "evict")).toMatchObject({
      policy: "evict",
      expiresAt: undefined,
    });
    clock.advance(5_000_000);
    expect(await engine.hasKey(FIRST, "jobs", "key")).toBe(true);
    const dying = present(await engine.updateTtl(FIRST, "jobs", "key", 100_000));
    expect(dying.createdAt).toEqual(clock.at(0));
    expect(await engine.hasKey(FIRST, "jobs", "key")).toBe(true);
    clock.advance(100_000);
    expect(await engine.hasKey(FIRST, "jobs", "key")).toBe(false);
    const again = await engine.setKey(FIRST, "jobs", "key", persist("again"));
    expect(again.created).toBe(true);
    expect(again.document).toMatchObject({
      createdAt: clock.at(10_610_000),
      expiresAt: undefined,
      policy: "persist",
    });
    expect(again.document.etag).not.toBe(first.etag);
    clock.advance(1_000_000_000);
    expect(await engine.hasKey(FIRST, "jobs", "key")).toBe(true);
  });

  check("prolongs, shortens and keeps an expiry", async ({ engine, clock }) => {
    await engine.setKey(FIRST, "jobs", "longer", expiring(100_000));
    await engine.setKey(FIRST, "jobs", "shorter", expiring(100_000_000));
    await engine.setKey(FIRST, "jobs", "kept", expiring(200_000));
    clock.advance(50_000);
    expect((await engine.updateTtl(FIRST, "jobs", "longer", 1_000_000))?.expiresAt).toEqual(
      clock.at(1_050_000),
    );
    expect((await engine.updateTtl(FIRST, "jobs", "shorter", 10_000))?.expiresAt).toEqual(clock.at(60_000));
    expect(await engine.updatePolicy(FIRST, "jobs", "kept", "evict")).toMatchObject({
      expiresAt: clock.at(200_000),
      policy: "evict",
    });
    clock.advance(50_000);
    expect(await engine.hasKey(FIRST, "jobs", "longer")).toBe(true);
    expect(await engine.hasKey(FIRST, "jobs", "shorter")).toBe(false);
    clock.advance(50_000);
    expect(await engine.hasKey(FIRST, "jobs", "kept")).toBe(true);
    clock.advance(50_000);
    expect(await engine.hasKey(FIRST, "jobs", "kept")).toBe(false);
    expect(await engine.hasKey(FIRST, "jobs", "longer")).toBe(true);
  });

  check("keeps the value through updates of ttl and policy", async ({ engine }) => {
    const value = valueOf({ text: "kept", list: [1, { two: 2 }] });
    await engine.setKey(FIRST, "jobs", "key", { value, ttlMs: undefined, policy: "persist" });
    await engine.updateTtl(FIRST, "jobs", "key", 1_000_000);
    await engine.updatePolicy(FIRST, "jobs", "key", "evict");
    await engine.updatePolicy(FIRST, "jobs", "key", "persist");
    const found = present((await engine.getKey(FIRST, "jobs", "key", true))?.value);
    expect(Buffer.compare(found, value)).toBe(0);
  });

  check("counts updates that change nothing visible as changes", async ({ engine, clock }) => {
    const { document } = await engine.setKey(FIRST, "jobs", "key", persist());
    clock.advance(1000);
    const updated = present(await engine.updatePolicy(FIRST, "jobs", "key", "persist"));
    expect(updated.updatedAt).toEqual(clock.at(1000));
    expect(updated.etag).not.toBe(document.etag);
  });

  check("follows the policy of each write of a compare-and-set", async ({ engine, clock }) => {
    const starts = {
      persist: persist("start"),
      evict: evict("start"),
      expiring: expiring(1_000_000, "start"),
    };
    type Name = keyof typeof starts;
    const expected: Record<string, [policy: string, expires: "never" | "kept" | "new"]> = {
      "persist none": ["persist", "never"],
      "persist persist": ["persist", "never"],
      "persist evict": ["evict", "never"],
      "persist ttl": ["evict", "new"],
      "evict none": ["evict", "never"],
      "evict persist": ["persist", "never"],
      "evict evict": ["evict", "never"],
      "evict ttl": ["evict", "new"],
      "expiring none": ["evict", "kept"],
      "expiring persist": ["persist", "never"],
      "expiring evict": ["evict", "kept"],
      "expiring ttl": ["evict", "new"],
    };
    const writes = {
      none: { ttlMs: undefined, policy: undefined },
      persist: { ttlMs: undefined, policy: "persist" },
      evict: { ttlMs: undefined, policy: "evict" },
      ttl: { ttlMs: 7_000_000, policy: "persist" },
    } as const;
    for (const [rule, [policy, expires]] of Object.entries(expected)) {
      const [from = "", by = ""] = rule.split(" ");
      const { document: before } = await engine.setKey(FIRST, "jobs", rule, starts[from as Name]);
      const { set, document } = await engine.compareAndSetKey(
        FIRST,
        "jobs",
        rule,
        { etag: before.etag },
        { value: valueOf("next"), ...writes[by as keyof typeof writes] },
      );
      expect(set, rule).toBe(true);
      const after = present(document);
      const expiresAt = { never: undefined, kept: before.expiresAt, new: clock.at(7_000_000) }[expires];
      expect(after, rule).toMatchObject({ policy, expiresAt, createdAt: before.createdAt });
    }
  });

  check("clears what may be evicted after every transition", async ({ engine, clock }) => {
    await engine.setKey(FIRST, "jobs", "persist", persist());
    await engine.setKey(FIRST, "jobs", "evict", evict());
    await engine.setKey(FIRST, "jobs", "ttl", expiring(1_000_000));
    await engine.setKey(FIRST, "jobs", "saved", expiring(1_000_000));
    await engine.updatePolicy(FIRST, "jobs", "saved", "persist");
    await engine.setKey(FIRST, "jobs", "doomed", persist());
    await engine.updateTtl(FIRST, "jobs", "doomed", 1_000_000);
    await engine.setKey(FIRST, "jobs", "overwritten", evict());
    await engine.setKey(FIRST, "jobs", "overwritten", persist());
    await engine.setKey(FIRST, "jobs", "expired", expiring(1000));
    clock.advance(100_000);
    expect(await engine.clearCache(FIRST, "jobs")).toBe(3);
    const kept = await engine.listKeys(FIRST, "jobs", { prefix: "", after: undefined, limit: 100 });
    expect(kept.items).toEqual(["overwritten", "persist", "saved"]);
    expect(await engine.clearCache(FIRST, "jobs")).toBe(0);
  });
}
