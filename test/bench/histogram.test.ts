import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Histogram } from "../../bench/watch/histogram.js";

const values = fc.array(fc.nat({ max: 2 ** 31 - 1 }), { minLength: 1, maxLength: 200 });

function histogramOf(of: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of of) histogram.record(value);
  return histogram;
}

/** What a sorted list says: the smallest of the values that so many of all are not above. */
function exactQuantile(of: readonly number[], share: number): number {
  const sorted = of.toSorted((a, b) => a - b);
  return sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] ?? Number.NaN;
}

test("quantiles are those of the sorted values, to 1 %", () => {
  fc.assert(
    fc.property(values, fc.constantFrom(0, 0.25, 0.5, 0.99, 1), (of, share) => {
      const exact = exactQuantile(of, share);
      const found = histogramOf(of).quantile(share);
      expect(found).toBeGreaterThanOrEqual(exact);
      expect(found).toBeLessThanOrEqual(exact * 1.01);
    }),
  );
});

test("small values are exact", () => {
  const all = Array.from({ length: 256 }, (_, value) => value);
  const histogram = histogramOf(all);
  for (const value of all) expect(histogram.quantile((value + 1) / 256)).toBe(value);
});

test("count and largest value are exact, also after the way to another process", () => {
  fc.assert(
    fc.property(values, values, (one, other) => {
      const both = histogramOf(one);
      both.add(JSON.parse(JSON.stringify(histogramOf(other).data())));
      expect(both.count).toBe(one.length + other.length);
      expect(both.max).toBe(Math.max(...one, ...other));
      expect(both.data()).toEqual(histogramOf([...one, ...other]).data());
    }),
  );
});

test("values that cannot be are taken for the nearest that can", () => {
  const histogram = histogramOf([-5, 2 ** 40]);
  expect([histogram.quantile(0.5), histogram.max, histogram.count]).toEqual([0, 2 ** 31 - 1, 2]);
});

test("nothing has no quantile", () => {
  const { max, count } = new Histogram();
  expect([new Histogram().quantile(0.5), max, count]).toEqual([Number.NaN, Number.NaN, 0]);
});
