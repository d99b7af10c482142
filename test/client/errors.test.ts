import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Metadata, status } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { ErrorInfo } from "../../gen/ts/google/rpc/error_details.js";
import { Status } from "../../gen/ts/google/rpc/status.js";
import { ExecutionStoreService } from "../../src/client/service.js";
import { isStoreError, REASONS, type Reason, StoreError } from "../../src/store/errors.js";
import { type ScriptedAnswer, type ScriptedServer, startScriptedServer } from "../support/scripted-server.js";
import { startTestServer } from "../support/test-server.js";

let server: ScriptedServer | undefined;
let service: ExecutionStoreService | undefined;

afterEach(async () => {
  await service?.close();
  server?.close();
});

async function answering(answer: ScriptedAnswer): Promise<ExecutionStoreService> {
  server = await startScriptedServer(() => answer);
  service = new ExecutionStoreService({ address: server.address, retry: false });
  return service;
}

async function failure(call: Promise<unknown>): Promise<StoreError> {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isStoreError(error)) throw new Error("no StoreError", { cause: error });
  return error;
}

/** Everything that programs read of an error. */
function fieldsOf(error: StoreError): object {
  const { kind, reason, message, violations, resource, outcome, retryAfterMs, errorId } = error;
  return { kind, reason, message, violations, resource, outcome, retryAfterMs, errorId };
}

async function unreachable(address: string): Promise<StoreError> {
  service = new ExecutionStoreService({ address, retry: { initialBackoffMs: 1, waitForServerMs: 50 } });
  return failure(service.setKeyIfAbsent("s", "k", 1));
}

describe("errors of the service", () => {
  test.each(Object.keys(REASONS) as Reason[])("%s arrives as it was thrown", async (reason) => {
    const thrown = new StoreError(reason, "store_name is wrong; mend it", {
      violations: [
        { field: "store_name", description: "is wrong; mend it" },
        { field: "entries[3].key", description: "is empty" },
      ],
      resource: { type: "key", name: "s/k" },
      outcome: "NOT_APPLIED",
      errorId: "id-1",
      ...(REASONS[reason] === "UNAVAILABLE" ? { retryAfterMs: 1234 } : {}),
    });
    const error = await failure((await answering(thrown)).setKey("s", "k", 1));
    expect(error).toBeInstanceOf(StoreError);
    expect(fieldsOf(error)).toEqual(fieldsOf(thrown));
    const read = await failure(
      (await answering(thrown)).getStore("s").then((store) => store ?? Promise.reject(thrown)),
    );
    expect({ ...fieldsOf(read), outcome: "NOT_APPLIED" }).toEqual(fieldsOf(thrown));
  });

  test.each(["key", "store", "service"] as const)("the resource of type %s arrives", async (type) => {
    const resource = { type, name: "n" };
    const thrown = new StoreError("NOT_FOUND", "is not there", { resource });
    expect((await failure((await answering(thrown)).hasKey("s", "k"))).resource).toEqual(resource);
  });

  test("UNKNOWN arrives, too", async () => {
    const thrown = new StoreError("INTERNAL", "an internal error occurred", { outcome: "UNKNOWN" });
    expect((await failure((await answering(thrown)).setKey("s", "k", 1))).outcome).toBe("UNKNOWN");
  });

  test("a StoreError holds where it was called from", async () => {
    const client = await answering(new StoreError("STORAGE_FULL", "the disk is full"));
    async function theCaller(): Promise<void> {
      await client.setKey("s", "k", 1);
    }
    expect((await failure(theCaller())).stack).toMatch(/ExecutionStoreService\.setKey[\s\S]*theCaller/);
  });

  test("the real server's violations name the fields, as the wire does", async () => {
    const real = await startTestServer();
    service = new ExecutionStoreService({ address: real.address });
    const error = await failure(service.setKey("", "a\0b", 1));
    expect(error).toMatchObject({
      kind: "INVALID_ARGUMENT",
      reason: "STORE_NAME_INVALID",
      outcome: "NOT_APPLIED",
    });
    expect(error.violations.map(({ field }) => field)).toEqual(["store_name", "key"]);
    expect(await failure(service.setKey("s", "__store__", 1))).toMatchObject({ reason: "KEY_RESERVED" });
    expect(await failure(service.withContext({ collectionName: "no" }).countStores())).toMatchObject({
      reason: "COLLECTION_NOT_ALLOWED",
      kind: "PERMISSION_DENIED",
      message: expect.stringMatching(/--collections \(EXECUTION_STORE_COLLECTIONS\)/),
    });
    expect(await failure(service.listKeys("s", { pageSize: 10_001 }).toArray())).toMatchObject({
      reason: "PAGE_SIZE_INVALID",
    });
    expect(await failure(service.listKeys("s").page("garbled"))).toMatchObject({
      reason: "PAGE_TOKEN_INVALID",
    });
    await service.createStore("s");
    expect(await failure(service.createStore("s"))).toMatchObject({
      kind: "ALREADY_EXISTS",
      reason: "STORE_ALREADY_EXISTS",
      resource: { type: "store", name: "s" },
      outcome: "NOT_APPLIED",
    });
    await real.close();
  });
});

describe("errors of others", () => {
  test.each([
    [status.INVALID_ARGUMENT, "INVALID_ARGUMENT"],
    [status.NOT_FOUND, "NOT_FOUND"],
    [status.ALREADY_EXISTS, "ALREADY_EXISTS"],
    [status.FAILED_PRECONDITION, "FAILED_PRECONDITION"],
    [status.OUT_OF_RANGE, "OUT_OF_RANGE"],
    [status.PERMISSION_DENIED, "PERMISSION_DENIED"],
    [status.UNAUTHENTICATED, "UNAUTHENTICATED"],
    [status.RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED"],
    [status.UNAVAILABLE, "UNAVAILABLE"],
    [status.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"],
    [status.UNIMPLEMENTED, "UNIMPLEMENTED"],
    [status.INTERNAL, "INTERNAL"],
    [status.UNKNOWN, "INTERNAL"],
    [status.ABORTED, "INTERNAL"],
    [status.DATA_LOSS, "INTERNAL"],
    [status.CANCELLED, "UNAVAILABLE"],
  ])("status %d without details is %s, of unknown outcome for a write", async (code, kind) => {
    const client = await answering({ code, details: "said so" });
    const error = await failure(client.setKey("s", "k", 1));
    expect(error).toMatchObject({ kind, reason: kind, outcome: "UNKNOWN", cause: { code } });
    // A NOT_FOUND that is not about the key is no missing key.
    expect(await failure(client.getKey("s", "k"))).toMatchObject({ kind, reason: kind, outcome: undefined });
  });

  test.each([
    ["a reason of a newer server", "execution-store", "SOMETHING_NEW"],
    ["a reason of another service", "example.com", "STORE_NOT_FOUND"],
    ["a reason of another kind", "execution-store", "KEY_INVALID"],
    ["a name that every object has", "execution-store", "constructor"],
  ])("%s gives the kind alone", async (_name, domain, reason) => {
    const value = Buffer.from(ErrorInfo.encode({ reason, domain, metadata: {} }).finish());
    const details = [{ typeUrl: "type.googleapis.com/google.rpc.ErrorInfo", value }];
    const metadata = new Metadata();
    const encoded = Status.encode({ code: status.NOT_FOUND, message: "", details }).finish();
    metadata.set("grpc-status-details-bin", Buffer.from(encoded));
    const client = await answering({ code: status.NOT_FOUND, details: "nothing there", metadata });
    const error = await failure(client.setKey("s", "k", 1));
    expect(error).toMatchObject({ kind: "NOT_FOUND", reason: "NOT_FOUND", outcome: "UNKNOWN" });
    expect(error.message).toContain("nothing there");
  });

  test("details that are no google.rpc.Status are left aside", async () => {
    const metadata = new Metadata();
    metadata.set("grpc-status-details-bin", Buffer.from([0x1a, 0x7f, 0x01]));
    const client = await answering({ code: status.OUT_OF_RANGE, details: "said so", metadata });
    expect(await failure(client.getKey("s", "k"))).toMatchObject({ kind: "OUT_OF_RANGE" });
  });

  test("a gRPC server of another kind is UNIMPLEMENTED, with a question that helps", async () => {
    const client = await answering({ code: status.UNIMPLEMENTED, details: "unknown method" });
    expect((await failure(client.getKey("s", "k"))).message).toMatch(/is it an execution store/);
  });

  test.each([
    ["without a document", new Uint8Array()],
    ["with a document that lacks its times", new Uint8Array([0x0a, 0x02, 0x48, 0x01])],
    ["that is no protobuf", new Uint8Array([0xff])],
  ])("an answer %s is INTERNAL", async (_name, answer) => {
    expect(await failure((await answering(answer)).setKey("s", "k", 1))).toMatchObject({
      kind: "INTERNAL",
      outcome: "UNKNOWN",
    });
  });
});

describe("no server", () => {
  test("a port where nobody listens", async () => {
    const closed = await startScriptedServer(() => "never");
    closed.close();
    const error = await unreachable(closed.address);
    expect(error).toMatchObject({
      kind: "UNAVAILABLE",
      reason: "SERVER_UNREACHABLE",
      outcome: "NOT_APPLIED",
    });
    expect(error.message).toBe(
      `the server at ${closed.address} cannot be reached (connect ECONNREFUSED ${closed.address}); is it running? Start it with: npx execution-store serve`,
    );
  });

  test("a socket file that is not there", async () => {
    const error = await unreachable("unix:/nonexistent/store.sock");
    expect(error).toMatchObject({ reason: "SERVER_UNREACHABLE", outcome: "NOT_APPLIED" });
    expect(error.message).toContain("ENOENT");
  });

  test("a server that speaks no HTTP/2", async () => {
    const http = createServer((_request, response) => response.end("hello"));
    await new Promise<void>((resolve) => {
      http.listen(0, "127.0.0.1", resolve);
    });
    const error = await unreachable(`127.0.0.1:${(http.address() as AddressInfo).port}`);
    expect(error).toMatchObject({ reason: "SERVER_UNREACHABLE", outcome: "NOT_APPLIED" });
    http.closeAllConnections();
    http.close();
  });

  test("a connection that breaks in the middle of a write leaves its outcome open", async () => {
    server = await startScriptedServer(() => "never");
    service = new ExecutionStoreService({ address: server.address, retry: false });
    const call = failure(service.setKey("s", "k", 1));
    await expect.poll(() => server?.calls.length).toBe(1);
    server.close();
    expect(await call).toMatchObject({ kind: "UNAVAILABLE", outcome: "UNKNOWN" });
  });
});
