import { type Child, startChild } from "./children.js";

/**
 * Starts the built server as its users do, with its database in `directory`.
 *
 * @param file the built command line
 */
export function startExecutionStore(file: string, engine: "lmdb", directory: string): Promise<Child> {
  const args = ["serve", "--store", `${engine}:${directory}`, "--listen", "127.0.0.1:0"];
  return startChild("the server", [file, ...args]);
}
