/**
 * The least HTTP/2 client that can make gRPC calls. A client of grpc-js, or of node:http2, needs as much
 * processor time a call as the servers that are measured here or more, so with one core for each it would be
 * the client that is measured. This one needs about a tenth.
 *
 * It sends header fields as literals and tells the peer to keep no table of them, so it needs no HPACK state,
 * and does not read the fields that it gets: a unary call has a message in its answer exactly if its status is OK, and
 * of the end of a stream it tells no reason.
 */
import { connect, type Socket } from "node:net";

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const;
const FLAG = { endStream: 1, ack: 1, endHeaders: 4, padded: 8 } as const;
const SETTING = { headerTableSize: 1, enablePush: 2, initialWindowSize: 4, maxFrameSize: 5 } as const;
const DEFAULT_WINDOW = 65_535;
const MAX_WINDOW = 2 ** 31 - 1;
const FRAME_HEADER_BYTES = 9;
const GRPC_PREFIX_BYTES = 5;
const EMPTY = Buffer.alloc(0);

/** The end of a call. Its answer is counted, not kept. */
export type Done = (error: Error | undefined) => void;

/** Who hears what a stream brings. */
export interface StreamListener {
  /**
   * A piece of what the server sends, of any length: messages, each behind a byte of flags and its length in four. It
   * is to be copied if it is to be kept.
   */
  data(bytes: Buffer): void;
  end(error: Error | undefined): void;
}

/** One connection, for any number of calls at once. */
export interface Http2Connection {
  /**
   * Starts a call. It leaves with everything else that starts in the same turn of the event loop.
   *
   * @param headers made by {@link callHeaders}
   * @param message the encoded request; it must not change until `done`
   */
  call(headers: Buffer, message: Buffer, done: Done): void;
  /**
   * Starts a call that is answered with a stream, of at most 2 GiB altogether.
   *
   * @param ends whether the request ends with the message; otherwise it stays open, as for streams in both directions
   */
  stream(headers: Buffer, message: Buffer, ends: boolean, listener: StreamListener): void;
  /** Ends the connection; calls in flight fail. */
  close(): void;
}

interface Stream {
  readonly id: number;
  readonly done: Done;
  /** Who hears the answer, where it is not only counted. */
  readonly data: ((bytes: Buffer) => void) | undefined;
  /** Whether the request ends with what is still to be sent. */
  readonly ends: boolean;
  /** Bytes of the answer so far. */
  received: number;
  window: number;
  /** What is still to be sent. */
  rest: Buffer;
}

function literal(name: string, value: string): Buffer {
  const [nameBytes, valueBytes] = [Buffer.from(name), Buffer.from(value)];
  // Longer ones need HPACK's multi-byte lengths, and nothing here is that long.
  if (nameBytes.length > 126 || valueBytes.length > 126) throw new RangeError(`header ${name} is too long`);
  return Buffer.concat([
    Buffer.from([0, nameBytes.length]),
    nameBytes,
    Buffer.from([valueBytes.length]),
    valueBytes,
  ]);
}

/** The header fields of a call of `path`, `/package.Service/Method`, encoded once for all calls. */
export function callHeaders(path: string): Buffer {
  return Buffer.concat([
    literal(":method", "POST"),
    literal(":scheme", "http"),
    literal(":path", path),
    literal(":authority", "127.0.0.1"),
    literal("te", "trailers"),
    literal("content-type", "application/grpc"),
    literal("user-agent", "execution-store-bench"),
  ]);
}

function frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  payload.copy(bytes, FRAME_HEADER_BYTES);
  return bytes;
}

function settings(...pairs: readonly (readonly [number, number])[]): Buffer {
  const payload = Buffer.alloc(6 * pairs.length);
  pairs.forEach(([id, value], index) => {
    payload.writeUInt16BE(id, 6 * index);
    payload.writeUInt32BE(value, 6 * index + 2);
  });
  return frame(FRAME.settings, 0, 0, payload);
}

function windowUpdate(bytes: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(bytes);
  return frame(FRAME.windowUpdate, 0, 0, payload);
}

function grpcFrame(message: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(GRPC_PREFIX_BYTES + message.length);
  bytes[0] = 0;
  bytes.writeUInt32BE(message.length, 1);
  message.copy(bytes, GRPC_PREFIX_BYTES);
  return bytes;
}

class Connection implements Http2Connection {
  readonly #socket: Socket;
  readonly #streams = new Map<number, Stream>();
  /** Streams whose sending waits for a window, in the order in which they came. */
  readonly #waiting = new Set<Stream>();
  #outgoing: Buffer[] = [];
  #flushing = false;
  #tail: Buffer = EMPTY;
  #nextId = 1;
  #window = DEFAULT_WINDOW;
  #peerStreamWindow = DEFAULT_WINDOW;
  #peerFrameBytes = 16_384;
  #unacknowledged = 0;
  #failure: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the server closed the connection")));
    this.#send(PREFACE);
    this.#send(
      settings(
        [SETTING.headerTableSize, 0],
        [SETTING.enablePush, 0],
        [SETTING.initialWindowSize, MAX_WINDOW],
      ),
    );
    this.#send(windowUpdate(MAX_WINDOW - DEFAULT_WINDOW));
  }

  call(headers: Buffer, message: Buffer, done: Done): void {
    this.#start(headers, message, { done, data: undefined, ends: true });
  }

  stream(headers: Buffer, message: Buffer, ends: boolean, listener: StreamListener): void {
    const data = (bytes: Buffer): void => listener.data(bytes);
    this.#start(headers, message, { done: (error) => listener.end(error), data, ends });
  }

  #start(headers: Buffer, message: Buffer, caller: Pick<Stream, "done" | "data" | "ends">): void {
    if (this.#failure !== undefined) {
      caller.done(this.#failure);
      return;
    }
    const id = this.#nextId;
    this.#nextId += 2;
    const rest = grpcFrame(message);
    const stream = { ...caller, id, received: 0, window: this.#peerStreamWindow, rest };
    this.#streams.set(id, stream);
    this.#send(frame(FRAME.headers, FLAG.endHeaders, id, headers));
    this.#pump(stream);
  }

  close(): void {
    this.#fail(new Error("the connection was closed"));
    this.#socket.destroy();
  }

  #send(bytes: Buffer): void {
    this.#outgoing.push(bytes);
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      const bytesOut = Buffer.concat(this.#outgoing);
      this.#outgoing = [];
      if (this.#failure === undefined) this.#socket.write(bytesOut);
    });
  }

  #pump(stream: Stream): void {
    while (stream.rest.length > 0) {
      const room = Math.min(stream.rest.length, this.#peerFrameBytes, stream.window, this.#window);
      if (room <= 0) {
        this.#waiting.add(stream);
        return;
      }
      const last = stream.ends && room === stream.rest.length;
      this.#send(frame(FRAME.data, last ? FLAG.endStream : 0, stream.id, stream.rest.subarray(0, room)));
      stream.rest = stream.rest.subarray(room);
      stream.window -= room;
      this.#window -= room;
    }
    this.#waiting.delete(stream);
  }

  #read(chunk: Buffer): void {
    const bytes = this.#tail.length === 0 ? chunk : Buffer.concat([this.#tail, chunk]);
    let at = 0;
    while (bytes.length - at >= FRAME_HEADER_BYTES) {
      const end = at + FRAME_HEADER_BYTES + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      const [type, flags, id] = [
        bytes.readUInt8(at + 3),
        bytes.readUInt8(at + 4),
        bytes.readUInt32BE(at + 5),
      ];
      this.#frame(type, flags, id, bytes.subarray(at + FRAME_HEADER_BYTES, end));
      at = end;
    }
    this.#tail = at === bytes.length ? EMPTY : bytes.subarray(at);
  }

  #frame(type: number, flags: number, id: number, payload: Buffer): void {
    if (type === FRAME.data) this.#data(flags, id, payload);
    else if (type === FRAME.headers) {
      if ((flags & FLAG.endStream) !== 0) this.#end(id);
    } else if (type === FRAME.windowUpdate) this.#grow(id, payload.readUInt32BE(0));
    else if (type === FRAME.settings) this.#settings(flags, payload);
    else if (type === FRAME.ping) {
      if ((flags & FLAG.ack) === 0) this.#send(frame(FRAME.ping, FLAG.ack, 0, payload));
    } else if (type === FRAME.reset) {
      this.#end(id, new Error(`the server reset a call with HTTP/2 error ${payload.readUInt32BE(0)}`));
    } else if (type === FRAME.goAway) {
      this.#fail(new Error(`the server said GOAWAY with HTTP/2 error ${payload.readUInt32BE(4)}`));
    }
  }

  #data(flags: number, id: number, payload: Buffer): void {
    if ((flags & FLAG.padded) !== 0) {
      this.#fail(new Error("the server pads frames, which this client does not read"));
      return;
    }
    this.#unacknowledged += payload.length;
    if (this.#unacknowledged > MAX_WINDOW / 4) {
      this.#send(windowUpdate(this.#unacknowledged));
      this.#unacknowledged = 0;
    }
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    stream.received += payload.length;
    stream.data?.(payload);
    if ((flags & FLAG.endStream) !== 0) this.#end(id);
  }

  #end(id: number, error?: Error): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    this.#streams.delete(id);
    this.#waiting.delete(stream);
    const answered = stream.received >= GRPC_PREFIX_BYTES;
    stream.done(
      error ?? (answered ? undefined : new Error("the server answered a call with an error status")),
    );
  }

  #grow(id: number, bytes: number): void {
    if (id !== 0) {
      const stream = this.#streams.get(id);
      if (stream === undefined) return;
      stream.window += bytes;
      this.#pump(stream);
      return;
    }
    this.#window += bytes;
    for (const stream of this.#waiting) {
      if (this.#window <= 0) break;
      this.#pump(stream);
    }
  }

  #settings(flags: number, payload: Buffer): void {
    if ((flags & FLAG.ack) !== 0) return;
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      const [id, value] = [payload.readUInt16BE(at), payload.readUInt32BE(at + 2)];
      if (id === SETTING.maxFrameSize) this.#peerFrameBytes = value;
      if (id !== SETTING.initialWindowSize) continue;
      for (const stream of this.#streams.values()) stream.window += value - this.#peerStreamWindow;
      this.#peerStreamWindow = value;
    }
    this.#send(frame(FRAME.settings, FLAG.ack, 0, EMPTY));
    for (const stream of this.#waiting) this.#pump(stream);
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    for (const id of this.#streams.keys()) this.#end(id, error);
  }
}

/** Connects to a server on 127.0.0.1 that speaks HTTP/2 without TLS. */
export async function openHttp2Connection(port: number): Promise<Http2Connection> {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  return new Connection(socket);
}
