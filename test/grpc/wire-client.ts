import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { StoreServiceDefinition } from "../../gen/ts/execution_store/v1/execution_store.js";
import { BadRequest, ErrorInfo, ResourceInfo, RetryInfo } from "../../gen/ts/google/rpc/error_details.js";
import { Status as RpcStatus } from "../../gen/ts/google/rpc/status.js";

type Methods = typeof StoreServiceDefinition.methods;
/** A method that answers one message. */
export type UnaryMethod = Exclude<keyof Methods, "watchKeys">;
type ResponseOf<M extends UnaryMethod> = ReturnType<Methods[M]["responseType"]["decode"]>;

/** An error as it came over the wire, with its details taken apart. */
export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly reason: string | undefined;
  readonly domain: string | undefined;
  readonly metadata: { readonly [name: string]: string };
  readonly violations: readonly { readonly field: string; readonly description: string }[];
  readonly resource: { readonly type: string; readonly name: string } | undefined;
  readonly retrySeconds: number | undefined;
  /** Bytes of the trailers as HTTP/2 counts them, about. */
  readonly trailerBytes: number;
}

/** Bytes of a header in the size of a header list. */
function header(name: string, length: number): number {
  return name.length + length + 32;
}

/** Takes a call's error apart. */
export function wireError(error: ServiceError): WireError {
  const packed = error.metadata.get("grpc-status-details-bin")[0];
  const details = Buffer.isBuffer(packed) ? RpcStatus.decode(packed).details : [];
  const find = (name: string) =>
    details.find((detail) => detail.typeUrl.endsWith(`/google.rpc.${name}`))?.value;
  const info = find("ErrorInfo");
  const { reason, domain, metadata } = info ? ErrorInfo.decode(info) : {};
  const bad = find("BadRequest");
  const violations = bad ? BadRequest.decode(bad).fieldViolations : [];
  const about = find("ResourceInfo");
  const resource = about ? ResourceInfo.decode(about) : undefined;
  const retry = find("RetryInfo");
  const delay = retry ? RetryInfo.decode(retry).retryDelay : undefined;
  return {
    code: status[error.code],
    message: error.details,
    reason,
    domain,
    metadata: metadata ?? {},
    violations: violations.map(({ field, description }) => ({ field, description })),
    resource: resource && { type: resource.resourceType, name: resource.resourceName },
    retrySeconds: delay && Number(delay.seconds) + delay.nanos / 1e9,
    trailerBytes:
      header("grpc-message", encodeURI(error.details).length) +
      header("grpc-status-details-bin", Buffer.isBuffer(packed) ? Math.ceil(packed.length / 3) * 4 : 0),
  };
}

/** How a call is made. */
export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** A client that shows what is on the wire. */
export interface WireClient {
  /** Calls a method; rejects with grpc-js's ServiceError. Requests may be wrong on purpose, so they are not typed. */
  call<M extends UnaryMethod>(method: M, request?: object, options?: CallOptions): Promise<ResponseOf<M>>;
  /** Calls a method with these bytes as its request, and answers the bytes of the response. */
  raw(path: string, request: Uint8Array, options?: CallOptions): Promise<Buffer>;
  /** The bytes of a method's response. */
  size(method: UnaryMethod, request: object): Promise<number>;
  /** Calls a method that must fail. */
  fail(method: UnaryMethod, request?: object, options?: CallOptions): Promise<WireError>;
  /** As fail, with the bytes of the request. */
  failRaw(path: string, request: Uint8Array): Promise<WireError>;
  readonly channel: Client;
  close(): void;
}

const LIMITS = {
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  // Tests that start several servers must not share connections.
  "grpc.use_local_subchannel_pool": 1,
};

const identity = (bytes: Buffer): Buffer => bytes;

async function failure(promise: Promise<unknown>): Promise<WireError> {
  try {
    await promise;
  } catch (error) {
    return wireError(error as ServiceError);
  }
  throw new Error("expected the call to fail");
}

function encoded(method: UnaryMethod, request: object): { path: string; bytes: Uint8Array } {
  const { name, requestType } = StoreServiceDefinition.methods[method];
  // The types of a method found by its name are those of all methods together.
  const codec = requestType as unknown as { encode(message: unknown): { finish(): Uint8Array } };
  const base = requestType.decode(new Uint8Array(0)) as object;
  const bytes = codec.encode({ ...base, ...request }).finish();
  return { path: `/${StoreServiceDefinition.fullName}/${name}`, bytes };
}

/** Connects to a server. */
export function createWireClient(address: string): WireClient {
  const channel = new Client(address, credentials.createInsecure(), LIMITS);

  function raw(path: string, request: Uint8Array, options: CallOptions = {}): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const deadline = Date.now() + (options.timeoutMs ?? 20_000);
      const running = channel.makeUnaryRequest(
        path,
        identity,
        identity,
        Buffer.from(request),
        new Metadata(),
        { deadline },
        (error, response) => (error ? reject(error) : resolve(response ?? Buffer.alloc(0))),
      );
      options.signal?.addEventListener("abort", () => running.cancel());
    });
  }

  async function call<M extends UnaryMethod>(
    method: M,
    request: object = {},
    options: CallOptions = {},
  ): Promise<ResponseOf<M>> {
    const { path, bytes } = encoded(method, request);
    const { responseType } = StoreServiceDefinition.methods[method];
    const response = await raw(path, bytes, options);
    return responseType.decode(response) as ResponseOf<M>;
  }

  return {
    call,
    raw,
    async size(method, request) {
      const { path, bytes } = encoded(method, request);
      return (await raw(path, bytes)).length;
    },
    fail: (method, request, options) => failure(call(method, request, options)),
    failRaw: (path, request) => failure(raw(path, request)),
    channel,
    close: () => channel.close(),
  };
}
