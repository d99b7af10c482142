import { Timestamp } from "mongodb";
import { describe, expect, it } from "vitest";
import {
  clusterTimeOf,
  isPosition,
  positionAt,
  positionOf,
  positionOfPart,
  startBehind,
  timeOfPosition,
} from "../../../src/engines/mongo/watch/position.js";

const TIME = "6B0452ED00000003";
const FIRST = { data: `82${TIME}2B022C0100296E5A1004`, typeBits: undefined };
const SECOND = { data: `82${TIME}2B022C01002B026E5A1004`, typeBits: "goAB" };

function at(t: number, i: number) {
  return { startAtOperationTime: new Timestamp({ t, i }) };
}

describe("a position", () => {
  it("sorts as the history does", () => {
    const first = positionOf(FIRST);
    const second = positionOf(SECOND);
    const order = [
      positionAt("6B0452ED00000002"),
      positionOf({ data: `82${TIME}2B0229296E04`, typeBits: undefined }),
      first,
      positionOfPart(first, 1),
      positionOfPart(first, 2),
      second,
      positionOfPart(second, 1),
      positionAt(TIME),
      positionOf({ data: "826B0452ED000000042B0229296E04", typeBits: undefined }),
      positionAt("FFFFFFFFFFFFFFFF"),
    ];
    expect(order.toSorted()).toEqual(order);
    expect(new Set(order).size).toBe(order.length);
    for (const position of order) {
      expect(isPosition(position)).toBe(true);
      expect(position).toMatch(/^[\x21-\x7e]+$/);
    }
    expect(timeOfPosition(second)).toBe(TIME);
  });

  it("says where a change stream begins", () => {
    expect(startBehind(positionOf(FIRST))).toEqual({ resumeAfter: { _data: FIRST.data } });
    const second = { _data: SECOND.data, _typeBits: Buffer.from("goAB", "base64url") };
    expect(startBehind(positionOf(SECOND))).toEqual({ resumeAfter: second });
    expect(startBehind(positionOfPart(positionOf(SECOND), 2))).toEqual({ resumeAfter: second });
    expect(startBehind(positionOfPart(positionOf(FIRST), 1))).toEqual(at(0x6b0452ed, 3));
    expect(startBehind(positionAt(TIME))).toEqual(at(0x6b0452ed, 4));
    expect(startBehind(positionAt("6B0452EDFFFFFFFF"))).toEqual(at(0x6b0452ee, 0));
  });

  it("takes its time from the driver", () => {
    expect(clusterTimeOf(new Timestamp({ t: 0x6b0452ed, i: 3 }))).toBe(TIME);
    expect(clusterTimeOf(new Timestamp({ t: 0xffffffff, i: 0xffffffff }))).toBe("F".repeat(16));
    expect(clusterTimeOf(new Timestamp({ t: 1, i: 0 }))).toBe("0000000100000000");
  });

  it("is not any text", () => {
    const texts = [
      "",
      "~",
      "0",
      TIME.toLowerCase(),
      `${TIME}~~`,
      `${TIME}!3`,
      `${TIME}x`,
      `${TIME}.`,
      `${TIME}~\n`,
    ];
    for (const text of texts) expect(isPosition(text), text).toBe(false);
  });
});
