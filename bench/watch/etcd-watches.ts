import { BinaryWriter } from "@bufbuild/protobuf/wire";
import type { Child } from "../children.js";
import { STAMPED_VALUE, stampable } from "./stamp.js";
import type { Place, Watched, WatchedServer } from "./watched-server.js";

const KEY_TAG = 10;
const VALUE_TAG = 18;
const CREATE_REQUEST_TAG = 10;
const RANGE_END_TAG = 18;

function keyBytes({ store, key }: Place): Buffer {
  return Buffer.from(`${store}/${key}`);
}

/** A WatchCreateRequest: of a key, or of all between the store's first and the first beyond it. */
function createRequest({ store, key }: Watched): BinaryWriter {
  const writer = new BinaryWriter().uint32(KEY_TAG).bytes(keyBytes({ store, key: key ?? "" }));
  return key === undefined ? writer.uint32(RANGE_END_TAG).bytes(Buffer.from(`${store}0`)) : writer;
}

function asBuffer(writer: BinaryWriter): Buffer {
  return Buffer.from(writer.finish());
}

/** How etcd is watched: a stream for each watch, as for the measured server, by the messages of etcdserverpb. */
export function etcdWatches({ pid, port }: Child): WatchedServer {
  return {
    name: "etcd",
    pid,
    port,
    watch: {
      path: "/etcdserverpb.Watch/Watch",
      // Streams in both directions end with their request.
      ends: false,
      message: (watched) =>
        asBuffer(new BinaryWriter().uint32(CREATE_REQUEST_TAG).bytes(createRequest(watched).finish())),
    },
    write: {
      path: "/etcdserverpb.KV/Put",
      message: (place) => {
        const writer = new BinaryWriter().uint32(KEY_TAG).bytes(keyBytes(place));
        return stampable(asBuffer(writer.uint32(VALUE_TAG).bytes(STAMPED_VALUE.bson)));
      },
    },
  };
}
