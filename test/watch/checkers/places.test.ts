import { describe, expect, test } from "vitest";
import { CHECKERS } from "./check-all.js";
import type { SeenEvent } from "./history.js";
import type { Story, StoryWatcher } from "./story.js";
import { change, judge, tell } from "./tell.js";

/** A watcher that resumed, and received something. */
function resumedStory(): { story: Story; stream: StoryWatcher } {
  const { story, all } = tell();
  story.catchUp();
  all.finish();
  const stream = story.resume("resumed", all);
  story.set("a", "6");
  story.set("a", "7");
  story.catchUp();
  return { story, stream };
}

describe("resumable", () => {
  test("misses what follows the token", () => {
    const { story, stream } = resumedStory();
    expect(judge("resumable", story)).toEqual([]);
    stream.doctor((events) => events.slice(1));
    expect(judge("resumable", story)).toEqual([
      expect.stringMatching(/^resumed .* lacks 1 events at its beginning:\s+7: UPDATED/),
    ]);
  });

  test("sees a token refused, a history lost, and a stream that never starts", () => {
    const { story, stream } = resumedStory();
    stream.finish("INVALID_ARGUMENT", "RESUME_TOKEN_INVALID");
    expect(judge("resumable", story)).toEqual([expect.stringContaining("its token was refused")]);
    stream.finish("OUT_OF_RANGE", "HISTORY_LOST");
    expect(judge("resumable", story)).toEqual([expect.stringContaining("its history was lost")]);
    expect(judge("resumable", story, { allowed: { historyEnds: true } })).toEqual([]);
    stream.end = undefined;
    stream.messages.splice(0);
    expect(judge("resumable", story)).toContainEqual(expect.stringContaining("never started"));
  });
});

describe("bookmarkable", () => {
  test("misses what was passed over before a progress message", () => {
    const { story, all } = tell();
    story.catchUp();
    story.set("a", "6");
    all.progress();
    all.finish();
    story.resume("resumed", all);
    story.set("a", "7");
    story.catchUp();
    expect(judge("bookmarkable", story)).toEqual([]);
    // The event before the progress message was never sent, and the token is behind it.
    all.messages.splice(-2, 1);
    const history = story.history();
    const broken = history.streams.map((stream) =>
      stream.origin === undefined
        ? stream
        : { ...stream, origin: { ...stream.origin, messages: all.messages.length } },
    );
    expect(CHECKERS.bookmarkable({ ...history, streams: broken })).toEqual([
      expect.stringMatching(/^resumed .* lacks 1 events at its beginning:\s+7: UPDATED/),
    ]);
  });

  test("sees a token that did not move on", () => {
    const { story } = tell();
    story.catchUp();
    const quiet = story.watch("quiet", { types: ["deleted"] });
    story.set("a", "6");
    story.tick(6000);
    quiet.progress();
    quiet.finish();
    const resumed = story.resume("resumed", quiet);
    story.set("a", "7");
    story.delete("a");
    story.catchUp();
    const paced = story.watchers.filter(({ name }) => name === "quiet" || name === "resumed");
    for (const watcher of paced) watcher.paused = watcher === resumed;
    expect(judge("bookmarkable", story, { streams: [resumed] })).toEqual([]);
    const [, , , , , , , old] = story.events;
    resumed.doctor((events) => [...(old === undefined ? [] : [old]), ...events]);
    expect(judge("bookmarkable", story, { streams: [resumed] })).toEqual([
      expect.stringMatching(/^resumed .* was sent after a progress message/),
    ]);
  });

  test("sees silence, and messages without a token", () => {
    const { story, all, late } = tell();
    story.catchUp();
    expect(judge("bookmarkable", story)).toEqual([]);
    const [started] = all.messages;
    if (started !== undefined) all.messages[0] = { ...started, token: "" };
    const [, shown] = late.messages;
    if (shown !== undefined) late.messages[1] = { ...shown, token: "early" };
    expect(judge("bookmarkable", story)).toEqual([
      expect.stringMatching(/^all .* a message started has no token$/),
      expect.stringMatching(/^late .* a message snapshot has a token$/),
    ]);
    story.tick(5000);
    all.catchUp();
    const silences = judge("bookmarkable", story).filter((problem) => problem.includes("got nothing for"));
    expect(silences).toHaveLength(story.watchers.length);
    const disturbances = [{ from: all.calledAt, to: story.tick() }];
    const disturbed = judge("bookmarkable", story, { disturbances });
    expect(disturbed.filter((problem) => problem.includes("got nothing for"))).toEqual([]);
  });
});

describe("snapshot-exact", () => {
  test("sees a hole and a duplicate behind the snapshot", () => {
    const { story, late } = tell();
    story.catchUp();
    expect(judge("snapshot-exact", story)).toEqual([]);
    late.doctor(change("deleted", () => []));
    expect(judge("snapshot-exact", story)).toEqual([expect.stringContaining("late")]);
  });

  test("sees a duplicate", () => {
    const { story, all, late } = tell();
    story.catchUp();
    const before = all.messages.flatMap(({ events }) => events).slice(3, 4);
    late.doctor((events) => (events[0]?.type === "deleted" ? [...before, ...events] : events));
    expect(judge("snapshot-exact", story)).toEqual([expect.stringContaining("late")]);
  });

  test("sees a document too few, too many, or of another version", () => {
    for (const edit of [
      (): readonly SeenEvent[] => [],
      (event: SeenEvent): SeenEvent => ({ ...event, document: { ...event.document, value: "other" } }),
      (event: SeenEvent): SeenEvent => ({ ...event, document: { ...event.document, key: "0" } }),
    ]) {
      const { story, late } = tell();
      story.catchUp();
      late.doctor(change("existing", edit));
      expect(judge("snapshot-exact", story)).toEqual([
        expect.stringMatching(/^late .* shows the state at no place/),
      ]);
    }
  });

  test("sees documents out of order, twice, or not asked for", () => {
    const { story, late } = tell();
    story.catchUp();
    late.doctor(change("existing", (event) => [event, event]));
    expect(judge("snapshot-exact", story)).toEqual([expect.stringContaining("out of order")]);
    const other = tell();
    other.story.catchUp();
    const request = { ...other.late.request, keyPrefix: "b" };
    const streams = other.story.watchers.map((watcher) =>
      watcher === other.late ? Object.assign(Object.create(watcher) as StoryWatcher, { request }) : watcher,
    );
    expect(judge("snapshot-exact", other.story, { streams })).toContainEqual(
      expect.stringContaining("which it did not ask for"),
    );
  });

  test("sees that the end is not marked, or other messages come amid", () => {
    const { story } = tell();
    story.catchUp();
    const empty = story.watch("empty", { snapshot: true, storeName: "nothing" });
    expect(judge("snapshot-exact", story)).toEqual([]);
    const marker = empty.messages.pop();
    expect(judge("snapshot-exact", story)).toEqual([
      expect.stringMatching(/^empty .* never got the end of its snapshot$/),
    ]);
    if (marker === undefined) throw new Error("there was no marker");
    empty.messages.push({ ...marker, kind: "progress" }, marker);
    expect(judge("snapshot-exact", story)).toEqual([
      expect.stringContaining("got progress amid its snapshot"),
    ]);
    empty.messages.splice(1, 1);
    empty.messages.push(marker);
    expect(judge("snapshot-exact", story)).toEqual([
      expect.stringContaining("got snapshot-complete after its snapshot"),
    ]);
  });

  test("lets a key that expires meanwhile be there or not", () => {
    const { story, late } = tell();
    story.catchUp();
    late.doctor((events) =>
      events.filter(({ document, type }) => type !== "existing" || document.key !== "c"),
    );
    expect(judge("snapshot-exact", story)).toEqual([]);
  });
});

describe("no silent loss", () => {
  test("sees ends that must not be", () => {
    for (const [status, reason] of [
      ["OK", undefined],
      ["INTERNAL", "INTERNAL"],
      ["OUT_OF_RANGE", "HISTORY_LOST"],
      ["RESOURCE_EXHAUSTED", "WATCH_TOO_SLOW"],
      ["UNAVAILABLE", "SHUTTING_DOWN"],
    ] as const) {
      const { story, all } = tell();
      story.catchUp();
      all.finish(status, reason, all.token);
      expect(judge("no silent loss", story), status).toHaveLength(1);
    }
  });

  test("sees an end without a token where there was one", () => {
    const { story, all, brief } = tell();
    story.catchUp();
    brief.paused = true;
    brief.finish("RESOURCE_EXHAUSTED", "WATCH_TOO_SLOW");
    all.finish("UNAVAILABLE", "SHUTTING_DOWN");
    const disturbances = [{ from: all.calledAt, to: story.tick() }];
    const problems = judge("no silent loss", story, { disturbances, allowed: { slowWatchers: true } });
    expect(problems).toHaveLength(2);
    for (const problem of problems) expect(problem).toContain("so the end should have one");
    all.finish("UNAVAILABLE");
    brief.finish();
    expect(judge("no silent loss", story, { disturbances })).toEqual([]);
  });

  test("sees a message after the end, and a token of the end that skips something", () => {
    const { story, all } = tell();
    story.catchUp();
    all.finish();
    const resumed = story.resume("resumed", all, "end");
    story.set("a", "6");
    story.set("a", "7");
    story.catchUp();
    expect(judge("no silent loss", story)).toEqual([]);
    resumed.doctor((events) => events.slice(1));
    expect(judge("no silent loss", story)).toEqual([
      expect.stringMatching(/^resumed .* lacks 1 events at its beginning/),
    ]);
    all.catchUp();
    expect(judge("no silent loss", story)).toContainEqual(
      expect.stringContaining("got a message after its end"),
    );
  });
});
