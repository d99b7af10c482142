import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
let main: string | undefined;
/** What a failed test may have left running. */
const running = new Set<CliProcess>();

/**
 * Builds the command line for the tests of this file, as it is published: that takes a second once, and saves one
 * for each command that is run. Call it outside of tests.
 */
export function buildBeforeTests(): void {
  let folder: string | undefined;
  beforeAll(async () => {
    // Inside of the project, so that the code finds its packages.
    await mkdir(join(ROOT, "node_modules/.cache"), { recursive: true });
    folder = await mkdtemp(join(ROOT, "node_modules/.cache/execution-store-cli-"));
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    // Its exit code tells of types, which are not the matter here: it writes the code all the same.
    const compiler = spawn(process.execPath, [tsc, "-p", "tsconfig.build.json", "--outDir", folder], {
      cwd: ROOT,
      stdio: "ignore",
    });
    await once(compiler, "close");
    await copyFile(join(ROOT, "gen/descriptor_set.binpb"), join(folder, "gen/descriptor_set.binpb"));
    main = join(folder, "src/main.js");
  }, 60_000);
  afterAll(async () => {
    for (const child of running) child.kill("SIGKILL");
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });
}

/** What buildBeforeTests() has built, laid out as dist/ is. */
export function builtFolder(): string {
  if (main === undefined) throw new Error("call buildBeforeTests() first");
  return join(main, "../..");
}

/** How a command line is run. */
export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** What it reads on stdin. @default nothing */
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
}

/** How a command line ended. */
export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

type CliProcess = ChildProcessByStdio<Writable, Readable, Readable>;

/** Starts the real command line, with none of this process's own settings of it. */
export function spawnCli(args: readonly string[], { env = {}, cwd = tmpdir() }: CliOptions = {}): CliProcess {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("EXECUTION_STORE_"));
  if (main === undefined) throw new Error("call buildBeforeTests() first");
  const child = spawn(process.execPath, [main, ...args], {
    cwd,
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  running.add(child);
  child.once("close", () => running.delete(child));
  return child;
}

/** Runs a command line to its end. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const child = spawnCli(args, options);
  // A command that does not read its input may be gone before it is written.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  const [stdout, stderr, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>,
  ]);
  return { code, signal, stdout, stderr };
}

/** A line of a server's log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** A server in its own process. */
export interface ServerProcess {
  readonly pid: number;
  /** Where it listens. */
  readonly addresses: readonly string[];
  /** Resolves to the first line with this message, past or to come; rejects if the process ends before. */
  logged(message: string): Promise<LogLine>;
  kill(signal: NodeJS.Signals): void;
  /** Resolves when it has ended. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; log: readonly LogLine[] }>;
}

/** Starts `serve` and waits until it serves, or until it has logged another line that has its addresses. */
export async function startServer(
  args: readonly string[],
  options: CliOptions = {},
  ready = "serving",
): Promise<ServerProcess> {
  const child = spawnCli(["serve", ...args], options);
  child.stdin.end();
  const log: LogLine[] = [];
  let rest = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) log.push(line.startsWith("{") ? (JSON.parse(line) as LogLine) : { text: line });
    child.emit("logged");
  });
  const ended = once(child, "close").then(([code, signal]: unknown[]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
    log,
  }));
  const logged = async (message: string): Promise<LogLine> => {
    for (;;) {
      const line = log.find(({ msg }) => msg === message);
      if (line !== undefined) return line;
      const more = await Promise.race([once(child, "logged").then(() => true), ended.then(() => false)]);
      if (!more) throw new Error(`the server ended without "${message}": ${JSON.stringify(log)}`);
    }
  };
  const { addresses } = await logged(ready);
  return {
    pid: child.pid ?? 0,
    addresses: addresses as string[],
    logged,
    kill: (signal) => void child.kill(signal),
    ended,
  };
}

/** Runs something with a folder of its own, which is removed behind it. */
export async function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "execution-store-cli-"));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The first address of a server. */
export function firstAddress({ addresses: [first] }: ServerProcess): string {
  if (first === undefined) throw new Error("the server listens nowhere");
  return first;
}
