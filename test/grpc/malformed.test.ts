import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KeyPolicy, StoreServiceDefinition } from "../../gen/ts/execution_store/v1/execution_store.js";
import { MAX_REQUEST_BYTES } from "../../src/store/limits.js";
import { startTestServer, type TestServer } from "../support/test-server.js";
import { encodeJson } from "./json-value.js";
import { createWireClient, type WireClient } from "./wire-client.js";

let server: TestServer;
let client: WireClient;
beforeAll(async () => {
  server = await startTestServer();
  client = createWireClient(server.address);
});
afterAll(async () => {
  client.close();
  await server.close();
});

const path = (method: string): string => `/execution_store.v1.StoreService/${method}`;
const { setKey } = StoreServiceDefinition.methods;
const request = Buffer.from(
  setKey.requestType
    .encode({
      datasetId: "",
      collectionName: "",
      storeName: "store",
      key: "key",
      value: encodeJson("value"),
      ttl: { seconds: 60n, nanos: 5 },
      policy: KeyPolicy.KEY_POLICY_UNSPECIFIED,
    })
    .finish(),
);

describe("bytes that are no request", () => {
  it.each([
    ["a cut tag", [0x80]],
    ["a cut string", [0x1a, 5, 0x61]],
    ["a cut varint", [0x1a, 1, 0x61, 0x40, 0x80]],
    ["a varint of eleven bytes", [0x40, ...Array.from({ length: 10 }, () => 0x80), 1]],
    ["field number 0", [0x00, 0x00]],
    ["a lone end of a group", [0x1c, 0x1a, 1, 0x61]],
    ["an unknown wire type", [0x1f, 1]],
    ["a length beyond the end", [0x1a, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ["no UTF-8 in the store's name", [0x1a, 1, 0xff]],
    ["half a surrogate pair in the key", [0x22, 3, 0xed, 0xa0, 0x80]],
    ["an overlong encoding in the key", [0x22, 2, 0xc0, 0x80]],
    ["no UTF-8 in a long key", [0x22, 64, ...Array.from({ length: 63 }, () => 0x61), 0x80]],
    ["a cut value", [0x2a, 5, 0x1a]],
    ["a cut ttl", [0x3a, 2, 0x08, 0x80]],
    ["a ttl that reaches beyond its length", [0x3a, 1, 0x08, 0x40, 0x00]],
    ["a ttl that ends early", [0x3a, 4, 0x08, 0x01, 0x04, 0x01]],
  ])("are answered REQUEST_MALFORMED: %s", async (_title, bytes) => {
    const error = await client.failRaw(path("SetKey"), Buffer.from(bytes));
    expect(error).toMatchObject({
      code: "INVALID_ARGUMENT",
      reason: "REQUEST_MALFORMED",
      domain: "execution-store",
      metadata: { outcome: "NOT_APPLIED" },
    });
    expect(error.violations).toHaveLength(1);
  });

  it.each([
    ["a zero", [0x1a, 1, 0x61, 0x00]],
    ["the end of a group", [0x1a, 1, 0x61, 0x1c, 0x22, 1, 0x61]],
    ["no UTF-8", [0x1a, 1, 0x80]],
  ])("are found in the simplest requests, too: %s", async (_title, bytes) => {
    expect((await client.failRaw(path("HasStore"), Buffer.from(bytes))).reason).toBe("REQUEST_MALFORMED");
  });

  it("may hold fields of a later contract", async () => {
    const later = Buffer.concat([request, Buffer.from([0xc2, 0x3e, 1, 0x61, 0xc8, 0x3e, 1])]);
    await expect(client.raw(path("SetKey"), later)).resolves.toBeInstanceOf(Buffer);
  });

  it("never bring the server down, whatever they are", { timeout: 60_000 }, async () => {
    const methods = Object.values(StoreServiceDefinition.methods)
      .map((method) => method.name)
      .filter((name) => name !== "WatchKeys");
    const mutated = fc
      .array(fc.tuple(fc.nat(request.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
      .map((changes) => {
        const bytes = Buffer.from(request);
        for (const [index, byte] of changes) bytes[index] = byte;
        return bytes;
      });
    const bytes = fc.oneof(mutated, fc.uint8Array({ maxLength: 64 }));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...methods), bytes, async (method, input) => {
        const error = await client.raw(path(method), input).then(
          () => undefined,
          (failure: { code: number; metadata: { get(name: string): unknown[] } }) => failure,
        );
        // INTERNAL would be a fault of the server; everything else has details.
        if (error === undefined) return;
        expect([3, 5, 6, 7, 8, 9]).toContain(error.code);
        expect(error.metadata.get("grpc-status-details-bin")).toHaveLength(1);
      }),
      { numRuns: 400 },
    );
  });
});

describe("requests that are too large", () => {
  it("are refused with a reason and a remedy", async () => {
    for (const extra of [1, 1024 * 1024]) {
      const error = await client.failRaw(path("SetKey"), Buffer.alloc(MAX_REQUEST_BYTES + extra));
      expect(error).toMatchObject({
        code: "RESOURCE_EXHAUSTED",
        reason: "REQUEST_TOO_LARGE",
        metadata: { outcome: "NOT_APPLIED" },
        message: `the request is ${MAX_REQUEST_BYTES + extra} bytes long; expected at most ${MAX_REQUEST_BYTES} (16 MiB), so send less at once`,
      });
    }
    const read = await client.failRaw(path("GetKey"), Buffer.alloc(MAX_REQUEST_BYTES + 1));
    expect(read).toMatchObject({ reason: "REQUEST_TOO_LARGE", metadata: {} });
  });

  it("are RESOURCE_EXHAUSTED if they are far too large, and the server lives on", async () => {
    const error = await client.failRaw(path("SetKey"), Buffer.alloc(MAX_REQUEST_BYTES + 1024 * 1024 + 1));
    expect(error.code).toBe("RESOURCE_EXHAUSTED");
    await expect(client.raw(path("SetKey"), request)).resolves.toBeInstanceOf(Buffer);
  });

  it("pass up to 16 MiB", async () => {
    // An unknown field fills the request up to the last byte.
    const length = MAX_REQUEST_BYTES - request.length - 6;
    const size = Buffer.from([length & 0x7f, (length >> 7) & 0x7f, (length >> 14) & 0x7f, length >> 21]);
    for (const index of [0, 1, 2]) size[index] = Number(size[index]) | 0x80;
    const filled = Buffer.concat([request, Buffer.from([0xc2, 0x3e]), size, Buffer.alloc(length)]);
    expect(filled).toHaveLength(MAX_REQUEST_BYTES);
    await expect(client.raw(path("SetKey"), filled)).resolves.toBeInstanceOf(Buffer);
  });
});

describe("a method that is not there", () => {
  it("is UNIMPLEMENTED", async () => {
    expect((await client.failRaw(path("Nothing"), request)).code).toBe("UNIMPLEMENTED");
  });
});
