import {
  type handleUnaryCall,
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type StatusObject,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { StoreServiceDefinition } from "../../gen/ts/execution_store/v1/execution_store.js";
import { toWireStatus } from "../../src/grpc/status.js";
import { StoreError } from "../../src/store/errors.js";
import { MAX_REQUEST_BYTES } from "../../src/store/limits.js";
import { STATUS_TRAILER } from "../../src/store/wire-names.js";

/** One call as it came in. */
export interface ScriptedCall {
  /** The method's name, such as `SetKey`. */
  readonly method: string;
  /** The encoded request. */
  readonly request: Buffer;
  readonly metadata: Metadata;
  /** When the caller gives up: milliseconds since 1970. */
  readonly deadline: number;
  /** When it arrived, in ms since 1970. */
  readonly arrivedAt: number;
  /** Resolves when the caller has cancelled. */
  readonly cancelled: Promise<void>;
}

/** What to answer: an encoded response, an error of ours, any status, or nothing ever. */
export type ScriptedAnswer = Uint8Array | StoreError | Partial<StatusObject> | "never";

/** A gRPC server that does what a test says. */
export interface ScriptedServer {
  readonly address: string;
  /** The calls so far. */
  readonly calls: readonly ScriptedCall[];
  /** Ends calls and connections at once. */
  close(): void;
}

/** How a scripted server is started. */
export interface ScriptedOptions {
  /** @default "127.0.0.1:0" */
  readonly listen?: string;
  /** @default in the clear */
  readonly credentials?: ServerCredentials;
}

type Script = (call: ScriptedCall, index: number) => ScriptedAnswer | Promise<ScriptedAnswer>;

function asIs(bytes: Buffer): Buffer {
  return bytes;
}

/** Starts a server that serves every unary method of StoreService by asking `script`. */
export async function startScriptedServer(
  script: Script,
  options: ScriptedOptions = {},
): Promise<ScriptedServer> {
  const { listen = "127.0.0.1:0", credentials = ServerCredentials.createInsecure() } = options;
  const server = new Server({ "grpc.max_receive_message_length": MAX_REQUEST_BYTES });
  const calls: ScriptedCall[] = [];
  const handlers: UntypedServiceImplementation = {};
  const definition: Record<string, MethodDefinition<Buffer, Buffer>> = {};
  for (const { name, requestStream, responseStream } of Object.values(StoreServiceDefinition.methods)) {
    if (responseStream) continue;
    definition[name] = {
      path: `/${StoreServiceDefinition.fullName}/${name}`,
      requestStream,
      responseStream,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    };
    const handler: handleUnaryCall<Buffer, Buffer> = (call, callback) => {
      void answer(call, callback);
    };
    const answer = async (...[call, callback]: Parameters<typeof handler>): Promise<void> => {
      const seen = scriptedCall(name, call);
      const index = calls.push(seen) - 1;
      const scripted = await script(seen, index);
      if (scripted === "never") return;
      if (scripted instanceof Uint8Array) callback(null, Buffer.from(scripted));
      else callback(scripted instanceof StoreError ? wireError(scripted, name) : scripted);
    };
    handlers[name] = handler;
  }
  server.addService(definition, handlers);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(listen, credentials, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { address: listen.replace(/:0$/, `:${port}`), calls, close: () => server.forceShutdown() };
}

function scriptedCall(method: string, call: ServerUnaryCall<Buffer, Buffer>): ScriptedCall {
  const deadline = call.getDeadline();
  const cancelled = new Promise<void>((resolve) => {
    call.once("cancelled", () => resolve());
  });
  return {
    method,
    request: call.request,
    metadata: call.metadata,
    deadline: Number(deadline),
    arrivedAt: Date.now(),
    cancelled,
  };
}

/** A StoreError as the server puts it on the wire; its outcome as it is. */
export function wireError(error: StoreError, method: string): Partial<StatusObject> {
  const reads = /^(?:Get|Has|List|Count|BatchGet|Watch)/.test(method);
  const { message, details } = toWireStatus(error, !reads);
  const metadata = new Metadata();
  metadata.set(STATUS_TRAILER, Buffer.from(details));
  return { code: status[error.kind], details: message, metadata };
}
