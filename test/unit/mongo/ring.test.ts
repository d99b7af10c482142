import { describe, expect, it } from "vitest";
import { Ring } from "../../../src/engines/mongo/watch/ring.js";
import type { Change } from "../../../src/store/changes.js";

function change(position: string): Change {
  return { position, datasetId: "", storeName: "jobs", key: position, events: [] };
}

/** Fills a ring with one portion per text; each ends a little behind its last change. */
function fill(ring: Ring, ...portions: readonly string[]): void {
  for (const letters of portions) {
    const changes = letters.split("").map(change);
    ring.push({ changes, position: `${letters.at(-1)}+`, bytes: 10 * letters.length });
  }
}

function keys(ring: Ring, after: string): string {
  return (
    ring
      .after(after)
      ?.changes.map(({ key }) => key)
      .join("") ?? "nothing"
  );
}

describe("the latest changes in memory", () => {
  it("are read from any place", () => {
    const ring = new Ring("a");
    expect(ring.after("a")).toBeUndefined();
    fill(ring, "bc", "def", "g");
    expect(["a", "a+", "b", "c", "c+", "f", "f+", "g"].map((place) => keys(ring, place))).toEqual([
      "bcdefg",
      "bcdefg",
      "cdefg",
      "defg",
      "defg",
      "g",
      "g",
      "",
    ]);
    expect(ring.after("e")?.position).toBe("g+");
    expect(ring.after("g+")).toBeUndefined();
    ring.push({ changes: [], position: "h", bytes: 0 });
    expect(ring.after("g+")).toEqual({ changes: [], position: "h" });
    expect(ring.end).toBe("h");
  });

  it("come in parts of some hundred", () => {
    const ring = new Ring("0");
    const places = Array.from({ length: 2_000 }, (_, index) => String(10_000 + index));
    for (let at = 0; at < places.length; at += 100) {
      const part = places.slice(at, at + 100);
      ring.push({ changes: part.map(change), position: part.at(-1) ?? "", bytes: 1 });
    }
    const read: string[] = [];
    for (let batch = ring.after("0"); batch !== undefined; batch = ring.after(batch.position)) {
      expect(batch.changes.length).toBeLessThanOrEqual(500);
      read.push(...batch.changes.map(({ key }) => key));
    }
    expect(read).toEqual(places);
  });

  it("forget the oldest, by number and by size, but never the last portion", () => {
    for (const limits of [
      { maxChanges: 4, maxBytes: 1e9 },
      { maxChanges: 1e9, maxBytes: 45 },
    ]) {
      const ring = new Ring("a", limits);
      fill(ring, "bc", "de", "f");
      expect(["a", "c", "c+", "d"].map((place) => ring.covers(place))).toEqual([false, false, true, true]);
      expect(keys(ring, "c+")).toBe("def");
      fill(ring, "ghijklmn");
      expect(ring.covers("f")).toBe(false);
      expect(keys(ring, "f+")).toBe("ghijklmn");
    }
    const ring = new Ring("0", { maxChanges: 10, maxBytes: 1e9 });
    for (let place = 10_000; place < 15_000; place += 1) {
      ring.push({ changes: [change(String(place))], position: String(place), bytes: 1 });
    }
    expect(ring.covers("14988")).toBe(false);
    expect(ring.after("14989")?.changes).toHaveLength(10);
  });

  it("wake those who wait, and tell them of the end after all that came before", async () => {
    const ring = new Ring("a");
    const { signal } = new AbortController();
    const woken = ring.more(signal);
    fill(ring, "b");
    await woken;
    const waiting = ring.more(signal);
    const end = new Error("the end");
    fill(ring, "c");
    ring.fail(end);
    ring.fail(new Error("another end"));
    await waiting;
    expect(keys(ring, "b")).toBe("c");
    await expect(ring.more(signal)).rejects.toBe(end);
    expect(() => ring.throwIfEnded()).toThrow(end);
    const gone = new Error("the caller is gone");
    await expect(new Ring("a").more(AbortSignal.abort(gone))).rejects.toBe(gone);
  });
});
