import { fileURLToPath } from "node:url";
import { type Child, startChild } from "../children.js";
import { ask } from "./control.js";
import { Histogram, type HistogramData } from "./histogram.js";
import type { WatchedServer } from "./watched-server.js";
import type { Watchers } from "./watchers.js";

/** What a process that holds watches is asked for. */
export type WatchOrder =
  | {
      readonly do: "open";
      readonly port: number;
      readonly path: string;
      readonly ends: boolean;
      /** Encoded requests in base64, one for each watch. */
      readonly messages: readonly string[];
    }
  | { readonly do: "reset" | "count" | "read" | "close" };

/** What it answers. */
export interface WatchAnswer {
  /** That have come since the last reset. */
  readonly events: number;
  /** To `read` only. */
  readonly delays?: HistogramData;
}

/** Starts a process that can hold watches of any gRPC server. */
export function startWatchProcess(): Promise<Child> {
  const file = fileURLToPath(new URL("./watch-process.ts", import.meta.url));
  return startChild("the watches", ["--import", "tsx", file]);
}

/** Watchers of a gRPC server, spread over processes. */
export function watchClients(server: WatchedServer, processes: readonly Child[]): Watchers {
  const askAll = (order: WatchOrder): Promise<WatchAnswer[]> =>
    Promise.all(processes.map((child) => ask<WatchAnswer>(child, order)));
  return {
    pids: processes.map(({ pid }) => pid),
    open: async (watched) => {
      const messages = watched.map((place) => server.watch.message(place).toString("base64"));
      const { path, ends } = server.watch;
      const each = Math.ceil(messages.length / processes.length);
      const shared = { do: "open", port: server.port, path, ends } as const;
      await Promise.all(
        processes.map((child, index) => {
          const part = messages.slice(index * each, (index + 1) * each);
          return ask(child, { ...shared, messages: part } satisfies WatchOrder);
        }),
      );
    },
    reset: async () => {
      await askAll({ do: "reset" });
    },
    count: async () => (await askAll({ do: "count" })).reduce((sum, { events }) => sum + events, 0),
    delays: async () => {
      const all = new Histogram();
      for (const { delays } of await askAll({ do: "read" })) if (delays !== undefined) all.add(delays);
      return all;
    },
    close: async () => {
      await askAll({ do: "close" });
    },
  };
}
