import { createChannel, createClient } from "nice-grpc";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  ServerReflectionDefinition,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from "../../gen/ts/grpc/reflection/v1/reflection.js";
import { ServerReflectionDefinition as AlphaDefinition } from "../../gen/ts/grpc/reflection/v1alpha/reflection.js";
import { startTestServer, type TestServer } from "../support/test-server.js";

type Query = NonNullable<ServerReflectionRequest["messageRequest"]>;

let server: TestServer;
let channel: ReturnType<typeof createChannel>;
beforeAll(async () => {
  server = await startTestServer();
  channel = createChannel(server.address);
});
afterAll(async () => {
  channel.close();
  await server.close();
});

/** The answers to several questions in one stream. */
async function ask(
  definition: typeof ServerReflectionDefinition | typeof AlphaDefinition,
  ...queries: (Query | undefined)[]
): Promise<ServerReflectionResponse[]> {
  const client = createClient(definition as typeof ServerReflectionDefinition, channel);
  const requests = queries.map((messageRequest) => ({ host: "here", messageRequest }));
  async function* stream() {
    yield* requests;
  }
  const responses: ServerReflectionResponse[] = [];
  for await (const response of client.serverReflectionInfo(stream())) responses.push(response);
  expect(responses.map((response) => response.originalRequest)).toEqual(requests);
  return responses;
}

/** The names of the files in an answer, read from the start of each FileDescriptorProto: its field `name`. */
function fileNames(response: ServerReflectionResponse | undefined): string[] {
  const answer = response?.messageResponse;
  if (answer?.$case !== "fileDescriptorResponse") throw new Error(`no files but ${answer?.$case}`);
  return answer.value.fileDescriptorProto.map((file) => {
    expect(file[0]).toBe(10);
    return file.subarray(2, 2 + Number(file[1])).toString("utf8");
  });
}

const CONTRACT = [
  "execution_store/v1/execution_store.proto",
  "google/protobuf/duration.proto",
  "google/protobuf/struct.proto",
  "google/protobuf/timestamp.proto",
];

describe.each([
  ["v1", ServerReflectionDefinition],
  ["v1alpha", AlphaDefinition],
] as const)("reflection %s", (_version, definition) => {
  it("lists what is served, each with its files", async () => {
    const [response] = await ask(definition, { $case: "listServices", value: "" });
    const answer = response?.messageResponse;
    if (answer?.$case !== "listServicesResponse") throw new Error("no list");
    const names = answer.value.service.map(({ name }) => name);
    expect(names).toEqual([
      "execution_store.v1.StoreService",
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
    ]);
    const files = await ask(
      definition,
      ...names.map((value): Query => ({ $case: "fileContainingSymbol", value })),
    );
    for (const file of files) expect(fileNames(file).length).toBeGreaterThan(0);
  });

  it.each([
    "execution_store.v1.StoreService",
    "execution_store.v1.StoreService.GetKey",
    "execution_store.v1.KeyDocument",
    "execution_store.v1.KeyDocument.etag",
    "execution_store.v1.BatchSetKeysRequest.Entry",
    "execution_store.v1.KeyPolicy",
    "execution_store.v1.KEY_POLICY_EVICT",
    "execution_store.v1.KeyEvent.Type",
    "execution_store.v1.KeyEvent.TYPE_EXPIRED",
  ])("finds the file of %s, and what it imports", async (value) => {
    const [response] = await ask(definition, { $case: "fileContainingSymbol", value });
    const names = fileNames(response);
    expect(names[0]).toBe(CONTRACT[0]);
    expect(names.toSorted()).toEqual(CONTRACT);
  });

  it("finds files by name, and the messages of errors", async () => {
    const responses = await ask(
      definition,
      { $case: "fileByFilename", value: "google/protobuf/struct.proto" },
      { $case: "fileContainingSymbol", value: "google.rpc.BadRequest.FieldViolation" },
    );
    expect(fileNames(responses[0])).toEqual(["google/protobuf/struct.proto"]);
    expect(fileNames(responses[1])[0]).toBe("google/rpc/error_details.proto");
  });

  it("answers what it does not know with an error, and goes on", async () => {
    const responses = await ask(
      definition,
      { $case: "fileByFilename", value: "x.proto" },
      { $case: "fileContainingSymbol", value: "x.Y" },
      { $case: "fileContainingSymbol", value: "" },
      { $case: "fileContainingExtension", value: { containingType: "x.Y", extensionNumber: 1 } },
      { $case: "allExtensionNumbersOfType", value: "x.Y" },
      { $case: "allExtensionNumbersOfType", value: "execution_store.v1.KeyDocument" },
      undefined,
      { $case: "listServices", value: "*" },
    );
    const errors = responses.map(({ messageResponse: answer }) =>
      answer?.$case === "errorResponse" ? answer.value.errorCode : answer?.$case,
    );
    expect(errors).toEqual([5, 5, 5, 5, 5, "allExtensionNumbersResponse", 3, "listServicesResponse"]);
  });
});
