import { describe, expect, test } from "vitest";
import type { SeenEvent } from "./history.js";
import { Story } from "./story.js";
import { change, judge, tell } from "./tell.js";

/** An event with another value before it. */
function wrong(event: SeenEvent): SeenEvent {
  return {
    ...event,
    previous: event.previous && { ...event.previous, value: "stale" },
  };
}

describe("created or updated", () => {
  test("sees one for the other", () => {
    const { story, all } = tell();
    story.catchUp();
    expect(judge("created or updated", story)).toEqual([]);
    all.doctor(change("updated", (event) => ({ ...event, type: "created" })));
    expect(judge("created or updated", story)).toEqual([
      expect.stringMatching(/^all .* got created of \/s\/a, which was UPDATED/),
    ]);
    expect(judge("unique", story)).toEqual([]);
  });

  test("sees a creation of what was there, and changes of what was not", () => {
    const { story } = tell();
    story.catchUp();
    story.reference.doctor(change("created", () => []));
    expect(judge("created or updated", story)[0]).toMatch(/^UPDATED \/s\/a .* though it was not there$/);
    const other = tell();
    other.story.catchUp();
    other.story.reference.doctor(change("deleted", () => []));
    expect(judge("created or updated", other.story)[0]).toMatch(/^CREATED \/s\/b .* though it was there$/);
    const third = tell();
    third.story.catchUp();
    third.story.reference.doctor(change("expired", (event) => [event, event]));
    expect(judge("created or updated", third.story)[0]).toMatch(
      /^EXPIRED \/s\/c .* though it was not there$/,
    );
  });

  test("sees a writer that was told otherwise, and times that do not fit", () => {
    const { story } = tell();
    story.catchUp();
    const puts = story.puts.map((put, index) => (index === 0 ? { ...put, created: false } : put));
    expect(judge("created or updated", story, { puts })).toEqual([
      expect.stringContaining("but its writer was told created: false"),
    ]);
    story.reference.doctor(
      change("updated", (event) => {
        const { version } = event.document;
        return {
          ...event,
          document: { ...event.document, version: version && { ...version, createdAt: 1 } },
        };
      }),
    );
    expect(judge("created or updated", story)).toEqual([expect.stringContaining("has created_at 1, before")]);
  });
});

describe("previous", () => {
  test("sees another document, none, or one too many", () => {
    for (const type of ["updated", "deleted", "expired"] as const) {
      const { story, all } = tell();
      story.catchUp();
      all.doctor(change(type, (event) => ({ ...event, previous: undefined })));
      expect(judge("previous", story)).toEqual([expect.stringContaining("has previous none, not {")]);
    }
    const { story, all, brief } = tell();
    story.catchUp();
    expect(judge("previous", story)).toEqual([]);
    all.doctor(change("created", (event) => ({ ...event, previous: event.document })));
    brief.doctor(change("deleted", (event) => ({ ...event, previous: event.document })));
    expect(judge("previous", story)).toHaveLength(2);
  });

  test("sees one that the order contradicts, for everyone", () => {
    const { story } = tell();
    story.catchUp();
    for (const watcher of story.watchers) watcher.doctor(change("updated", wrong));
    expect(judge("previous", story)).toContainEqual(
      expect.stringMatching(/^the reference's UPDATED .* stale, not/),
    );
  });

  test("sees a value that is left out where it may not be", () => {
    const { story, all } = tell();
    story.catchUp();
    all.doctor(
      change("updated", (event) => ({
        ...event,
        previousValueOmitted: true,
        previous: event.previous && { ...event.previous, value: undefined },
      })),
    );
    expect(judge("previous", story)).toHaveLength(1);
    expect(judge("previous", story, { allowed: { previousOmitted: true } })).toEqual([]);
  });
});

describe("expiry once", () => {
  test("sees DELETED for EXPIRED, and the reverse", () => {
    const { story, all } = tell();
    story.catchUp();
    expect(judge("expiry once", story)).toEqual([]);
    all.doctor(change("expired", (event) => ({ ...event, type: "deleted" })));
    expect(judge("expiry once", story)).toEqual([
      expect.stringMatching(/^all .* got DELETED .* which was EXPIRED/),
    ]);
    for (const [from, to] of [
      ["expired", "deleted"],
      ["deleted", "expired"],
    ] as const) {
      const other = tell();
      other.story.catchUp();
      other.story.reference.doctor(change(from, (event) => ({ ...event, type: to })));
      expect(judge("expiry once", other.story)).toContainEqual(
        expect.stringMatching(new RegExp(`^${to.toUpperCase()} .* where expires_at was`)),
      );
    }
  });

  test("sees an expiry that comes late, or never", () => {
    const story = new Story();
    for (const [key, lateMs] of Object.entries({ a: 1001, b: 1002, c: 1003 })) {
      story.catchUp();
      expect(judge("expiry once", story)).toEqual([]);
      story.set(key, "1", 100);
      story.expire(key, lateMs);
    }
    story.catchUp();
    expect(judge("expiry once", story)[3]).toContain("EXPIRED /s/c committed");
    expect(judge("expiry once", story)[3]).toContain("is 1003 ms late");
    const disturbances = [{ from: 0, to: story.tick() }];
    expect(judge("expiry once", story, { disturbances })).toEqual([]);
    const other = new Story();
    other.set("a", "1", 100);
    other.expire("a", 10_001);
    other.catchUp();
    expect(judge("expiry once", other)[1]).toContain("is 10001 ms late");
    story.set("b", "1", 100);
    story.catchUp();
    expect(judge("expiry once", story, { disturbances, endedAt: story.tick(2000) })).toEqual([
      expect.stringMatching(/^\/s\/b expired at .* without an event$/),
    ]);
  });

  test("sees what is read, or changed, after its expiry", () => {
    const story = new Story();
    const { version, ...place } = story.set("a", "1", 100);
    const document = { ...place, version, value: "1" };
    const expiresAt = version?.expiresAt ?? 0;
    const reads = [
      { document, calledAt: expiresAt - 1 },
      { document, calledAt: expiresAt + 1000 },
    ];
    expect(judge("expiry once", story, { reads })).toEqual([expect.stringContaining("was read at")]);
    story.set("a", "2");
    story.catchUp();
    story.reference.doctor(change("updated", (event) => ({ ...event, commitTime: expiresAt })));
    expect(judge("expiry once", story)).toEqual([
      expect.stringMatching(/^UPDATED \/s\/a .* where expires_at was/),
    ]);
  });
});
