import type { BinaryWriter } from "@bufbuild/protobuf/wire";
import { Metadata } from "@grpc/grpc-js";
import { StoreServiceDefinition } from "../../gen/ts/execution_store/v1/execution_store.js";
import { invalidField, type Outcome, StoreError, withOutcome } from "../store/errors.js";
import { DEFAULT_ADDRESS, MAX_REQUEST_BYTES } from "../store/limits.js";
import { parseAddress } from "./address.js";
import { beforeSending, type CallFacts, cancelledError, toStoreError, toStreamError } from "./errors.js";
import { MessageStream } from "./message-stream.js";
import type { CallOptions, ConnectionOptions, RequestHeaders } from "./options.js";
import { pause } from "./pause.js";
import { type IdempotencyLevel, isRetryable, type RetryPolicy, retryDelay, retryPolicy } from "./retry.js";
import { createTransport, type Transport } from "./transport.js";

/** A method of the service, as the generated code describes it. */
export interface UnaryMethod<Request, Response> {
  readonly name: string;
  readonly requestType: { encode(message: Request): BinaryWriter };
  readonly requestStream: false;
  readonly responseType: { decode(bytes: Uint8Array): Response };
  readonly responseStream: false;
  readonly options: { readonly idempotencyLevel?: IdempotencyLevel };
}

/** A method of the service that is answered by a stream. */
export interface StreamMethod<Request, Response> {
  readonly name: string;
  readonly requestType: { encode(message: Request): BinaryWriter };
  readonly requestStream: false;
  readonly responseType: { decode(bytes: Uint8Array): Response };
  readonly responseStream: true;
}

const DEFAULT_TIMEOUT_MS = 30_000;
/**
 * Longer times count as no limit: the gRPC library cannot send all of them, and some servers take one of more than
 * 24.8 days, which overflows their timers, for one that has passed.
 */
const MAX_TIMEOUT_MS = 1e9;

/** Calls methods on one server: with deadlines, repetitions where they are safe, and StoreErrors. */
export class Connection {
  /** The server's address as it was given. */
  readonly address: string;
  readonly #transport: Transport;
  readonly #retry: RetryPolicy;
  /** Milliseconds that a call has if it names no time; Infinity for no limit. */
  readonly timeoutMs: number;
  readonly #headers: () => Promise<Metadata> | Metadata;
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;
  #callsUnderWay = 0;
  #whenIdle: (() => void) | undefined;

  /** Opens nothing yet. Throws StoreError CLIENT_OPTION_INVALID. */
  constructor(options: ConnectionOptions = {}) {
    const address = parseAddress(
      options.address ?? (process.env["EXECUTION_STORE_ADDRESS"] || DEFAULT_ADDRESS),
    );
    this.address = address.label;
    this.#retry = retryPolicy(options.retry);
    this.timeoutMs = checkTimeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    this.#headers = headerSource(options.headers);
    this.#transport = createTransport(address, options.tls ?? false);
  }

  /**
   * Calls a method. Rejects with StoreError only.
   *
   * @param request makes the request; what it throws rejects the call
   */
  async call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: () => Request,
    options: CallOptions = {},
  ): Promise<Response> {
    this.#callsUnderWay++;
    try {
      return await this.#attempts(method, request, options);
    } finally {
      this.#callsUnderWay--;
      if (this.#callsUnderWay === 0) this.#whenIdle?.();
    }
  }

  /**
   * Calls a method that is answered by a stream, once. Rejects with StoreError only, and so do the stream's reads.
   *
   * @param signal ends the call, whose reads then reject with CANCELLED
   */
  async stream<Request, Response>(
    method: StreamMethod<Request, Response>,
    request: Request,
    signal: AbortSignal,
  ): Promise<MessageStream<Response>> {
    const { name } = method;
    const facts = { method: name, writes: false, address: this.address, timeoutMs: this.timeoutMs, signal };
    const encoded = encodeRequest(method, request);
    const metadata = await this.#headersOf(facts, "NOT_APPLIED");
    if (this.#closed !== undefined) throw closedError(name);
    const path = `/${StoreServiceDefinition.fullName}/${name}`;
    const stream = this.#transport.stream({ path, request: encoded, metadata });
    return new MessageStream(stream, {
      decode: (bytes) => method.responseType.decode(bytes),
      toError: (failure) => toStreamError(failure, facts),
      signal,
    });
  }

  /** Aborts when the connection is closed: for what does not end by itself. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Takes no more calls, waits for those under way without repeating them, and closes. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    if (this.#callsUnderWay > 0) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    }
    this.#transport.close();
  }

  async #attempts<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: () => Request,
    options: CallOptions,
  ): Promise<Response> {
    const level = method.options.idempotencyLevel;
    const writes = level !== "NO_SIDE_EFFECTS";
    const { signal } = options;
    const timeoutMs = beforeSending(writes, () => checkTimeout(options.timeoutMs ?? this.timeoutMs));
    const facts = { method: method.name, writes, address: this.address, timeoutMs, signal };
    const encoded = beforeSending(writes, () => {
      if (this.#closed !== undefined) throw closedError(method.name);
      return encodeRequest(method, request());
    });
    const start = Date.now();
    const deadline = start + timeoutMs;
    let timesSent = 0;
    // An attempt of unknown outcome makes that of the whole call unknown, whatever the attempts after it say.
    let doubtful = false;
    for (let attempt = 1; ; attempt++) {
      const metadata = await this.#headersOf(facts, doubtful ? "UNKNOWN" : "NOT_APPLIED");
      const { response, failure } = await this.#transport.unary({
        path: `/${StoreServiceDefinition.fullName}/${method.name}`,
        request: encoded,
        decode: (bytes) => method.responseType.decode(bytes),
        metadata,
        deadline,
        signal,
      });
      if (failure === undefined) return response;
      let error = toStoreError(failure, facts);
      if (failure.sent) timesSent++;
      doubtful ||= error.outcome === "UNKNOWN";
      if (doubtful && error.outcome === "NOT_APPLIED") error = withOutcome(error, "UNKNOWN");
      const delay = retryDelay(this.#retry, attempt, error, Math.random());
      const next = Date.now() + delay;
      const { maxAttempts, waitForServerMs } = this.#retry;
      const enough = failure.sent ? timesSent >= maxAttempts : next >= start + waitForServerMs;
      const last = enough || next >= deadline;
      if (last || !isRetryable(error, level) || !(await this.#pause(delay, signal))) throw error;
    }
  }

  /** The headers of the next attempt, unless the caller gave up. `outcome` is that of the attempts before. */
  async #headersOf(facts: CallFacts, outcome: Outcome): Promise<Metadata> {
    try {
      const metadata = facts.signal?.aborted === true ? undefined : await this.#headers();
      if (metadata !== undefined && facts.signal?.aborted !== true) return metadata;
    } catch (error) {
      throw facts.writes && error instanceof StoreError ? withOutcome(error, outcome) : error;
    }
    throw cancelledError(facts, outcome);
  }

  /** Waits before a repetition, at most until the caller gives up; false if the connection was closed meanwhile. */
  async #pause(delayMs: number, signal: AbortSignal | undefined): Promise<boolean> {
    const closing = this.#closing.signal;
    await pause(delayMs, closing, ...(signal === undefined ? [] : [signal]));
    return !closing.aborted;
  }
}

/** The time that a call has; Infinity for none. Throws CLIENT_OPTION_INVALID. */
function checkTimeout(timeoutMs: number): number {
  if (typeof timeoutMs !== "number" || !(timeoutMs > 0)) {
    throw invalidField(
      "CLIENT_OPTION_INVALID",
      "timeoutMs",
      "is not a number of milliseconds greater than 0; give Infinity for no limit",
    );
  }
  return timeoutMs > MAX_TIMEOUT_MS ? Number.POSITIVE_INFINITY : timeoutMs;
}

function closedError(method: string): StoreError {
  return new StoreError("CLIENT_CLOSED", `${method} was called after close(); open a new service`);
}

function encodeRequest<Request>(
  method: Pick<UnaryMethod<Request, unknown>, "name" | "requestType">,
  request: Request,
): Buffer {
  const bytes = method.requestType.encode(request).finish();
  if (bytes.length > MAX_REQUEST_BYTES) {
    throw new StoreError(
      "REQUEST_TOO_LARGE",
      `the request of ${method.name} is ${bytes.length} bytes long; at most ${MAX_REQUEST_BYTES} pass, so send less at once`,
    );
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function headerSource(headers: ConnectionOptions["headers"]): () => Promise<Metadata> | Metadata {
  if (typeof headers !== "function") {
    const fixed = toMetadata(headers ?? {});
    return () => fixed;
  }
  return async () => {
    try {
      return toMetadata(await headers());
    } catch (cause) {
      if (cause instanceof StoreError) throw cause;
      throw new StoreError(
        "UNAUTHENTICATED",
        "the headers function of the service's options failed; see the cause",
        { cause },
      );
    }
  };
}

function toMetadata(headers: RequestHeaders): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) {
    try {
      metadata.set(name, value);
    } catch {
      // The library's own message would carry the value, which may be a secret.
      throw invalidField(
        "CLIENT_OPTION_INVALID",
        `headers[${JSON.stringify(name)}]`,
        "is no HTTP/2 header; expected a name of lower-case letters, digits, and -_. and a value of visible ASCII",
      );
    }
  }
  return metadata;
}
