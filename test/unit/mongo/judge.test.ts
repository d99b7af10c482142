import { serialize } from "bson";
import { describe, expect, it } from "vitest";
import { type RawDocument, splitDocument } from "../../../src/engines/mongo/record.js";
import { judge } from "../../../src/engines/mongo/watch/judge.js";

const NOW = 1_700_000_000_000;

function at(ms: number): Date {
  return new Date(NOW + ms);
}

/** A document whose times are in ms from NOW. */
function version(updated: number, expires: number | null = null, created = -1_000): RawDocument {
  const document = {
    store_name: "jobs",
    key: "key",
    dataset_id: null,
    created_at: at(created),
    updated_at: at(updated),
    expires_at: expires === null ? null : at(expires),
  };
  return splitDocument(Buffer.from(serialize(document)));
}

/** The types of a change, and its time in ms from NOW; the wall time is NOW. */
function verdictOn(before: RawDocument | undefined, after: RawDocument | undefined): string {
  const verdicts = judge({ before, after, wallTime: NOW });
  return verdicts.map(({ types, commitTime }) => `${types.join(", ")} at ${commitTime - NOW}`).join("; ");
}

describe("a change of a key's document", () => {
  it.each([
    ["an insert", undefined, version(-2), "created at 0"],
    ["an insert of an old document", undefined, version(-60_000), "created at 0"],
    ["an insert by a fast clock", undefined, version(500), "created at 0"],
    ["a deletion", version(-9), undefined, "deleted at 0"],
    ["a deletion before the expiry", version(-9, 1), undefined, "deleted at 0"],
    ["a deletion at the expiry", version(-9, 0), undefined, "expired at 0"],
    ["an update", version(-9), version(-2), "updated at 0"],
    ["an update that leaves its time", version(-9), version(-9, 50), "updated at 0"],
    ["an update begun before the expiry, and ended behind it", version(-9, -1), version(-2), "updated at -2"],
    ["an update that keeps the expiry, begun before it", version(-9, -1), version(-2, -1), "updated at -2"],
    ["an update begun at the expiry", version(-9, -2), version(-2, null, -2), "expired, created at 0"],
    [
      "a creation whose expiry passes before it ends",
      version(-9, -8),
      version(-5, -1, -5),
      "expired, created at -5",
    ],
    [
      "an update by a slow clock, behind the expiry",
      version(-90_000, -5_500),
      version(-7_000, 500),
      "expired, created at 0",
    ],
    [
      "one that began long before the expiry",
      version(-90_000, -3_000),
      version(-4_000, 500),
      "updated at -4000",
    ],
    ["one by a slow clock that keeps the expiry", version(-90_000, -1_000), version(-2_500, -1_000), ""],
    ["an update of what has expired and stays so", version(-9, -5), version(-2, -5), ""],
    ["an update of what has expired to another past time", version(-9, -5), version(-2, -3), ""],
    ["a revival", version(-9, -5), version(-9, 50), "expired, created at 0"],
    // The writer found it live in the millisecond before, which the version before had taken already.
    ["an update in the last millisecond", version(-3, -2), version(-2, 500), "updated at -3"],
    ["one that keeps the expiry", version(-3, -2), version(-2, -2), "updated at -3"],
    ["a creation in the first millisecond", version(-3, -2), version(-2, 500, -2), "expired, created at 0"],
    ["an update ahead of the clock", version(5), version(6), "updated at 0"],
  ])("that is %s", (_, before, after, verdict) => {
    expect(verdictOn(before, after)).toBe(verdict);
  });
});
