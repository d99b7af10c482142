/** Holds many watches of a gRPC server and takes the time of every event, for as long as it is asked to. */
import { callHeaders, type Http2Connection, openHttp2Connection } from "../http2-connection.js";
import { beginWatch, type WatchCall } from "./begin-watch.js";
import { clockMicros } from "./clock.js";
import { serveControl } from "./control.js";
import { Histogram } from "./histogram.js";
import { forEachStamp } from "./stamp.js";
import type { WatchAnswer, WatchOrder } from "./watch-clients.js";

// The limit of streams that clients and proxies have more often than any other.
const STREAMS_PER_CONNECTION = 100;

let connections: readonly Http2Connection[] = [];
let delays = new Histogram();
/** Why a watch ended that should not have. */
let failure: Error | undefined;

function receive(message: Buffer): void {
  const now = clockMicros();
  forEachStamp(message, (sent) => delays.record(now - sent));
}

async function open({ port, path, ends, messages }: Extract<WatchOrder, { do: "open" }>): Promise<void> {
  const count = Math.ceil(messages.length / STREAMS_PER_CONNECTION);
  const opened = await Promise.all(Array.from({ length: count }, () => openHttp2Connection(port)));
  connections = opened;
  const shared: Omit<WatchCall, "message"> = {
    headers: callHeaders(path),
    ends,
    tell: receive,
    ended: (reason) => {
      // With their connections, they end because they are to.
      if (connections === opened) failure ??= reason;
    },
  };
  await Promise.all(
    messages.map((message, index) => {
      const connection = opened[index % count];
      if (connection === undefined) throw new RangeError("there is no connection");
      return beginWatch(connection, { ...shared, message: Buffer.from(message, "base64") });
    }),
  );
}

function close(): void {
  const closing = connections;
  connections = [];
  for (const connection of closing) connection.close();
}

serveControl(async (request): Promise<WatchAnswer> => {
  if (failure !== undefined) throw failure;
  const order = request as WatchOrder;
  if (order.do === "open") await open(order);
  else if (order.do === "reset") delays = new Histogram();
  else if (order.do === "close") close();
  return { events: delays.count, ...(order.do === "read" && { delays: delays.data() }) };
});
