import { ChannelCredentials, type ChannelOptions, Client, type Metadata, status } from "@grpc/grpc-js";
import { invalidField } from "../store/errors.js";
import { MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES } from "../store/limits.js";
import type { Address } from "./address.js";
import { onAbort } from "./on-abort.js";
import type { TlsOptions } from "./options.js";
import { openResponseStream, type ResponseStream, type StreamAttempt } from "./response-stream.js";

/** One attempt of a call. */
export interface Attempt<Response> {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** The encoded request. */
  readonly request: Buffer;
  readonly decode: (bytes: Buffer) => Response;
  readonly metadata: Metadata;
  /** Milliseconds since 1970; it travels with the call, so that the server stops in time, too. */
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
}

/** Why an attempt failed. */
export interface Failure {
  /** A gRPC status code. */
  readonly code: status;
  /** The status message: of the server, or of the gRPC library. */
  readonly details: string;
  /** The trailers. */
  readonly metadata: Metadata;
  /** False only if certainly nothing of the call has left this process. */
  readonly sent: boolean;
  /** What the gRPC library gave. */
  readonly cause: unknown;
}

/** The end of an attempt. */
export type Reply<Response> =
  | { readonly response: Response; readonly failure: undefined }
  | { readonly response: undefined; readonly failure: Failure };

/** A connection to one address, which opens itself when it is needed and again when it is lost. */
export interface Transport {
  /** Sends a call once. Failures are an answer; it never rejects. */
  unary<Response>(attempt: Attempt<Response>): Promise<Reply<Response>>;
  /** Sends a call that is answered by a stream of messages, once. */
  stream(attempt: StreamAttempt): ResponseStream;
  /** Closes the connection. Calls under way end with UNAVAILABLE. */
  close(): void;
}

const CHANNEL_OPTIONS: ChannelOptions = {
  "grpc.max_send_message_length": MAX_REQUEST_BYTES,
  "grpc.max_receive_message_length": MAX_RESPONSE_BYTES,
  // Nothing reads its counters, which cost time in every call.
  "grpc.enable_channelz": 0,
  // The library waits a second or more by default, during which every repetition of a call fails unsent.
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 2000,
  // A connection that died without a word is found, and replaced, within the default time of one call.
  "grpc.keepalive_time_ms": 15_000,
  "grpc.keepalive_timeout_ms": 10_000,
};

/** Opens nothing yet; throws StoreError CLIENT_OPTION_INVALID for unusable TLS options. */
export function createTransport(address: Address, tls: boolean | TlsOptions): Transport {
  const options: ChannelOptions = { ...CHANNEL_OPTIONS };
  // The library takes http_proxy from the environment, also for this very machine.
  if (address.local) options["grpc.enable_http_proxy"] = 0;
  if (typeof tls === "object" && tls.serverName !== undefined) {
    options["grpc.ssl_target_name_override"] = tls.serverName;
    options["grpc.default_authority"] = tls.serverName;
  }
  const client = new Client(address.target, channelCredentials(tls), options);
  return {
    unary: (attempt) => unary(client, attempt),
    stream: (attempt) => openResponseStream(client.getChannel(), attempt),
    close: () => client.close(),
  };
}

function channelCredentials(tls: boolean | TlsOptions): ChannelCredentials {
  if (tls === false) return ChannelCredentials.createInsecure();
  const { rootCertificates, privateKey, certificateChain } = tls === true ? {} : tls;
  try {
    return ChannelCredentials.createSsl(pem(rootCertificates), pem(privateKey), pem(certificateChain));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : "unknown";
    throw invalidField(
      "CLIENT_OPTION_INVALID",
      "tls",
      `cannot be used (${reason}); expected PEM texts that belong together`,
    );
  }
}

function pem(text: string | Uint8Array | undefined): Buffer | null {
  return text === undefined ? null : Buffer.from(text);
}

function asIs(request: Buffer): Buffer {
  return request;
}

function unary<Response>(client: Client, attempt: Attempt<Response>): Promise<Reply<Response>> {
  const { path, request, decode, metadata, deadline, signal } = attempt;
  return new Promise((resolve) => {
    const call = client.makeUnaryRequest(
      path,
      asIs,
      decode,
      request,
      metadata,
      { deadline },
      (error, response) => {
        forget?.();
        if (error === null && response !== undefined) {
          resolve({ response, failure: undefined });
          return;
        }
        const { code = status.INTERNAL, details = "no answer" } = error ?? {};
        // The peer of a call that no connection has taken on is the channel's own target, which has a scheme.
        const sent = call.getPeer() !== client.getChannel().getTarget();
        const trailers = error?.metadata ?? metadata;
        resolve({ response: undefined, failure: { code, details, metadata: trailers, sent, cause: error } });
      },
    );
    const forget = signal === undefined ? undefined : onAbort(signal, () => call.cancel());
  });
}
