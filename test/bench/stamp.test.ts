import { deserialize } from "bson";
import { expect, test } from "vitest";
import { forEachStamp, STAMPED_VALUE, stampable, stamped } from "../../bench/watch/stamp.js";
import { KeyDocument } from "../../gen/ts/execution_store/v1/execution_store.js";

function stampsIn(message: Buffer): number[] {
  const found: number[] = [];
  forEachStamp(message, (micros) => found.push(micros));
  return found;
}

test("the time is found in every form of the value, as often as it is there", () => {
  const { bson, wire } = STAMPED_VALUE;
  const one = stamped(stampable(bson), 1);
  const other = stamped(stampable(wire), 9_007_199_254_740_991);
  expect(stampsIn(Buffer.concat([one, Buffer.from("sent at last"), other]))).toEqual([
    1, 9_007_199_254_740_991,
  ]);
  expect(stampsIn(Buffer.from("nothing"))).toEqual([]);
});

test("a stamped request is what it was but for the time, and the original stays", () => {
  const message = Buffer.from(
    KeyDocument.encode(KeyDocument.fromPartial({ valueBson: STAMPED_VALUE.bson })).finish(),
  );
  const { valueBson = Buffer.alloc(0) } = KeyDocument.decode(stamped(stampable(message), 42));
  const { value } = deserialize(valueBson) as { value: { sent: string } };
  expect(value).toEqual({ ...(STAMPED_VALUE.json as object), sent: "sent@0000000000000042" });
  expect(stampsIn(message)).toEqual([0]);
});

test("the value has the size of a small sample", () => {
  expect(STAMPED_VALUE.bson.length).toBeGreaterThan(245);
  expect(STAMPED_VALUE.bson.length).toBeLessThan(255);
});

test("a request without a place for the time is refused", () => {
  expect(() => stampable(Buffer.from("nothing"))).toThrow(RangeError);
});
