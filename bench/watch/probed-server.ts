import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Child } from "../children.js";
import { startExecutionStore } from "../execution-store-server.js";
import { anonymousMegabytes } from "../process-figures.js";
import { ask } from "./control.js";

/** A measured server that can be asked what only it can know. */
export interface ProbedServer extends Child {
  /** Memory that no file backs (RssAnon), in MB of 10^6 bytes, after a full garbage collection; undefined without /proc. */
  memoryAfterCollection(): Promise<number | undefined>;
  /** Runs some work, and writes a profile of the server's processor time meanwhile to `file`. */
  profile<T>(file: string, work: () => Promise<T>): Promise<T>;
}

/**
 * Starts the built server with a probe loaded before it: the server itself is what its users start.
 *
 * @param file the built command line
 * @param store the URI of its database
 * @param directory for what the probe leaves
 */
export async function startProbedServer(
  file: string,
  store: string,
  directory: string,
): Promise<ProbedServer> {
  const portFile = join(directory, "probe-port");
  const probe = new URL("./server-probe.mjs", import.meta.url);
  probe.searchParams.set("port", portFile);
  const child = await startExecutionStore(file, store, ["--expose-gc", "--import", probe.href]);
  const port = Number(readFileSync(portFile, "utf8"));
  const told = { ...child, port };
  return {
    ...child,
    memoryAfterCollection: async () => {
      await ask(told, { ask: "collect garbage" });
      return anonymousMegabytes(child.pid);
    },
    profile: async (profileFile, work) => {
      await ask(told, { ask: "start profile" });
      const result = await work();
      await ask(told, { ask: "write profile", file: profileFile });
      return result;
    },
  };
}
