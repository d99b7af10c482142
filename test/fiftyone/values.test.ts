import {
  Binary,
  BSONRegExp,
  Code,
  DBRef,
  Decimal128,
  Double,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
} from "bson";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { decodeJson, encodeJson, type Json } from "../grpc/json-value.js";
import { createWireClient } from "../grpc/wire-client.js";
import { leavesOut } from "../support/left-out.js";
import { type BothSides, openBothSides, type Place, SETUP_LIMIT_MS } from "./both-sides.js";

const ID = new ObjectId("65f0c1d2e3a4b5c6d7e8f901");

/** As in samples.py. */
function nested(steps: number): unknown {
  let value: unknown = "innermost";
  for (let level = 0; level < steps; level += 1)
    value = level % 2 === 1 ? { level, inner: [value] } : [value];
  return value;
}

/** What the client reads of a sample of samples.py, and what to write for Python to read the same. */
interface Sample {
  readonly read: unknown;
  /** @default read */
  readonly write?: unknown;
}

/** A whole float is a number like any other in JavaScript: who wants a float written says so. */
function float(value: number): Sample {
  return { read: value, write: new Double(value) };
}

const DATE = new Date(Date.UTC(2024, 1, 29, 12, 30, 15, 123));
const ORDERED = [10, 2, 33, 1];

const SAMPLES: Readonly<Record<string, Sample>> = {
  none: { read: null },
  true: { read: true },
  false: { read: false },
  zero: { read: 0 },
  int: { read: 42 },
  int_negative: { read: -7 },
  int_32_max: { read: 2 ** 31 - 1 },
  int_over_32: { read: 2 ** 31 },
  int_53: { read: 2 ** 53 },
  int_over_53: { read: 2n ** 53n + 1n },
  int_64_max: { read: 2n ** 63n - 1n },
  int_64_min: { read: -(2n ** 63n) },
  int64_small: { read: 5, write: Long.fromNumber(5) },
  float: { read: 1.5 },
  float_whole: float(3),
  float_negative_zero: { read: -0 },
  float_large: { read: 1e300 },
  float_over_53: float(2 ** 60),
  float_smallest: { read: 5e-324 },
  nan: { read: Number.NaN },
  infinity: { read: Number.POSITIVE_INFINITY },
  infinity_negative: { read: Number.NEGATIVE_INFINITY },
  string: { read: "some text" },
  string_empty: { read: "" },
  string_unicode: { read: "Grüße, 世界 \u{1f600} e\u0301" },
  string_nul: { read: "a\0b" },
  string_long: { read: "ä0123456789".repeat(100_000) },
  bytes: { read: new Uint8Array([0, 1, 254, 255]) },
  bytes_empty: { read: new Uint8Array() },
  bytes_large: { read: Uint8Array.from({ length: 256 * 64 }, (_, index) => index % 256) },
  binary_user: { read: new Binary(new Uint8Array([1, 2]), 128) },
  datetime: { read: DATE },
  datetime_microseconds: { read: DATE },
  datetime_zone: { read: new Date(Date.UTC(2024, 1, 29, 10, 30, 15)) },
  datetime_before_1970: { read: new Date(Date.UTC(1901, 0, 1)) },
  object_id: { read: ID },
  list: { read: [1, 2, "three", null, true], write: [1, new Double(2), "three", null, true] },
  list_empty: { read: [] },
  list_of_lists: { read: [[], [[]], [1, [2, [3]]]] },
  tuple: { read: [1, [2, 3]] },
  dict: { read: { b: 1, a: 2 } },
  dict_empty: { read: {} },
  dict_of_empties: { read: { list: [], dict: {}, string: "", none: null } },
  dict_order: {
    read: Object.fromEntries(ORDERED.map((number) => [number, number])),
    // Objects put names that are numbers first; Maps keep their order.
    write: new Map(ORDERED.map((number) => [String(number), number])),
  },
  dict_odd_names: {
    read: JSON.parse(
      '{"": "empty", "a.b": "dot", "$set": "dollar", "__proto__": {"x": 1}, "_cls": "class", "ключ": "unicode"}',
    ),
  },
  dict_like_extended_json: { read: { $oid: "65f0c1d2e3a4b5c6d7e8f901" } },
  dict_number_names: {
    read: { 1: "one", 2.5: "float", None: "none" },
    write: new Map([
      ["1", "one"],
      ["2.5", "float"],
      ["None", "none"],
    ]),
  },
  mixed: {
    read: {
      when: new Date(Date.UTC(2020, 0, 2, 3, 4, 5, 678)),
      who: ID,
      raw: new TextEncoder().encode("raw"),
      scores: [0.5, 1, Number.NaN, Number.NEGATIVE_INFINITY],
      big: 2n ** 62n,
      inner: { none: null, deep: [{ x: [{}] }] },
    },
    write: {
      when: new Date(Date.UTC(2020, 0, 2, 3, 4, 5, 678)),
      who: ID,
      raw: new TextEncoder().encode("raw"),
      scores: [0.5, new Double(1), Number.NaN, Number.NEGATIVE_INFINITY],
      big: 2n ** 62n,
      inner: { none: null, deep: [{ x: [{}] }] },
    },
  },
  deep_24: { read: nested(16) },
  deep_90: { read: nested(60) },
  decimal: { read: new Decimal128(Uint8Array.from(Decimal128.fromString("1.10").bytes)) },
  regex: { read: new BSONRegExp("^a.*b$", "im") },
  timestamp: { read: new Timestamp({ t: 1_700_000_000, i: 7 }) },
  min_key: { read: new MinKey() },
  max_key: { read: new MaxKey() },
  code: { read: new Code("return 1") },
  // In the database a reference is a document; Python makes an object of it.
  dbref: { read: { $ref: "samples", $id: ID }, write: new DBRef("samples", ID) },
};

/** JSON with maps for objects. */
function mapsOf(value: unknown): Json {
  if (Array.isArray(value)) return value.map(mapsOf);
  if (typeof value !== "object" || value === null) return value as Json;
  return new Map(Object.entries(value).map(([name, each]) => [name, mapsOf(each)]));
}

let sides: BothSides;

beforeAll(async () => {
  if (leavesOut("fiftyone") || leavesOut("mongodb")) return;
  sides = await openBothSides();
}, SETUP_LIMIT_MS);
afterAll(() => sides?.close());

/** How Python's value under the key differs from what it reads of a sample of its own. */
function differenceOf(place: Place, key: string, sample: string): Promise<string | null> {
  return sides.command(place, "check_sample", { store_name: "values", key, sample });
}

describe.skipIf(leavesOut("fiftyone") || leavesOut("mongodb"))("values of Python", () => {
  const contexts: [string, Place][] = [
    ["no dataset", { datasetId: undefined }],
    ["a dataset", { datasetId: new ObjectId() }],
  ];
  test("there is an expectation for each sample", async () => {
    const names = await sides.fiftyOne.call<string[]>("sample_names");
    expect(names.toSorted()).toEqual(Object.keys(SAMPLES).toSorted());
  });

  describe.each(contexts)("in the context of %s", (_, place) => {
    test.each(Object.entries(SAMPLES))(
      "%s is the same on both sides",
      async (name, { read, write = read }) => {
        const service = sides.serviceIn(place);
        await sides.command(place, "set_sample", { store_name: "values", key: "theirs", sample: name });
        // Python reads what it wrote, so that what follows says something of the service.
        expect(await differenceOf(place, "theirs", name)).toBeNull();
        expect((await service.getKey("values", "theirs"))?.value).toStrictEqual(read);

        await service.setKey("values", "ours", write);
        expect(await differenceOf(place, "ours", name)).toBeNull();

        const raw = await service.getKey("values", "theirs", { encoding: "raw" });
        await service.batchSetKeys("values", [{ key: "copied", value: raw?.value }]);
        expect(await differenceOf(place, "copied", name)).toBeNull();

        const away = await service.compareAndSetKey("values", "theirs", { expected: raw?.value }, "between");
        const back = await service.compareAndSetKey("values", "theirs", { expected: "between" }, raw?.value);
        expect([away.set, back.set]).toEqual([true, true]);
        expect(await differenceOf(place, "theirs", name)).toBeNull();
      },
    );
  });

  test("a value that came as JSON is what Python would have stored", async () => {
    const place: Place = { datasetId: undefined };
    const wire = createWireClient(sides.address);
    onTestFinished(() => wire.close());
    const json = {
      none: null,
      int: 42,
      int_over_32: 2 ** 31,
      int_over_53: { $numberLong: "9007199254740993" },
      float: 1.5,
      nan: { $numberDouble: "NaN" },
      string_unicode: "Grüße, 世界 \u{1f600} e\u0301",
      bytes: { $binary: { base64: "AAH+/w==", subType: "00" } },
      datetime: { $date: "2024-02-29T12:30:15.123Z" },
      object_id: { $oid: ID.toHexString() },
      list_of_lists: [[], [[]], [1, [2, [3]]]],
      dict_of_empties: { list: [], dict: {}, string: "", none: null },
      deep_24: nested(16),
    };
    for (const [name, value] of Object.entries(json)) {
      await wire.call("setKey", { storeName: "values", key: name, value: encodeJson(mapsOf(value)) });
      expect(await differenceOf(place, name, name), name).toBeNull();
      await sides.command(place, "set_sample", { store_name: "values", key: name, sample: name });
      const { document } = await wire.call("getKey", { storeName: "values", key: name });
      expect(decodeJson(document?.value), name).toEqual(mapsOf(value));
    }
  });

  test("names of stores and keys may be of any script", async () => {
    const place: Place = { datasetId: undefined };
    const [store, key] = ["Bücher 📚", "ключ/世界 e\u0301"];
    await sides.python(place, "set_key", store, key, 1);
    expect((await sides.serviceIn(place).getKey(store, key))?.value).toBe(1);
    await sides.serviceIn(place).setKey(store, `${key}2`, 2);
    expect(await sides.python(place, "get_key", store, `${key}2`)).toMatchObject({ value: 2 });
    expect((await sides.python<string[]>(place, "list_keys", store)).toSorted()).toEqual([key, `${key}2`]);
  });

  test("names that are no strings are refused by Python itself", async () => {
    const place: Place = { datasetId: undefined };
    const error = sides.command(place, "set_number_names", { store_name: "values", key: "numbers" });
    await expect(error).rejects.toMatchObject({ type: "InvalidDocument" });
  });
});
