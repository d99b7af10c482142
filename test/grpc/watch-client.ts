import { type Client, Metadata, type ServiceError } from "@grpc/grpc-js";
import {
  type KeyEvent,
  KeyEvent_Type,
  StoreServiceDefinition,
  WatchKeysRequest,
  type WatchKeysResponse,
  WatchKeysResponse_Kind,
} from "../../gen/ts/execution_store/v1/execution_store.js";
import { type WireError, wireError } from "./wire-client.js";

const { watchKeys } = StoreServiceDefinition.methods;
const PATH = `/${StoreServiceDefinition.fullName}/${watchKeys.name}`;

/** A watch as it comes over the wire. */
export interface WireWatch {
  /** All messages so far. */
  readonly messages: readonly WatchKeysResponse[];
  /** All events so far, of snapshots and of changes. */
  readonly events: readonly KeyEvent[];
  /** `TYPE key` of each event. */
  readonly told: readonly string[];
  /** The last token so far. */
  readonly token: string;
  /** Resolves once there are messages or events enough, or whatever else is asked. Rejects if the watch ends before. */
  until(enough: (watch: WireWatch) => boolean): Promise<void>;
  /** Resolves with STARTED. */
  started(): Promise<WatchKeysResponse>;
  /** Stops, or goes on, reading. */
  pause(): void;
  resume(): void;
  cancel(): void;
  /** How it ended. */
  readonly ended: Promise<WireError>;
}

/** The name of an event's type, in lower case and without its prefix. */
export function typeName(type: KeyEvent_Type): string {
  return (KeyEvent_Type[type] ?? String(type)).replace("TYPE_", "").toLowerCase();
}

/** Opens a watch. */
export function openWatch(channel: Client, request: object): WireWatch {
  const messages: WatchKeysResponse[] = [];
  const events: KeyEvent[] = [];
  let token = "";
  let failure: ServiceError | undefined;
  const waiting = new Set<() => void>();
  const notify = (): void => {
    for (const check of waiting) check();
  };
  const stream = channel.makeServerStreamRequest(
    PATH,
    (message: Uint8Array) => Buffer.from(message),
    (bytes: Buffer) => watchKeys.responseType.decode(bytes),
    WatchKeysRequest.encode(WatchKeysRequest.fromPartial(request)).finish(),
    new Metadata(),
  );
  stream.on("data", (message: WatchKeysResponse) => {
    messages.push(message);
    events.push(...message.events);
    if (message.resumeToken !== "") token = message.resumeToken;
    notify();
  });
  const ended = new Promise<WireError>((resolve) => {
    stream.on("error", (error: ServiceError) => {
      failure = error;
      resolve(wireError(error));
      notify();
    });
  });
  const watch: WireWatch = {
    messages,
    events,
    get told() {
      return events.map(({ type, document }) => `${typeName(type)} ${document?.key ?? ""}`);
    },
    get token() {
      return token;
    },
    until: (enough) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (enough(watch)) resolve();
          else if (failure !== undefined) reject(failure);
          else return;
          waiting.delete(check);
        };
        waiting.add(check);
        check();
      }),
    async started() {
      await watch.until(() => messages.length > 0);
      const [first] = messages;
      if (first?.kind !== WatchKeysResponse_Kind.KIND_STARTED) throw new Error("begins without STARTED");
      return first;
    },
    pause: () => stream.pause(),
    resume: () => stream.resume(),
    cancel: () => stream.cancel(),
    ended,
  };
  return watch;
}
