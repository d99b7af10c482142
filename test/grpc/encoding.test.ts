import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  BatchGetKeysResponse,
  CompareAndSetKeyResponse,
  GetKeyResponse,
  type KeyDocument as KeyMessage,
  KeyPolicy,
  ListKeysResponse,
  ListValuesResponse,
  SetKeyResponse,
} from "../../gen/ts/execution_store/v1/execution_store.js";
import { measureDocument } from "../../src/grpc/document-field.js";
import {
  batchGetResponse,
  conditionalSetResponse,
  documentResponse,
  documentsPage,
  namesPage,
  setResponse,
} from "../../src/grpc/responses.js";
import type { KeyDocument } from "../../src/store/document.js";

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.string({ maxLength: 40 }),
  fc.constantFrom("", "a".repeat(63), "a".repeat(64), "a".repeat(65), "a".repeat(128), `${"a".repeat(63)}é`),
);
/** Times far beyond what is stored, and those at the edges of varints; foreign documents may have any. */
const time = fc.oneof(
  fc.integer({ min: -1e13, max: 8.64e15 }),
  fc.constantFrom(0, 1, 999, 1000, -1, -1000, -1001, 2 ** 31 * 1000, 2 ** 31 * 1000 - 1, 2 ** 32 * 1000 + 1),
);
const document: fc.Arbitrary<KeyDocument> = fc.record({
  datasetId: fc.constantFrom("", "0123456789abcdef01234567"),
  storeName: text,
  key: text,
  value: fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined }),
  createdAt: time,
  updatedAt: time,
  expiresAt: fc.option(time, { nil: undefined }),
  policy: fc.constantFrom("persist", "evict"),
  etag: text,
});

function timestamp(ms: number): { seconds: bigint; nanos: number } {
  const seconds = BigInt(Math.floor(ms / 1000));
  return { seconds, nanos: Number(BigInt(ms) - seconds * 1000n) * 1e6 };
}

function message(source: KeyDocument, withValue = true): KeyMessage {
  const { value, expiresAt } = source;
  return {
    storeName: source.storeName,
    key: source.key,
    value: undefined,
    valueBson: withValue && value !== undefined ? Buffer.from(value) : undefined,
    datasetId: source.datasetId,
    createdAt: timestamp(source.createdAt),
    updatedAt: timestamp(source.updatedAt),
    expiresAt: expiresAt === undefined ? undefined : timestamp(expiresAt),
    policy: source.policy === "persist" ? KeyPolicy.KEY_POLICY_PERSIST : KeyPolicy.KEY_POLICY_EVICT,
    etag: source.etag,
  };
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("the encoders give the bytes of the generated code", () => {
  it("for documents with values", () => {
    fc.assert(
      fc.property(document, (source) => {
        const bytes = documentResponse(measureDocument(source, "bson"));
        expect(hex(bytes)).toBe(hex(GetKeyResponse.encode({ document: message(source) }).finish()));
      }),
      { numRuns: 500 },
    );
  });

  it("for the answers of sets", () => {
    fc.assert(
      fc.property(document, fc.boolean(), fc.boolean(), (source, flag, missing) => {
        const without = message(source, false);
        const set = SetKeyResponse.encode({ document: without, created: flag }).finish();
        expect(hex(setResponse({ document: source, created: flag }))).toBe(hex(set));
        const found = missing ? undefined : source;
        const expected = { set: flag, document: missing ? undefined : without };
        expect(hex(conditionalSetResponse({ set: flag, document: found }))).toBe(
          hex(CompareAndSetKeyResponse.encode(expected).finish()),
        );
      }),
    );
  });

  it("for pages and batches", () => {
    fc.assert(
      fc.property(fc.array(document, { maxLength: 5 }), fc.array(text), text, (sources, names, token) => {
        const documents = sources.map((source) => message(source));
        const page = documentsPage({ items: sources, next: undefined }, "bson", () => token);
        expect(hex(page)).toBe(hex(ListValuesResponse.encode({ documents, nextPageToken: token }).finish()));
        const list = namesPage({ items: names, next: undefined }, () => token);
        expect(hex(list)).toBe(hex(ListKeysResponse.encode({ keys: names, nextPageToken: token }).finish()));
        const keys = [...sources.map(({ key }) => key), ...names];
        const found = [...sources, ...names.map(() => undefined)].slice(0, keys.length - 1);
        const batch = { documents, missingKeys: names.slice(0, -1), unprocessedKeys: names.slice(-1) };
        if (names.length === 0) return;
        expect(hex(batchGetResponse(keys, { documents: found }, "bson"))).toBe(
          hex(BatchGetKeysResponse.encode(batch).finish()),
        );
      }),
    );
  });
});
