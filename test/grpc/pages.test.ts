import { serialize } from "bson";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ValueEncoding } from "../../gen/ts/execution_store/v1/execution_store.js";
import { encodePageToken } from "../../src/grpc/page-token.js";
import { MAX_PAGE_BYTES, MAX_REQUEST_BYTES } from "../../src/store/limits.js";
import { startTestServer, type TestServer } from "../support/test-server.js";
import { createWireClient, type WireClient } from "./wire-client.js";

const BSON = ValueEncoding.VALUE_ENCODING_BSON;
const DATASET = "0123456789abcdef01234567";

let server: TestServer;
let client: WireClient;
beforeAll(async () => {
  server = await startTestServer({ collections: ["execution_store", "other"] });
  client = createWireClient(server.address);
  const entries = ["a1", "a2", "a3", "b1"].map((key) => ({ key, valueBson: bson(key), policy: 0 }));
  for (const storeName of ["s1", "s2", "t"]) {
    for (const datasetId of ["", DATASET])
      await client.call("batchSetKeys", { datasetId, storeName, entries });
  }
});
afterAll(async () => {
  client.close();
  await server.close();
});

function bson(value: unknown): Buffer {
  return Buffer.from(serialize({ value }));
}

async function tokenOf(request: object): Promise<string> {
  const { nextPageToken } = await client.call("listKeys", { pageSize: 1, ...request });
  expect(nextPageToken).not.toBe("");
  return nextPageToken;
}

/** All pages of a list: their sizes on the wire and the number of their items. */
async function sizes(method: "ListKeys" | "ListValues", storeName: string, encoding: number) {
  const name = method === "ListKeys" ? "listKeys" : "listValues";
  const found: { bytes: number; keys: string[] }[] = [];
  let pageToken = "";
  do {
    const request = { storeName, pageSize: 10_000, pageToken, encoding };
    const page = await client.call(name, request);
    const bytes = await client.size(name, request);
    found.push({ bytes, keys: "keys" in page ? page.keys : page.documents.map(({ key }) => key) });
    ({ nextPageToken: pageToken } = page);
  } while (pageToken !== "");
  return found;
}

describe("pages", () => {
  it("follow each other without a gap or a repetition", async () => {
    for (const method of ["listKeys", "listStores"] as const) {
      const found: string[] = [];
      let pageToken = "";
      do {
        const page = await client.call(method, { storeName: "s1", pageSize: 1, pageToken });
        found.push(...("keys" in page ? page.keys : page.storeNames));
        ({ nextPageToken: pageToken } = page);
      } while (pageToken !== "");
      expect(found).toEqual(method === "listKeys" ? ["a1", "a2", "a3", "b1"] : ["s1", "s2", "t"]);
    }
  });

  it("of all contexts come by dataset, then by store", async () => {
    const found: [string, string][] = [];
    let pageToken = "";
    do {
      const page = await client.call("listStoresGlobal", { pageSize: 2, pageToken, prefix: "s" });
      found.push(...page.stores.map((store): [string, string] => [store.datasetId, store.storeName]));
      expect(page.stores.every((store) => store.metadata === undefined && store.etag === "")).toBe(true);
      ({ nextPageToken: pageToken } = page);
    } while (pageToken !== "");
    expect(found).toEqual([
      ["", "s1"],
      ["", "s2"],
      [DATASET, "s1"],
      [DATASET, "s2"],
    ]);
  });

  it("may change their size and the encoding", async () => {
    const first = await client.call("listValues", { storeName: "s1", pageSize: 1, encoding: BSON });
    expect(first.documents.map(({ key, valueBson }) => [key, valueBson])).toEqual([["a1", bson("a1")]]);
    const request = { storeName: "s1", pageSize: 10, pageToken: first.nextPageToken };
    const rest = await client.call("listValues", { ...request, encoding: ValueEncoding.VALUE_ENCODING_NONE });
    expect(rest.documents.map(({ key }) => key)).toEqual(["a2", "a3", "b1"]);
    expect(
      rest.documents.every(({ value, valueBson }) => value === undefined && valueBson === undefined),
    ).toBe(true);
    expect(rest.nextPageToken).toBe("");
  });
});

describe("a page token", () => {
  it.each([
    ["another store", "listKeys", { storeName: "s2" }],
    ["another context", "listKeys", { storeName: "s1", datasetId: DATASET }],
    ["another collection", "listKeys", { storeName: "s1", collectionName: "other" }],
    ["another prefix", "listKeys", { storeName: "s1", prefix: "a" }],
    ["another method", "listValues", { storeName: "s1" }],
    ["a list of stores", "listStores", {}],
    ["a list of all stores", "listStoresGlobal", {}],
  ] as const)("is none of %s", async (_title, method, request) => {
    const pageToken = await tokenOf({ storeName: "s1" });
    const error = await client.fail(method, { ...request, pageToken });
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", reason: "PAGE_TOKEN_INVALID" });
    expect(error.violations.map(({ field }) => field)).toEqual(["page_token"]);
  });

  it("is one of the same list, with the collection named or not", async () => {
    const pageToken = await tokenOf({ storeName: "s1", datasetId: DATASET });
    const request = {
      storeName: "s1",
      datasetId: DATASET.toUpperCase(),
      collectionName: "execution_store",
      pageToken,
    };
    expect((await client.call("listKeys", request)).keys).toEqual(["a2", "a3", "b1"]);
  });

  it("that was tampered with in any place is refused", async () => {
    const token = await tokenOf({ storeName: "s1" });
    const broken = [
      `${token}A`,
      `${token}=`,
      ` ${token}`,
      token.slice(1),
      token.slice(0, -1),
      "A",
      "=",
      "\u{1F600}",
    ];
    for (let index = 0; index < token.length; index += 1) {
      const other = token[index] === "A" ? "B" : "A";
      broken.push(token.slice(0, index) + other + token.slice(index + 1));
    }
    for (const pageToken of broken) {
      const error = await client.fail("listKeys", { storeName: "s1", pageToken });
      expect(error.reason, pageToken).toBe("PAGE_TOKEN_INVALID");
    }
  });

  it.each([
    ["no place among all stores", "listStoresGlobal", "ListStoresGlobal", "", "s1"],
    ["no dataset", "listStoresGlobal", "ListStoresGlobal", "", "zz/s1"],
  ] as const)("that is forged is refused for %s", async (_title, name, method, storeName, cursor) => {
    const listing = { method, collection: "execution_store", datasetId: "", storeName, prefix: "" };
    const pageToken = encodePageToken(listing, cursor);
    expect((await client.fail(name, { storeName, pageToken })).reason).toBe("PAGE_TOKEN_INVALID");
  });

  it.each([
    ["a key", "listKeys", "ListKeys", "s1"],
    ["a store", "listStores", "ListStores", ""],
    ["a value", "listValues", "ListValues", "s1"],
  ] as const)(
    "takes the longest name that a request can hold: %s",
    async (_title, name, method, storeName) => {
      const listing = { method, collection: "execution_store", datasetId: "", storeName, prefix: "" };
      for (const bytes of [1024, 1025, 5000, MAX_REQUEST_BYTES - 100]) {
        const pageToken = encodePageToken(listing, "x".repeat(bytes));
        const page = await client.call(name, { storeName, pageToken });
        expect(page.nextPageToken).toBe("");
        const broken = `${pageToken.slice(0, -1)}${pageToken.endsWith("A") ? "B" : "A"}`;
        for (const token of [`${pageToken}A`, broken, pageToken.slice(1)]) {
          expect((await client.fail(name, { storeName, pageToken: token })).reason).toBe(
            "PAGE_TOKEN_INVALID",
          );
        }
      }
    },
  );

  it("that is forged names a place at most", async () => {
    const listing = {
      method: "ListKeys",
      collection: "execution_store",
      datasetId: "",
      storeName: "s1",
      prefix: "",
    };
    for (const cursor of ["a2\0", "__store__", "\u{10FFFF}".repeat(256), "a2"]) {
      const pageToken = encodePageToken(listing, cursor);
      const { keys } = await client.call("listKeys", { storeName: "s1", pageToken });
      expect(keys).toEqual(
        cursor.startsWith("a2") ? ["a3", "b1"] : cursor === "__store__" ? ["a1", "a2", "a3", "b1"] : [],
      );
    }
  });

  it("does not depend on the server that gave it", async () => {
    const pageToken = await tokenOf({ storeName: "s1" });
    const other = await startTestServer({ engine: server.engine });
    const otherClient = createWireClient(other.address);
    try {
      expect((await otherClient.call("listKeys", { storeName: "s1", pageToken })).keys).toEqual([
        "a2",
        "a3",
        "b1",
      ]);
    } finally {
      otherClient.close();
    }
  });
});

describe("answers are cut at 3 MiB", () => {
  const MIB = 1024 * 1024;

  it("in lists of values, by the size in the form asked for", async () => {
    // As JSON a date takes about five times what it takes as BSON.
    const dates = bson(Array.from({ length: 20_000 }, (_, index) => new Date(1.7e12 + index)));
    const keys = ["1", "2", "3", "4", "5", "6"];
    for (const key of keys) await client.call("setKey", { storeName: "dates", key, valueBson: dates });
    const asBson = await sizes("ListValues", "dates", BSON);
    const asJson = await sizes("ListValues", "dates", ValueEncoding.VALUE_ENCODING_JSON);
    expect(asJson.length).toBeGreaterThan(asBson.length);
    for (const pages of [asBson, asJson]) {
      expect(pages.flatMap((page) => page.keys)).toEqual(keys);
      for (const page of pages) expect(page.bytes).toBeLessThanOrEqual(MAX_PAGE_BYTES + 2_000);
    }
  });

  it("but hold one document that is larger", async () => {
    const large = bson("x".repeat(5 * MIB));
    for (const key of ["1", "2"]) await client.call("setKey", { storeName: "large", key, valueBson: large });
    const pages = await sizes("ListValues", "large", BSON);
    expect(pages.map((page) => page.keys)).toEqual([["1"], ["2"]]);
  });

  it("in lists of keys", async () => {
    const keys = Array.from({ length: 4000 }, (_, index) => String(index).padStart(1024, "0"));
    for (let start = 0; start < keys.length; start += 1000) {
      const entries = keys.slice(start, start + 1000).map((key) => ({ key, valueBson: bson(1), policy: 0 }));
      await client.call("batchSetKeys", { storeName: "names", entries });
    }
    const pages = await sizes("ListKeys", "names", 0);
    expect(pages.length).toBe(2);
    expect(pages.flatMap((page) => page.keys)).toEqual(keys);
    for (const page of pages) expect(page.bytes).toBeLessThanOrEqual(MAX_PAGE_BYTES + 2_000);
    await client.call("deleteStore", { storeName: "names" });
  });

  it("with the token, which holds the last name again", async () => {
    const keys = ["a", "b", "c", "d"].map((letter) => letter.repeat(1.4 * MIB));
    const scope = { collection: "execution_store", datasetId: "" };
    const write = { value: bson(1), ttlMs: undefined, policy: "persist" } as const;
    for (const key of keys) await server.engine.setKey(scope, "wide names", key, write);
    for (const method of ["ListKeys", "ListValues"] as const) {
      const pages = await sizes(method, "wide names", ValueEncoding.VALUE_ENCODING_NONE);
      expect(pages.flatMap((page) => page.keys)).toEqual(keys);
      for (const page of pages) expect(page.bytes).toBeLessThanOrEqual(MAX_PAGE_BYTES);
    }
    for (const key of keys) await server.engine.setKey(scope, key, "k", write);
    for (const method of ["listStores", "listStoresGlobal"] as const) {
      let pageToken = "";
      do {
        const request = { pageToken, pageSize: 10_000 };
        expect(await client.size(method, request)).toBeLessThanOrEqual(MAX_PAGE_BYTES);
        ({ nextPageToken: pageToken } = await client.call(method, request));
      } while (pageToken !== "");
    }
    for (const storeName of ["wide names", ...keys]) await client.call("deleteStore", { storeName });
  });

  it("in batches, where the rest is named in order", async () => {
    const keys = Array.from({ length: 10 }, (_, index) => `k${index}`);
    const value = bson("x".repeat(MIB / 2));
    for (const key of keys) await client.call("setKey", { storeName: "batch", key, valueBson: value });
    const asked = ["gone1", ...keys, "k0", "gone2"];
    const request = { storeName: "batch", keys: asked, encoding: BSON };
    const first = await client.call("batchGetKeys", request);
    expect(first.documents.map(({ key }) => key)).toEqual(keys.slice(0, 5));
    expect(first.missingKeys).toEqual(["gone1"]);
    expect(first.unprocessedKeys).toEqual([...keys.slice(5), "gone2"]);
    expect(await client.size("batchGetKeys", request)).toBeLessThanOrEqual(MAX_PAGE_BYTES);
    const second = await client.call("batchGetKeys", { ...request, keys: first.unprocessedKeys });
    expect(second.documents.map(({ key }) => key)).toEqual(keys.slice(5));
    expect(second.missingKeys).toEqual(["gone2"]);
    expect(second.unprocessedKeys).toEqual([]);
  });

  it("in batches with the longest keys, within the 4 MiB that clients take by default", async () => {
    const keys = Array.from({ length: 999 }, (_, index) => String(index).padStart(1024, "m"));
    await client.call("setKey", {
      storeName: "wide",
      key: "big",
      valueBson: bson("x".repeat(3 * MIB - 200)),
    });
    const request = { storeName: "wide", keys: ["big", ...keys], encoding: BSON };
    expect(await client.size("batchGetKeys", request)).toBeLessThan(4 * MIB);
    const { documents, unprocessedKeys } = await client.call("batchGetKeys", request);
    expect(documents.map(({ key }) => key)).toEqual(["big"]);
    expect(unprocessedKeys.length + (await client.call("batchGetKeys", request)).missingKeys.length).toBe(
      999,
    );
  });

  it("and a batch is answered once per key, in the order of first mention", async () => {
    const answer = await client.call("batchGetKeys", {
      storeName: "s1",
      keys: ["b1", "x", "a1", "b1", "x", "y"],
    });
    expect(answer.documents.map(({ key }) => key)).toEqual(["b1", "a1"]);
    expect(answer.missingKeys).toEqual(["x", "y"]);
    expect(answer.unprocessedKeys).toEqual([]);
    const none = await client.call("batchGetKeys", { storeName: "s1", keys: [] });
    expect(none).toEqual({ documents: [], missingKeys: [], unprocessedKeys: [] });
  });
});
