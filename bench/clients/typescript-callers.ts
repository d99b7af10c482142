import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import { deserialize, serialize } from "bson";
import {
  BatchGetKeysRequest,
  BatchGetKeysResponse,
  GetKeyRequest,
  GetKeyResponse,
  type KeyDocument,
  KeyPolicy,
  SetKeyRequest,
  SetKeyResponse,
  ValueEncoding,
  WatchKeysRequest,
  WatchKeysResponse,
} from "../../gen/ts/execution_store/v1/execution_store.js";
import { ExecutionStore, ExecutionStoreService, type Mirror, RawValue, type Watch } from "../../src/index.js";
import { MAX_RESPONSE_BYTES } from "../../src/store/limits.js";
import { methodPath } from "../bench-client.js";
import type { ClientCall, LoadPlan } from "./load-plan.js";

/** Makes one call; `turn` counts them. Answers how many it counts for. */
export type Caller = (turn: number) => Promise<number>;

type Codec<Message> = {
  encode(message: Message): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Message;
};
type Entry = LoadPlan["entries"][number];

// So many that asking for the time between them does not count.
const MIRROR_READS = 1000;

function entryOf({ entries }: LoadPlan, turn: number): Entry {
  const entry = entries[turn % entries.length];
  if (entry === undefined) throw new RangeError("there is nothing to choose from");
  return entry;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function check(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}

async function nextChange(watch: Watch<unknown, "plain" | "raw">): Promise<void> {
  for (;;) {
    const { value, done } = await watch.next();
    check(!done, "the watch has ended");
    if (value !== undefined && "document" in value) return;
  }
}

function bytesOf(plan: LoadPlan): ReadonlyMap<string, Buffer> {
  return new Map(plan.entries.map(({ key, bson }) => [key, Buffer.from(bson, "base64")]));
}

/** The calls of the client. */
export function clientCallers(
  address: string,
  plan: LoadPlan,
  values: boolean,
): Readonly<Record<ClientCall, Caller>> {
  const { datasetId, stores, batch, changes, resumeToken } = plan;
  const service = new ExecutionStoreService({ address, datasetId });
  const readStore = ExecutionStore.create(stores.read, { service, datasetId });
  const encoding = values ? "plain" : "raw";
  const bytes = bytesOf(plan);
  const valueOf = ({ key, value }: Entry) =>
    values ? value : new RawValue(bytes.get(key) ?? Buffer.alloc(0));
  let mirror: Mirror | undefined;
  let awaited: Watch<unknown, "plain" | "raw"> | undefined;
  return {
    get: async (turn) => {
      const { key } = entryOf(plan, turn);
      check((await service.getKey(stores.read, key, { encoding })) !== undefined, `${key} is missing`);
      return 1;
    },
    set: async (turn) => {
      const entry = entryOf(plan, turn);
      await service.setKey(stores.write, entry.key, valueOf(entry));
      return 1;
    },
    "batch-get": async () => {
      const { size } = await service.batchGetKeys(stores.read, batch, { encoding });
      check(size === batch.length, "a key is missing");
      return 1;
    },
    mirror: async (turn) => {
      mirror ??= readStore.mirror();
      await mirror.ready;
      for (let step = 0; step < MIRROR_READS; step++) {
        check(mirror.get(entryOf(plan, turn + step).key) !== undefined, "a key is missing");
      }
      return MIRROR_READS;
    },
    "catch-up": async () => {
      let events = 0;
      for await (const event of service.watchKeys({ storeName: stores.changed, resumeToken, encoding })) {
        if ("document" in event && ++events === changes) break;
      }
      return events;
    },
    "round-trip": async (turn) => {
      if (awaited === undefined) {
        awaited = service.watchKeys({ storeName: stores.awaited, encoding });
        await awaited.next();
      }
      const entry = entryOf(plan, turn);
      await service.setKey(stores.awaited, entry.key, valueOf(entry));
      await nextChange(awaited);
      return 1;
    },
  };
}

/** What a program has that calls by the generated messages and the gRPC library alone. */
class Stub {
  readonly #client: Client;

  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure(), {
      "grpc.max_receive_message_length": MAX_RESPONSE_BYTES,
    });
  }

  unary<Request, Response>(
    method: string,
    requests: Codec<Request>,
    responses: Codec<Response>,
    request: Request,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        methodPath(method),
        (message: Request) => asBuffer(requests.encode(message).finish()),
        (bytes: Buffer) => responses.decode(bytes),
        request,
        (error: ServiceError | null, response?: Response) => {
          if (error !== null || response === undefined) reject(error ?? new Error("no answer"));
          else resolve(response);
        },
      );
    });
  }

  watch(request: WatchKeysRequest) {
    return this.#client.makeServerStreamRequest(
      methodPath("WatchKeys"),
      (message: WatchKeysRequest) => asBuffer(WatchKeysRequest.encode(message).finish()),
      (bytes: Buffer) => WatchKeysResponse.decode(bytes),
      request,
    );
  }
}

/** The calls of the stub, with values of the bson package or, bare, with ready bytes that nothing looks into. */
export function stubCallers(
  address: string,
  plan: LoadPlan,
  values: boolean,
): Readonly<Record<ClientCall, Caller>> {
  const { datasetId, stores, batch, changes, resumeToken } = plan;
  const stub = new Stub(address);
  const context = { datasetId, collectionName: "" };
  const encoding = ValueEncoding.VALUE_ENCODING_BSON;
  const bytes = bytesOf(plan);
  const look = (documents: readonly (KeyDocument | undefined)[]): void => {
    if (values) for (const document of documents) deserialize(document?.valueBson ?? Buffer.alloc(0));
  };
  const setIn = (storeName: string, turn: number): Promise<SetKeyResponse> => {
    const { key, value } = entryOf(plan, turn);
    return stub.unary("SetKey", SetKeyRequest, SetKeyResponse, {
      ...context,
      storeName,
      key,
      value: undefined,
      valueBson: values ? asBuffer(serialize({ value })) : bytes.get(key),
      ttl: undefined,
      policy: KeyPolicy.KEY_POLICY_PERSIST,
    });
  };
  const watch = (storeName: string, token: string) =>
    stub.watch(WatchKeysRequest.fromPartial({ ...context, storeName, resumeToken: token, encoding }));
  let awaited: AsyncIterator<WatchKeysResponse> | undefined;
  return {
    get: async (turn) => {
      const { key } = entryOf(plan, turn);
      const request = { ...context, storeName: stores.read, key, encoding };
      const { document } = await stub.unary("GetKey", GetKeyRequest, GetKeyResponse, request);
      check(document !== undefined, `${key} is missing`);
      look([document]);
      return 1;
    },
    set: async (turn) => {
      await setIn(stores.write, turn);
      return 1;
    },
    "batch-get": async () => {
      const request = { ...context, storeName: stores.read, keys: [...batch], encoding };
      const answer = await stub.unary("BatchGetKeys", BatchGetKeysRequest, BatchGetKeysResponse, request);
      check(answer.documents.length === batch.length, "a key is missing");
      look(answer.documents);
      return 1;
    },
    mirror: () => Promise.reject(new Error("a stub has no mirror")),
    "catch-up": async () => {
      const stream = watch(stores.changed, resumeToken);
      // That it was cancelled is told as an error, too, which is nobody's concern.
      stream.on("error", () => {});
      let events = 0;
      for await (const message of stream as AsyncIterable<WatchKeysResponse>) {
        events += message.events.length;
        look(message.events.map(({ document }) => document));
        if (events >= changes) break;
      }
      stream.cancel();
      return events;
    },
    "round-trip": async (turn) => {
      if (awaited === undefined) {
        awaited = (watch(stores.awaited, "") as AsyncIterable<WatchKeysResponse>)[Symbol.asyncIterator]();
        await awaited.next();
      }
      await setIn(stores.awaited, turn);
      for (;;) {
        const { events } = (await awaited.next()).value as WatchKeysResponse;
        look(events.map(({ document }) => document));
        if (events.length > 0) return 1;
      }
    },
  };
}
