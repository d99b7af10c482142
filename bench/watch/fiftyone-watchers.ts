import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findPython } from "../../test/fiftyone/python-environment.js";
import { type Child, startChild } from "../children.js";
import { DATASET_ID } from "../sample-requests.js";
import { ask } from "./control.js";
import { Histogram } from "./histogram.js";
import type { Watchers } from "./watchers.js";

type Order =
  | { readonly do: "open"; readonly stores: readonly string[] }
  | { readonly do: "reset" | "count" | "read" | "close" };

interface Answer {
  readonly events: number;
  /** To `read` only: the time that each took, in microseconds. */
  readonly values?: readonly number[];
}

/** Starts a process of Python with FiftyOne's notification service on a database. Throws where there is no FiftyOne. */
export async function startFiftyOneWatch(uri: string, database: string, directory: string): Promise<Child> {
  const python = await findPython();
  const plan = join(directory, "fiftyone-watch.json");
  writeFileSync(plan, JSON.stringify({ uri, database, datasetId: DATASET_ID }));
  const file = fileURLToPath(new URL("../fiftyone-watch.py", import.meta.url));
  return startChild("FiftyOne", [file, plan], python);
}

/** Subscribers of FiftyOne's notification service, which are in its own process. They hear of whole stores. */
export function fiftyOneWatchers(child: Child): Watchers {
  const order = (request: Order): Promise<Answer> => ask<Answer>(child, request);
  return {
    pids: [child.pid],
    open: async (watched) => {
      await order({ do: "open", stores: watched.map(({ store }) => store) });
    },
    reset: async () => {
      await order({ do: "reset" });
    },
    count: async () => (await order({ do: "count" })).events,
    delays: async () => {
      const delays = new Histogram();
      for (const value of (await order({ do: "read" })).values ?? []) delays.record(value);
      return delays;
    },
    close: async () => {
      await order({ do: "close" });
    },
  };
}
