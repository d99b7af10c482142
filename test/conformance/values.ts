import { randomBytes } from "node:crypto";
import {
  Binary,
  BSONRegExp,
  BSONSymbol,
  Code,
  Decimal128,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
} from "bson";
import { expect } from "vitest";
import { MAX_BSON_LEVELS, MAX_PAGE_BYTES, MAX_VALUE_BYTES } from "../../src/store/limits.js";
import { type Check, documentsOf, FIRST, plain, present, readValue, valueOf } from "./world.js";

/** A value document of one element that the bson package does not write. */
function rawValue(type: number, content: readonly number[]): Uint8Array {
  const body = [type, ...Buffer.from("value\0"), ...content, 0];
  const length = Buffer.alloc(4);
  length.writeInt32LE(body.length + 4);
  return Uint8Array.from([...length, ...body]);
}

function nested(levels: number, kind: "object" | "array"): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = kind === "array" ? [value] : { a: value };
  return value;
}

const TYPES: Record<string, Uint8Array> = {
  double: valueOf(new Double(0.1)),
  "negative zero": valueOf(new Double(-0)),
  NaN: valueOf(new Double(NaN)),
  "NaN with a payload": rawValue(0x01, [1, 2, 3, 4, 5, 6, 0xf8, 0x7f]),
  infinity: valueOf(new Double(-Infinity)),
  string: valueOf("text \u{1F600} \u0000 end"),
  "empty string": valueOf(""),
  object: valueOf({ b: 1, a: { z: [], y: {} }, "": "", "a.b": 1, $x: 2, ["__proto__"]: 3 }),
  array: valueOf([1, "two", [3], { four: 4 }, null]),
  "array with odd names": rawValue(0x04, [16, 0, 0, 0, 0x10, 0x37, 0x37, 0, 1, 0, 0, 0, 0x0a, 0x61, 0, 0]),
  "empty object": valueOf({}),
  "empty array": valueOf([]),
  binary: valueOf(new Binary(Buffer.from([0, 1, 255]), 0)),
  "old binary": valueOf(new Binary(Buffer.from([1, 2, 3]), 2)),
  uuid: valueOf(new Binary(Buffer.alloc(16, 7), 4)),
  "user binary": valueOf(new Binary(Buffer.from("x"), 0x80)),
  "empty binary": valueOf(new Binary(Buffer.alloc(0), 0)),
  undefined: rawValue(0x06, []),
  "object id": valueOf(new ObjectId("0123456789abcdef01234567")),
  true: valueOf(true),
  false: valueOf(false),
  date: valueOf(new Date(1_234_567_890_123)),
  "date before 1970": valueOf(new Date(-1)),
  "date beyond JavaScript": rawValue(0x09, [255, 255, 255, 255, 255, 255, 255, 127]),
  null: valueOf(null),
  regex: valueOf(new BSONRegExp("^a.*\\/$", "imx")),
  "db pointer": rawValue(0x0c, [3, 0, 0, 0, 0x61, 0x62, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
  code: valueOf(new Code("return 1;")),
  symbol: valueOf(new BSONSymbol("sym")),
  "code with scope": valueOf(new Code("return x;", { x: 1 })),
  int32: valueOf(new Int32(-2_147_483_648)),
  timestamp: valueOf(new Timestamp({ t: 4_294_967_295, i: 1 })),
  int64: valueOf(Long.MIN_VALUE),
  "int64 that fits int32": valueOf(Long.fromNumber(1)),
  decimal: valueOf(Decimal128.fromString("1.10E-6000")),
  "decimal NaN": valueOf(Decimal128.fromString("NaN")),
  "min key": valueOf(new MinKey()),
  "max key": valueOf(new MaxKey()),
  "deepest object": valueOf(nested(MAX_BSON_LEVELS, "object")),
  "deepest array": valueOf(nested(MAX_BSON_LEVELS, "array")),
};

/** Values come back as the bytes that were written. */
export function values(check: Check): void {
  check("keeps every BSON type to the byte, through every method", async ({ engine }) => {
    const names = Object.keys(TYPES);
    const writeOf = (name: string) =>
      ({ value: present(TYPES[name]), ttlMs: undefined, policy: "persist" }) as const;
    for (const [index, name] of names.entries()) {
      if (index % 3 === 0) await engine.setKey(FIRST, "jobs", name, writeOf(name));
      if (index % 3 === 1) await engine.setKeyIfAbsent(FIRST, "jobs", name, writeOf(name));
      if (index % 3 === 2) {
        const { document } = await engine.setKey(FIRST, "jobs", name, {
          ...writeOf(name),
          value: valueOf(0),
        });
        await engine.compareAndSetKey(FIRST, "jobs", name, { etag: document.etag }, writeOf(name));
      }
      expect(plain(await readValue(engine, FIRST, "jobs", name)), name).toEqual(
        TYPES[name] && plain(TYPES[name]),
      );
    }
    const listed = await documentsOf(engine, FIRST, "jobs", { limit: 10 });
    expect(listed).toHaveLength(names.length);
    for (const { key, value } of listed) expect(plain(value), key).toEqual(plain(TYPES[key]));

    await engine.batchSetKeys(
      FIRST,
      "batch",
      names.map((key) => ({ key, ...writeOf(key) })),
    );
    const asked = { withValue: true, maxBytes: MAX_PAGE_BYTES };
    const { documents } = await engine.batchGetKeys(FIRST, "batch", names, asked);
    for (const [index, name] of names.entries()) {
      expect(plain(documents[index]?.value), name).toEqual(plain(TYPES[name]));
    }
  });

  check("swaps every BSON type for itself", async ({ engine }) => {
    for (const [name, value] of Object.entries(TYPES)) {
      await engine.setKey(FIRST, "jobs", "key", { value, ttlMs: undefined, policy: "persist" });
      const write = { value: valueOf("next"), ttlMs: undefined, policy: undefined };
      const wrong = { value: valueOf("nothing of these") };
      expect((await engine.compareAndSetKey(FIRST, "jobs", "key", wrong, write)).set, name).toBe(false);
      expect((await engine.compareAndSetKey(FIRST, "jobs", "key", { value }, write)).set, name).toBe(true);
    }
  });

  check("keeps values of every size to the byte", async ({ engine }) => {
    const sizes = [0, 1, 500, 990, 1000, 1010, 1023, 1024, 1025, 4096, 65_535, 65_536, 1_000_000, 3_200_000];
    for (const size of sizes) {
      const value = valueOf(new Binary(randomBytes(size)));
      await engine.setKey(FIRST, "jobs", "key", { value, ttlMs: undefined, policy: "persist" });
      expect(Buffer.compare(present(await readValue(engine, FIRST, "jobs", "key")), value), `${size}`).toBe(
        0,
      );
      await engine.updatePolicy(FIRST, "jobs", "key", "evict");
      expect(Buffer.compare(present(await readValue(engine, FIRST, "jobs", "key")), value), `${size}`).toBe(
        0,
      );
    }
    expect(await engine.countKeys(FIRST, "jobs", "")).toBe(1);
  });

  check("keeps a value of the largest size", async ({ engine }) => {
    const overhead = valueOf(new Binary(Buffer.alloc(0))).length;
    const value = valueOf(new Binary(randomBytes(MAX_VALUE_BYTES - overhead)));
    expect(value.length).toBe(MAX_VALUE_BYTES);
    const { document } = await engine.setKey(FIRST, "jobs", "large", {
      value,
      ttlMs: undefined,
      policy: "persist",
    });
    expect(Buffer.compare(present(await readValue(engine, FIRST, "jobs", "large")), value)).toBe(0);
    const [listed] = await documentsOf(engine, FIRST, "jobs");
    expect(Buffer.compare(present(listed?.value), value)).toBe(0);
    const next = { value: valueOf("small"), ttlMs: undefined, policy: undefined };
    const expected = { etag: document.etag };
    expect((await engine.compareAndSetKey(FIRST, "jobs", "large", expected, next)).set).toBe(true);
    expect(plain(await readValue(engine, FIRST, "jobs", "large"))).toEqual(plain(valueOf("small")));
  });

  check("shares no memory with its callers", async ({ engine }) => {
    for (const size of [10, 2000]) {
      const text = "x".repeat(size);
      const given = valueOf(text);
      await engine.setKey(FIRST, "jobs", "key", { value: given, ttlMs: undefined, policy: "persist" });
      given.fill(0);
      const taken = [
        present(await readValue(engine, FIRST, "jobs", "key")),
        present((await documentsOf(engine, FIRST, "jobs"))[0]?.value),
        present(
          (await engine.batchGetKeys(FIRST, "jobs", ["key"], { withValue: true, maxBytes: 1e6 })).documents[0]
            ?.value,
        ),
      ];
      // Later reads must not write into what was handed out before.
      await engine.setKey(FIRST, "jobs", "other", {
        value: valueOf("y".repeat(size)),
        ttlMs: undefined,
        policy: "persist",
      });
      await readValue(engine, FIRST, "jobs", "other");
      for (const bytes of taken) {
        expect(plain(bytes)).toEqual(plain(valueOf(text)));
        bytes.fill(0);
      }
      expect(plain(await readValue(engine, FIRST, "jobs", "key"))).toEqual(plain(valueOf(text)));
      await engine.deleteStore(FIRST, "jobs");
    }
  });
}
