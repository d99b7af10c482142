import { Client, credentials } from "@grpc/grpc-js";
import { MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES } from "../src/store/limits.js";

/** Makes single calls of StoreService, for preparing, checking and timing; see load.ts for many calls at once. */
export interface BenchClient {
  /**
   * Calls a method with an encoded request and answers the encoded response.
   *
   * @param method the name in the proto file, such as `GetKey`
   */
  call(method: string, message: Uint8Array): Promise<Buffer>;
  close(): void;
}

// For the slowest call, the deletion of a million keys, on a slow disk.
const CALL_LIMIT_MS = 300_000;

const toBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const asIs = (bytes: Buffer): Buffer => bytes;

/** The path of a method of StoreService. */
export function methodPath(method: string): string {
  return `/execution_store.v1.StoreService/${method}`;
}

/** Opens a client of a server on 127.0.0.1. */
export function createBenchClient(port: number): BenchClient {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.max_send_message_length": MAX_REQUEST_BYTES,
    "grpc.max_receive_message_length": MAX_RESPONSE_BYTES,
  });
  return {
    call: (method, message) =>
      new Promise((resolve, reject) => {
        const deadline = Date.now() + CALL_LIMIT_MS;
        client.makeUnaryRequest(
          methodPath(method),
          toBuffer,
          asIs,
          message,
          { deadline },
          (error, response) => {
            if (error !== null) reject(new Error(`${method} failed: ${error.message}`));
            else if (response === undefined) reject(new Error(`${method} answered nothing`));
            else resolve(response);
          },
        );
      }),
    close: () => client.close(),
  };
}
