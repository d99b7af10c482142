import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** A server in a process of its own, ready for calls. */
export interface Child {
  readonly pid: number;
  /** On 127.0.0.1. */
  readonly port: number;
  /** When the process was started, by performance.now(). */
  readonly startedAt: number;
  /** Ends the process with SIGTERM, and with SIGKILL where that does not help. Idempotent. */
  stop(): Promise<void>;
}

const READY_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 30_000;
const LINES_KEPT = 10;

const running = new Set<ChildProcess>();

/** Kills every process that is still running. Synchronous, for the way out. */
export function killChildren(): void {
  for (const child of running) child.kill("SIGKILL");
}

function servingPort(line: string): number | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const { msg, addresses } = JSON.parse(line) as { msg?: unknown; addresses?: unknown };
    if (msg !== "serving" || !Array.isArray(addresses)) return undefined;
    const port = /:(\d+)$/.exec(String(addresses[0]))?.[1];
    return port === undefined ? undefined : Number(port);
  } catch {
    return undefined;
  }
}

function ready(child: ChildProcess, name: string, portIn: typeof servingPort): Promise<number> {
  const lines: string[] = [];
  return new Promise((resolve, reject) => {
    const fail = (what: string): void => reject(new Error([`${name} ${what}`, ...lines].join("\n  ")));
    const timer = setTimeout(() => fail(`was not ready within ${READY_LIMIT_MS} ms`), READY_LIMIT_MS);
    child.once("error", (error) => fail(`could not be started: ${error.message}`));
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      fail(`ended before it served, with ${signal ?? `exit code ${code}`}:`);
    });
    if (child.stderr === null) return fail("has no log");
    // The log is read to the end of the process: a full pipe would stop the server.
    return createInterface({ input: child.stderr }).on("line", (line) => {
      if (lines.push(line) > LINES_KEPT) lines.shift();
      const port = portIn(line);
      if (port === undefined) return;
      clearTimeout(timer);
      resolve(port);
    });
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
  child.kill("SIGTERM");
  await ended;
  clearTimeout(timer);
}

/**
 * Starts a program with `args` and waits for the line of JSON on its standard error that has the message `serving`
 * and the field `addresses`. Fails with the last lines of its log.
 *
 * @param command the program; this Node unless said otherwise
 * @param portIn the port in the line that says that it serves, for a program that says so otherwise
 */
export async function startChild(
  name: string,
  args: readonly string[],
  command: string = process.execPath,
  portIn: (line: string) => number | undefined = servingPort,
): Promise<Child> {
  const startedAt = performance.now();
  const child = spawn(command, args, { stdio: ["pipe", "ignore", "pipe"] });
  running.add(child);
  child.once("exit", () => running.delete(child));
  const port = await ready(child, name, portIn);
  if (child.pid === undefined) throw new Error(`${name} has no process id`);
  return { pid: child.pid, port, startedAt, stop: () => stop(child) };
}
