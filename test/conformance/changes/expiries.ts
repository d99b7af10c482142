import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { until } from "../../support/until.js";
import { expiring, FIRST, persist, present } from "../world.js";
import { type ChangeCheck, changesAfter, changesOf, NEEDS, seen, typesOf } from "./change-world.js";

/** Long enough to be written, short enough to be waited for. */
const TTL_MS = 100;

/** What is told of keys whose time has come. */
export function expiries(check: ChangeCheck): void {
  check("tells of an expiry once, by itself, within a second, with what has expired", async (world) => {
    const { engine, source } = world;
    const start = await source.now(NEEDS);
    await engine.setKey(FIRST, "jobs", "key", expiring(1000, "gone"));
    const document = seen(present(await engine.getKey(FIRST, "jobs", "key", true)));
    const end = new AbortController();
    let heard: number | undefined;
    for await (const { changes } of source.read(start, NEEDS, end.signal)) {
      if (changes.every(({ events }) => events[0]?.type !== "expired")) continue;
      heard = Date.now();
      break;
    }
    end.abort();
    expect(heard).toBeGreaterThanOrEqual(present(document.expiresAt));
    expect(heard).toBeLessThan(present(document.expiresAt) + 1000);
    const changes = await changesAfter(world, start);
    expect(typesOf(changes)).toEqual(["key: created", "key: expired"]);
    const [expired] = changes.at(-1)?.events ?? [];
    expect(expired).toMatchObject({ document: undefined, previous: document });
    expect(present(expired).commitTime).toBeGreaterThanOrEqual(present(document.expiresAt));
  });

  check("tells of every expiry once, whatever comes after it", async (world) => {
    const { engine } = world;
    const keys = Array.from({ length: 60 }, (_, index) => `key-${index}`);
    const { changes } = await changesOf(world, async () => {
      const set = await engine.batchSetKeys(
        FIRST,
        "jobs",
        keys.map((key) => ({ key, ...expiring(TTL_MS) })),
      );
      const last = Math.max(...set.map(({ document }) => present(document.expiresAt)));
      // At that very time, neither sooner nor when all have been removed.
      await delay(last + 2 - Date.now());
      const writes = [
        (key: string) => engine.setKey(FIRST, "jobs", key, persist()),
        (key: string) => engine.setKeyIfAbsent(FIRST, "jobs", key, persist()),
        (key: string) => engine.deleteKey(FIRST, "jobs", key, undefined),
        (key: string) => engine.batchSetKeys(FIRST, "jobs", [{ key, ...persist() }]),
      ];
      await Promise.all(keys.map((key, index) => present(writes[index % writes.length])(key)));
      await until(
        async () => (await engine.countKeys(FIRST, "jobs", "key-")) === 45,
        "all have expired or been set anew",
      );
      await engine.deleteStore(FIRST, "jobs");
    });
    const told = typesOf(changes);
    for (const [index, key] of keys.entries()) {
      const anew = [`${key}: created`, `${key}: deleted`];
      expect(told.filter((text) => text.startsWith(`${key}:`))).toEqual([
        `${key}: created`,
        `${key}: expired`,
        ...(index % 4 === 2 ? [] : anew),
      ]);
    }
    // Two events are one change only if one write made both.
    const pairs = changes.filter(({ events }) => events.length > 1);
    for (const { events } of pairs) {
      expect(events.map(({ type }) => type)).toEqual(["expired", "created"]);
      expect(events[0]?.previous?.policy).toBe("evict");
      expect(events[1]?.previous).toBeUndefined();
      expect(events[1]?.document?.policy).toBe("persist");
      expect(events[0]?.commitTime).toBe(events[1]?.commitTime);
    }
  });

  check("tells of no expiry where the time was taken away", async (world) => {
    const { engine } = world;
    const { changes } = await changesOf(world, async () => {
      const { document } = await engine.setKey(FIRST, "jobs", "saved", expiring(400));
      await engine.updatePolicy(FIRST, "jobs", "saved", "persist");
      await engine.setKey(FIRST, "jobs", "set", expiring(400));
      await engine.setKey(FIRST, "jobs", "set", persist());
      await engine.setKey(FIRST, "jobs", "deleted", expiring(400));
      await engine.deleteKey(FIRST, "jobs", "deleted", undefined);
      await engine.setKey(FIRST, "jobs", "witness", expiring(400));
      await until(
        async () =>
          Date.now() > present(document.expiresAt) && !(await engine.hasKey(FIRST, "jobs", "witness")),
        "the time has come",
      );
    });
    const told = typesOf(changes).filter((text) => !text.startsWith("witness"));
    expect(told).toEqual([
      "saved: created",
      "saved: updated",
      "set: created",
      "set: updated",
      "deleted: created",
      "deleted: deleted",
    ]);
  });
}
