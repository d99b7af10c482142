import { randomUUID } from "node:crypto";
import { type CallContext, type CompatServiceDefinition, ServerError } from "nice-grpc";
import { isStoreError, StoreError } from "../store/errors.js";
import { STATUS_TRAILER } from "../store/wire-names.js";
import { CallStream } from "./call-stream.js";
import {
  type Codec,
  type EncodedMessage,
  type MethodDefinition,
  type ServiceDefinition,
  servedDefinition,
} from "./definition.js";
import type { Descriptors } from "./descriptors.js";
import type { Logger } from "./logger.js";
import { toWireStatus } from "./status.js";
import type { StreamMessage } from "./stream-message.js";

/** What a handler knows of its call: the signal aborts when the caller is gone, out of time, or put off. */
export interface HandlerOptions {
  readonly signal: AbortSignal;
}

type Message<C> = C extends Codec<infer M> ? M : never;
type Request<M extends MethodDefinition> = Message<M["requestType"]>;
type Response<M extends MethodDefinition> = Message<M["responseType"]> | EncodedMessage | StreamMessage;

/** Decode, call, encode: what a service does for one method. */
export type Handler<M extends MethodDefinition> = M["responseStream"] extends true
  ? (
      request: M["requestStream"] extends true ? AsyncIterable<Request<M>> : Request<M>,
      options: HandlerOptions,
    ) => AsyncIterable<Response<M>>
  : (request: Request<M>, options: HandlerOptions) => Promise<Response<M>>;

/** A handler for every method of a service. */
export type Handlers<S extends ServiceDefinition> = {
  readonly [M in keyof S["methods"]]: Handler<S["methods"][M]>;
};

/** A service in the form that nice-grpc takes. */
export interface ServedService {
  readonly definition: CompatServiceDefinition;
  readonly implementation: { readonly [method: string]: unknown };
}

type UnaryHandler = (request: unknown, options: HandlerOptions) => Promise<object>;
type StreamHandler = (request: unknown, options: HandlerOptions) => AsyncIterable<object>;

/** A call of a streaming method. */
interface StreamCall {
  readonly request: unknown;
  readonly context: CallContext;
}

function shuttingDown(outcome: "NOT_APPLIED" | "UNKNOWN"): StoreError {
  return new StoreError("SHUTTING_DOWN", "the server is shutting down; try again, there or elsewhere", {
    outcome,
    retryAfterMs: 1000,
  });
}

/** The next message of a stream, or its end as soon as the signal aborts. */
function nextOrEnd(iterator: AsyncIterator<unknown>, signal: AbortSignal): Promise<IteratorResult<unknown>> {
  return new Promise((resolve, reject) => {
    const end = (): void => resolve({ done: true, value: undefined });
    const release = (): void => signal.removeEventListener("abort", end);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
    iterator.next().then(resolve, reject).finally(release);
  });
}

/** The messages of a stream, up to its end or the abortion of the signal. Throws what one of them decoded to if it is an error. */
async function* inputOf(requests: AsyncIterable<unknown>, signal: AbortSignal): AsyncGenerator {
  const iterator = requests[Symbol.asyncIterator]();
  for (;;) {
    const next = await nextOrEnd(iterator, signal);
    if (next.done === true) return;
    if (next.value instanceof StoreError) throw next.value;
    yield next.value;
  }
}

/** Names an error in the closed vocabulary of StoreError. Faults get an id under which the log has the cause. */
function named(error: unknown, signal: AbortSignal): StoreError {
  if (isStoreError(error) && error.kind !== "INTERNAL") return error;
  if (signal.aborted && error instanceof Error) {
    if (error.name === "TimeoutError") {
      return new StoreError("DEADLINE_EXCEEDED", "the deadline of the call has passed; allow it more time");
    }
    if (error.name === "AbortError" || error === signal.reason) {
      return new StoreError("CANCELLED", "the caller cancelled the call, or its deadline has passed");
    }
  }
  const errorId = (isStoreError(error) ? error.errorId : undefined) ?? randomUUID();
  const outcome = isStoreError(error) ? error.outcome : undefined;
  return new StoreError("INTERNAL", `an internal error occurred; quote id ${errorId} to the operator`, {
    errorId,
    outcome: outcome ?? "UNKNOWN",
    cause: error,
  });
}

/** The level at which a call is logged: what an operator must mend is an error or a warning. */
function levelOf(error: StoreError | undefined): "debug" | "warn" | "error" {
  if (error === undefined) return "debug";
  // The engine tells of it, once instead of with every call.
  if (error.reason === "DATABASE_UNREACHABLE") return "debug";
  if (error.kind === "INTERNAL") return "error";
  return error.kind === "UNAVAILABLE" || error.reason === "STORAGE_FULL" ? "warn" : "debug";
}

function onTheWire(error: StoreError, write: boolean, context: CallContext): ServerError {
  const status = toWireStatus(error, write);
  context.trailer.set(STATUS_TRAILER, status.details);
  return new ServerError(status.code, status.message);
}

/**
 * The one layer around every handler: requests that could not be decoded, translation of errors, logs, and the end of
 * calls at shutdown. One serves all services of a server.
 */
export class Calls {
  readonly #logger: Logger;
  readonly #descriptors: Descriptors;
  readonly #unary = new Set<(error: StoreError) => void>();
  readonly #streams = new Set<AbortController>();
  #stopped = false;

  constructor(logger: Logger, descriptors: Descriptors) {
    this.#logger = logger;
    this.#descriptors = descriptors;
  }

  /**
   * Wraps a service's handlers.
   *
   * @param readOnly whether none of its methods writes; else those do that the contract does not mark as free of
   *   side effects
   */
  serve<S extends ServiceDefinition>(
    definition: S,
    handlers: Handlers<S>,
    { readOnly = false }: { readonly readOnly?: boolean } = {},
  ): ServedService {
    const implementation: { [method: string]: unknown } = {};
    for (const [name, method] of Object.entries(definition.methods)) {
      const path = `${definition.fullName}/${method.name}`;
      const handler: unknown = handlers[name]?.bind(handlers);
      if (method.responseStream) {
        implementation[name] = (request: unknown, context: CallContext) =>
          this.#stream(path, method, handler as StreamHandler, { request, context });
      } else {
        const write = !readOnly && method.options.idempotencyLevel !== "NO_SIDE_EFFECTS";
        implementation[name] = this.#serveUnary(path, write, handler as UnaryHandler);
      }
    }
    return { definition: servedDefinition(definition, this.#descriptors), implementation };
  }

  /** Refuses new calls and ends streams, both with UNAVAILABLE; unary calls that run go on. Idempotent. */
  stop(): void {
    this.#stopped = true;
    for (const stream of this.#streams) stream.abort(shuttingDown("NOT_APPLIED"));
  }

  /** Answers the calls that still run with UNAVAILABLE, without waiting for them, and says how many these were. */
  abandon(): number {
    const calls = [...this.#unary];
    for (const fail of calls) fail(shuttingDown("UNKNOWN"));
    return calls.length;
  }

  #serveUnary(name: string, write: boolean, handler: UnaryHandler) {
    return (request: unknown, context: CallContext): Promise<object> => {
      const startedAt = performance.now();
      const failure = (thrown: unknown): ServerError => {
        const error = named(thrown, context.signal);
        this.#log(name, startedAt, error);
        return onTheWire(error, write, context);
      };
      if (this.#stopped) return Promise.reject(failure(shuttingDown("NOT_APPLIED")));
      if (request instanceof StoreError) return Promise.reject(failure(request));
      // One promise a call: this is the hot path.
      return new Promise((resolve, reject) => {
        // Whoever takes the call out of the set answers it: its handler, or abandon().
        const fail = (thrown: unknown): void => {
          if (this.#unary.delete(fail)) reject(failure(thrown));
        };
        const succeed = (response: object): void => {
          if (!this.#unary.delete(fail)) return;
          this.#log(name, startedAt, undefined);
          resolve(response);
        };
        this.#unary.add(fail);
        handler(request, context).then(succeed, fail);
      });
    };
  }

  #stream(name: string, method: MethodDefinition, handler: StreamHandler, call: StreamCall): CallStream {
    const startedAt = performance.now();
    const { request, context } = call;
    const controller = new AbortController();
    const { signal } = controller;
    const cancel = (): void => controller.abort(context.signal.reason);
    this.#streams.add(controller);
    context.signal.addEventListener("abort", cancel);
    return new CallStream({
      open: () => {
        if (this.#stopped) throw shuttingDown("NOT_APPLIED");
        if (context.signal.aborted) cancel();
        if (request instanceof StoreError) throw request;
        const input = method.requestStream ? inputOf(request as AsyncIterable<unknown>, signal) : request;
        return handler(input, { signal });
      },
      end: (thrown) => {
        context.signal.removeEventListener("abort", cancel);
        this.#streams.delete(controller);
        if (thrown === undefined && !signal.aborted) {
          this.#log(name, startedAt, undefined);
          return undefined;
        }
        const error = named(thrown === undefined ? signal.reason : thrown.error, signal);
        // Streams have no end of their own: that the server's is theirs is no news, and there may be thousands.
        this.#log(name, startedAt, error, error.reason === "SHUTTING_DOWN" ? "debug" : levelOf(error));
        return onTheWire(error, false, context);
      },
    });
  }

  #log(method: string, startedAt: number, error: StoreError | undefined, level = levelOf(error)): void {
    const logger = this.#logger;
    if (logger.isLevelEnabled?.(level) === false) return;
    const durationMs = Math.round((performance.now() - startedAt) * 1000) / 1000;
    if (error === undefined) {
      logger[level]({ method, status: "OK", durationMs }, "call");
      return;
    }
    // The message of an error may name a key, so the log has its reason, and the cause of what is to be mended.
    const { kind: status, reason, errorId } = error;
    const err = level === "debug" ? undefined : error.cause;
    logger[level]({ method, status, reason, durationMs, errorId, err }, "call failed");
  }
}
