import { once } from "node:events";
import {
  type handleServerStreamingCall,
  type Metadata,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type StatusObject,
} from "@grpc/grpc-js";
import {
  StoreServiceDefinition,
  WatchKeysRequest,
  WatchKeysResponse,
} from "../../gen/ts/execution_store/v1/execution_store.js";
import { StoreError } from "../../src/store/errors.js";
import { wireError } from "./scripted-server.js";

/** One WatchKeys call, of which the test is the server. */
export interface ScriptedWatch {
  readonly request: WatchKeysRequest;
  readonly metadata: Metadata;
  /** Resolves when the client takes more. */
  send(message: Partial<WatchKeysResponse>): Promise<void>;
  /** Ends the call with an error of ours, or any status. */
  end(error: StoreError | Partial<StatusObject>): void;
  /** Resolves when the client has ended the call, or its connection is lost. */
  readonly cancelled: Promise<void>;
}

/** A server of WatchKeys alone, whose calls the test plays. */
export interface ScriptedWatches {
  readonly address: string;
  /** The calls so far. */
  readonly calls: readonly ScriptedWatch[];
  /** Resolves to the call of this index when it has come in. */
  call(index: number): Promise<ScriptedWatch>;
  /** Ends calls and connections at once. */
  close(): void;
}

/** Starts a server whose WatchKeys says what a test says; every other method is UNIMPLEMENTED. */
export async function startScriptedWatches(listen = "127.0.0.1:0"): Promise<ScriptedWatches> {
  const server = new Server();
  const calls: ScriptedWatch[] = [];
  const waiting: (() => void)[] = [];
  const handler: handleServerStreamingCall<WatchKeysRequest, WatchKeysResponse> = (call) => {
    calls.push(scripted(call));
    for (const resolve of waiting.splice(0)) resolve();
  };
  const { watchKeys } = StoreServiceDefinition.methods;
  server.addService(
    {
      WatchKeys: {
        path: `/${StoreServiceDefinition.fullName}/${watchKeys.name}`,
        requestStream: false,
        responseStream: true,
        requestSerialize: (message: WatchKeysRequest) =>
          Buffer.from(WatchKeysRequest.encode(message).finish()),
        requestDeserialize: (bytes: Buffer) => WatchKeysRequest.decode(bytes),
        responseSerialize: (message: WatchKeysResponse) =>
          Buffer.from(WatchKeysResponse.encode(message).finish()),
        responseDeserialize: (bytes: Buffer) => WatchKeysResponse.decode(bytes),
      },
    },
    { WatchKeys: handler },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(listen, ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    address: listen.replace(/:0$/, `:${port}`),
    calls,
    async call(index) {
      for (;;) {
        const known = calls[index];
        if (known !== undefined) return known;
        await new Promise<void>((resolve) => {
          waiting.push(resolve);
        });
      }
    },
    close: () => server.forceShutdown(),
  };
}

function scripted(call: ServerWritableStream<WatchKeysRequest, WatchKeysResponse>): ScriptedWatch {
  // A client that goes away in the middle is what some tests are about.
  call.on("error", () => undefined);
  const cancelled = new Promise<void>((resolve) => {
    call.once("cancelled", () => resolve());
  });
  return {
    request: call.request,
    metadata: call.metadata,
    async send(message) {
      if (!call.write(WatchKeysResponse.fromPartial(message))) await once(call, "drain");
    },
    end: (error) =>
      void call.emit("error", error instanceof StoreError ? wireError(error, "WatchKeys") : error),
    cancelled,
  };
}
