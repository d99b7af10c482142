import { type Child, startChild } from "./children.js";

/**
 * Starts the built server as its users do.
 *
 * @param file the built command line
 * @param store the URI of its database
 * @param nodeArgs arguments for Node itself
 */
export function startExecutionStore(
  file: string,
  store: string,
  nodeArgs: readonly string[] = [],
): Promise<Child> {
  const args = ["serve", "--store", store, "--listen", "127.0.0.1:0"];
  return startChild("the server", [...nodeArgs, file, ...args]);
}
