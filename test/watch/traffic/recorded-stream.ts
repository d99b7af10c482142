import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import {
  StoreServiceDefinition,
  ValueEncoding,
  WatchKeysRequest,
} from "../../../gen/ts/execution_store/v1/execution_store.js";
import { wireError } from "../../grpc/wire-client.js";
import type { SeenMessage, Stream, StreamEnd, TokenOrigin, WatchRequest } from "../checkers/history.js";
import { EVENT_TYPES, now, seenMessage } from "./seen.js";

const { watchKeys } = StoreServiceDefinition.methods;
const PATH = `/${StoreServiceDefinition.fullName}/${watchKeys.name}`;
const ENCODINGS = {
  json: ValueEncoding.VALUE_ENCODING_JSON,
  bson: ValueEncoding.VALUE_ENCODING_BSON,
  none: ValueEncoding.VALUE_ENCODING_NONE,
} as const;
/** The interval of progress messages that is asked for, in ms. */
export const PROGRESS_MS = 250;
/** How long a connection may take to be made again, in ms. */
const RECONNECT_MS = 100;

/** Opens a connection of its own: one that is not read from must not hold up others. */
export function openChannel(address: string): Client {
  return new Client(address, credentials.createInsecure(), {
    "grpc.max_receive_message_length": -1,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.initial_reconnect_backoff_ms": RECONNECT_MS,
    "grpc.max_reconnect_backoff_ms": RECONNECT_MS,
  });
}

function encoded(request: WatchRequest): Buffer {
  const { key, types, encoding, ...rest } = request;
  const message = WatchKeysRequest.fromPartial({
    ...rest,
    ...(key !== undefined && { key }),
    eventTypes: types.map((type) => EVENT_TYPES[type]),
    encoding: ENCODINGS[encoding],
    progressInterval: { seconds: 0n, nanos: PROGRESS_MS * 1e6 },
  });
  return Buffer.from(WatchKeysRequest.encode(message).finish());
}

/** One call of WatchKeys, and all that came of it. */
export class RecordedStream implements Stream {
  readonly messages: SeenMessage[] = [];
  readonly calledAt = now();
  readonly name: string;
  readonly request: WatchRequest;
  readonly origin: TokenOrigin | undefined;
  end: StreamEnd | undefined;
  paused = false;
  readonly #call: ReturnType<Client["makeServerStreamRequest"]>;
  #cancelled = false;
  #closed = false;
  #changed = (): void => undefined;
  #change: Promise<void>;

  constructor(channel: Client, name: string, request: WatchRequest, origin: TokenOrigin | undefined) {
    this.name = name;
    this.request = request;
    this.origin = origin;
    this.#change = this.#next();
    this.#call = channel.makeServerStreamRequest(
      PATH,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => watchKeys.responseType.decode(bytes),
      encoded(request),
      new Metadata(),
    );
    this.#call.on("data", (message) => {
      // What was on its way when the watcher gave up is nobody's any more.
      if (this.#closed || this.#cancelled) return;
      this.messages.push(seenMessage(message, now()));
      this.#tell();
    });
    // The error overtakes messages that wait to be read; the end does not. Without an error it ended as OK, which is
    // for the checkers to see.
    let status = { status: "OK", reason: undefined as string | undefined, token: "" };
    this.#call.on("error", (error: ServiceError) => {
      const { code, reason, metadata } = wireError(error);
      status = { status: code, reason, token: metadata["resume_token"] ?? "" };
    });
    this.#call.on("end", () => this.#ended({ ...status, at: now() }));
  }

  /** Resolves once there are messages enough, or the stream has ended. */
  async until(enough: (stream: this) => boolean): Promise<void> {
    while (this.end === undefined && !enough(this)) await this.#change;
  }

  /** Stops reading. */
  pause(): void {
    this.paused = true;
    this.#call.pause();
  }

  /** Goes on reading. */
  unpause(): void {
    this.#call.resume();
  }

  /** Ends it, unless it has ended. */
  cancel(): void {
    if (this.end !== undefined) return;
    this.#cancelled = true;
    this.#call.cancel();
    this.#ended({ status: "cancelled", reason: undefined, token: "", at: now() });
  }

  /** Ends the call without a record of it. */
  close(): void {
    this.#closed = true;
    this.#call.cancel();
  }

  #ended(end: StreamEnd): void {
    if (this.#closed) return;
    // After a cancellation the rest does not matter.
    this.end ??= end;
    this.#tell();
  }

  #tell(): void {
    this.#changed();
    this.#change = this.#next();
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = resolve;
    });
  }
}
