import { describe, expect, test } from "vitest";
import { checkAll } from "./check-all.js";
import { Story } from "./story.js";
import { change, judge, tell } from "./tell.js";

describe("a right history", () => {
  test("breaks no promise", () => {
    const { story, all, brief } = tell();
    story.catchUp();
    all.finish();
    const resumed = story.resume("resumed", all);
    brief.progress();
    brief.finish();
    story.resume("bookmarked", brief);
    story.set("a", "6", 30);
    story.expire("a");
    story.set("b", "7");
    story.catchUp();
    resumed.progress();
    expect(checkAll(story.history())).toEqual([]);
  });

  test("may have writes without an answer, that happened or not", () => {
    const { story } = tell();
    const lost = story.set("d", "lost");
    story.catchUp();
    const unknown = { outcome: "unknown", answeredAt: Number.POSITIVE_INFINITY, version: undefined } as const;
    const puts = story.puts.flatMap((put) =>
      put === lost ? [{ ...put, ...unknown, created: undefined }] : [put],
    );
    const never = { ...lost, ...unknown, created: undefined, value: "never" };
    expect(checkAll(story.history({ puts: [...puts, never] }))).toEqual([]);
  });

  test("may overwrite what expired", () => {
    const story = new Story();
    story.watch("other", { types: ["expired", "created"] });
    story.set("a", "1", 5);
    story.tick(10);
    story.set("a", "2");
    expect(story.events.map(({ type }) => type)).toEqual(["created", "expired", "created"]);
    story.catchUp();
    expect(checkAll(story.history())).toEqual([]);
  });

  test("may end as is allowed", () => {
    const { story, all, brief, late } = tell();
    story.catchUp();
    all.finish("UNAVAILABLE", "SHUTTING_DOWN", all.token);
    brief.paused = true;
    brief.finish("RESOURCE_EXHAUSTED", "WATCH_TOO_SLOW", brief.token);
    late.finish("OUT_OF_RANGE", "HISTORY_LOST");
    story.resume("resumed", all, "end");
    story.set("a", "6");
    story.catchUp();
    const disturbances = [{ from: all.calledAt, to: all.end?.at ?? 0 }];
    const allowed = { slowWatchers: true, historyEnds: true };
    expect(checkAll(story.history({ disturbances, allowed }))).toEqual([]);
  });
});

describe("written", () => {
  test("misses an acknowledged put", () => {
    const { story } = tell();
    story.catchUp();
    const lost = { ...story.set("a", "lost"), value: "lost" };
    const { reference } = story;
    expect(judge("written", story, { puts: [...story.puts, lost] }).join()).toContain(
      "what was written as e6 is not in the reference",
    );
    expect(reference.messages.length).toBeGreaterThan(0);
  });

  test("sees a version, or a value, that was not written so", () => {
    const { story, all } = tell();
    story.catchUp();
    const [first, ...rest] = story.puts;
    if (first === undefined) throw new Error("the story has no put");
    const puts = [{ ...first, value: "other" }, ...rest];
    expect(judge("written", story, { puts })).toEqual([
      expect.stringContaining("has the value 1, not other"),
    ]);
    all.doctor(change("created", (event) => ({ ...event, document: { ...event.document, value: "other" } })));
    expect(judge("written", story)).toEqual([
      expect.stringMatching(/^all .* got CREATED .* which was CREATED/),
    ]);
  });

  test("lets a version be guessed only of a new key that is gone before the answer", () => {
    for (const [deleted, problems] of [
      [true, 0],
      [false, 2],
    ] as const) {
      const story = new Story();
      const put = story.set("a", "1");
      if (deleted) story.delete("a");
      story.catchUp();
      const { version } = put;
      const guess = version && { ...version, etag: "guessed", updatedAt: version.updatedAt + 1 };
      const puts = [{ ...put, version: guess, answeredAt: put.answeredAt + (deleted ? 3 : 0) }];
      expect(judge("written", story, { puts, allowed: { guessedVersions: true } })).toHaveLength(problems);
      expect(judge("written", story, { puts })).toHaveLength(2);
    }
  });

  test("sees what was refused, and what nobody wrote", () => {
    const { story } = tell();
    story.catchUp();
    const puts = story.puts.map((put, index) =>
      index === 0 ? { ...put, outcome: "refused" as const, version: undefined } : put,
    );
    expect(judge("written", story, { puts })).toEqual([
      expect.stringMatching(/^nobody wrote CREATED \/s\/a/),
    ]);
  });

  test("sees a write without an answer that happened twice", () => {
    const { story } = tell();
    story.set("d", "twice");
    story.set("d", "twice");
    story.catchUp();
    const unknown = { outcome: "unknown", answeredAt: Number.POSITIVE_INFINITY, version: undefined } as const;
    const puts = story.puts.slice(0, -1).map((put) => (put.value === "twice" ? { ...put, ...unknown } : put));
    expect(judge("written", story, { puts })).toEqual([expect.stringMatching(/^nobody wrote UPDATED/)]);
  });

  test("misses a deletion, and sees one that nobody made", () => {
    const { story } = tell();
    story.catchUp();
    expect(judge("written", story, { removals: [] })).toEqual([
      expect.stringMatching(/^nobody deleted DELETED/),
    ]);
    const twice = [...story.removals, ...story.removals];
    expect(judge("written", story, { removals: twice })).toEqual([
      expect.stringMatching(/^\/s\/b was deleted between .* of which there is no event/),
    ]);
    const [removal] = story.removals;
    if (removal === undefined) throw new Error("the story has no removal");
    const many = { ...removal, keys: undefined, count: 3 };
    expect(judge("written", story, { removals: [many] })).toEqual([
      expect.stringContaining("removed 3 documents of s, of which there are 2 events"),
    ]);
  });

  test("sees that the end is another", () => {
    const { story } = tell();
    story.catchUp();
    const remaining = story.live().slice(1);
    expect(judge("written", story, { remaining })).toEqual([
      expect.stringMatching(/^\/s\/a is at the end undef/),
    ]);
  });
});

describe("ordered", () => {
  test("sees events that come in another order", () => {
    const { story, all } = tell();
    story.catchUp();
    expect(judge("ordered", story)).toEqual([]);
    all.doctor((events) => events.toReversed());
    const problems = judge("ordered", story);
    expect(problems.length).toBeGreaterThan(0);
    for (const problem of problems) expect(problem).toMatch(/^all .* got .* after /);
  });

  test("sees an order that contradicts the times of the calls", () => {
    const { story } = tell();
    story.catchUp();
    const puts = story.puts.map((put, index) => (index === 1 ? { ...put, calledAt: 0, answeredAt: 1 } : put));
    expect(judge("ordered", story, { puts })).toEqual([
      expect.stringMatching(/^CREATED \/s\/b .* was answered before CREATED \/s\/a .* was called$/),
    ]);
  });

  test("sees a version whose time does not grow", () => {
    const story = new Story();
    story.set("a", "1");
    story.set("a", "2");
    story.catchUp();
    story.reference.doctor(
      change("updated", (event) => {
        const { version } = event.document;
        return {
          ...event,
          document: { ...event.document, version: version && { ...version, updatedAt: 1 } },
        };
      }),
    );
    expect(judge("ordered", story)).toEqual([expect.stringContaining("has updated_at 1")]);
  });
});

describe("unique", () => {
  test("sees an event twice", () => {
    const { story, all } = tell();
    story.catchUp();
    all.doctor(change("updated", (event) => [event, event]));
    expect(judge("unique", story)).toEqual([expect.stringMatching(/^all .* got UPDATED .* twice$/)]);
    expect(judge("ordered", story)).toEqual([]);
  });

  test("sees an event at or before the token", () => {
    const { story, all } = tell();
    story.catchUp();
    all.finish();
    const resumed = story.resume("resumed", all);
    story.set("a", "6");
    story.catchUp();
    const old = all.messages.findLast(({ kind }) => kind === "events")?.events ?? [];
    resumed.doctor((events) => [...old, ...events]);
    const problems = judge("unique", story);
    expect(problems).toHaveLength(old.length);
    for (const problem of problems) expect(problem).toMatch(/^resumed .* which was before its beginning$/);
  });

  test("sees an event of before STARTED", () => {
    const { story, all } = tell();
    story.catchUp();
    const fresh = story.watch("fresh");
    story.set("a", "6");
    story.catchUp();
    fresh.doctor((events) => [...(all.messages[1]?.events ?? []), ...events]);
    expect(judge("unique", story)).toContainEqual(expect.stringMatching(/^fresh .* before its beginning$/));
  });

  test("sees an event that never was, and a version twice", () => {
    const { story, all } = tell();
    story.catchUp();
    all.doctor(change("deleted", (event) => ({ ...event, commitTime: 7 })));
    expect(judge("unique", story)).toEqual([expect.stringContaining("which the reference does not have")]);
    story.reference.doctor(change("updated", (event) => [event, event]));
    expect(judge("unique", story)).toContainEqual(
      expect.stringMatching(/^the reference has a version twice: UPDATED/),
    );
  });
});

describe("reliable", () => {
  test("misses an event between others", () => {
    const { story, all } = tell();
    story.catchUp();
    expect(judge("reliable", story)).toEqual([]);
    all.doctor(change("updated", () => []));
    expect(judge("reliable", story)).toEqual([
      expect.stringMatching(/^all .* lacks 1 events between others:\s+2: UPDATED \/s\/a/),
    ]);
  });

  test("misses an event after STARTED, also where nothing came at all", () => {
    const { story, all, brief } = tell();
    story.catchUp();
    all.doctor(change("created", () => []));
    brief.doctor(() => []);
    expect(judge("reliable", story)).toEqual([
      expect.stringMatching(/^all .* lacks 1 events at its beginning/),
      expect.stringMatching(/^brief .* lacks 3 events at its beginning/),
    ]);
  });

  test("misses an event at the end of the run, unless the stream was over", () => {
    const { story, all } = tell();
    all.catchUp();
    story.set("d", "6");
    story.reference.catchUp();
    for (const watcher of story.watchers) if (watcher !== all) watcher.catchUp();
    expect(judge("reliable", story)).toEqual([
      expect.stringMatching(/^all .* lacks 1 events at the end of the run/),
    ]);
    all.finish();
    expect(judge("reliable", story)).toEqual([]);
  });

  test("knows what selectors and types leave out", () => {
    const story = new Story();
    story.watch("prefix", { keyPrefix: "a" });
    story.watch("types", { types: ["deleted"] });
    story.watch("store", { storeName: "t" });
    story.watch("context", { allContexts: false, datasetId: "0123456789abcdef01234567" });
    story.set("ab", "1");
    story.set("b", "1");
    story.delete("b");
    story.catchUp();
    expect(checkAll(story.history())).toEqual([]);
  });
});
