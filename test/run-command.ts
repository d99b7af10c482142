import { type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";

/** What a suite in another language runs with. */
export interface Suite {
  readonly environment: NodeJS.ProcessEnv;
  /** A folder for the reports of the runners. */
  readonly reports: string | undefined;
  /** Takes what is to be shown: suites run beside each other, and are shown one after the other. */
  readonly print: (text: string) => void;
}

/** Runs a command to its end and answers whether it succeeded; what it says is printed, or goes where this process's does. */
export async function run(
  command: string,
  args: readonly string[],
  { print, ...options }: SpawnOptions & { readonly print?: Suite["print"] } = {},
): Promise<boolean> {
  const stdio = print === undefined ? "inherit" : "pipe";
  const child = spawn(command, args, { ...options, stdio: ["ignore", stdio, stdio] });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => print?.(text));
  }
  const [code] = (await once(child, "close")) as [number | null];
  return code === 0;
}
