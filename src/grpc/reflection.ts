import { Status } from "nice-grpc";
import {
  ServerReflectionDefinition,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from "../../gen/ts/grpc/reflection/v1/reflection.js";
import { ServerReflectionDefinition as AlphaDefinition } from "../../gen/ts/grpc/reflection/v1alpha/reflection.js";
import type { Calls, ServedService } from "./call.js";
import type { Descriptors } from "./descriptors.js";

type Answer = ServerReflectionResponse["messageResponse"];

function notFound(what: string): Answer {
  const errorMessage = `${what} is unknown here; list_services names what is served`;
  return { $case: "errorResponse", value: { errorCode: Status.NOT_FOUND, errorMessage } };
}

function filesOr(files: readonly Uint8Array[] | undefined, what: string): Answer {
  if (files === undefined) return notFound(what);
  const fileDescriptorProto = files.map((file) => Buffer.from(file.buffer, file.byteOffset, file.byteLength));
  return { $case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function answer(
  { messageRequest }: ServerReflectionRequest,
  services: readonly string[],
  descriptors: Descriptors,
): Answer {
  switch (messageRequest?.$case) {
    case "listServices":
      return { $case: "listServicesResponse", value: { service: services.map((name) => ({ name })) } };
    case "fileByFilename":
      return filesOr(descriptors.byFilename(messageRequest.value), "the file");
    case "fileContainingSymbol":
      return filesOr(descriptors.bySymbol(messageRequest.value), "the symbol");
    case "fileContainingExtension":
      return notFound("the extension");
    case "allExtensionNumbersOfType": {
      // No message of the contract can be extended.
      const baseTypeName = messageRequest.value;
      if (!descriptors.hasMessage(baseTypeName)) return notFound("the type");
      return { $case: "allExtensionNumbersResponse", value: { baseTypeName, extensionNumber: [] } };
    }
    case undefined:
      break;
  }
  const errorMessage = "the request asks for nothing; set one field of message_request";
  return { $case: "errorResponse", value: { errorCode: Status.INVALID_ARGUMENT, errorMessage } };
}

/**
 * Server reflection, v1 and v1alpha (older clients ask for that): the same messages under two names.
 *
 * @param services the full names of the services served, to which the two of reflection are added
 */
export function createReflectionServices(
  calls: Calls,
  descriptors: Descriptors,
  services: readonly string[],
): readonly ServedService[] {
  const names = [...services, ServerReflectionDefinition.fullName, AlphaDefinition.fullName];

  async function* serverReflectionInfo(
    requests: AsyncIterable<ServerReflectionRequest>,
  ): AsyncGenerator<ServerReflectionResponse> {
    for await (const request of requests) {
      const messageResponse = answer(request, names, descriptors);
      yield { validHost: request.host, originalRequest: request, messageResponse };
    }
  }

  return [
    calls.serve(ServerReflectionDefinition, { serverReflectionInfo }),
    calls.serve(AlphaDefinition, { serverReflectionInfo }),
  ];
}
