import { execFile } from "node:child_process";
import { access, mkdir, open, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { waitForLock } from "fs-native-extensions";

const run = promisify(execFile);

const INSTALL_LIMIT_MS = 900_000;
const SAID_LENGTH = 300;

/** A virtual environment that is made once and kept in the user's cache. */
export interface PythonEnvironment {
  /** Of the folder in the cache; another content needs another name. */
  readonly name: string;
  /** What pip is to install: requirements, or `-r` and a file of them. */
  readonly install: readonly string[];
  /** @default the `python3` on the PATH */
  readonly python?: string | undefined;
}

/** Where things are kept that are fetched once for all checkouts. */
export function cacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  return join(environment["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "execution-store");
}

/** The path of the interpreter of an environment, which the first who asks makes. Several processes may ask at once. */
export async function preparePython(
  { name, install, python = "python3" }: PythonEnvironment,
  environment?: NodeJS.ProcessEnv,
): Promise<string> {
  const cache = cacheDirectory(environment);
  const directory = join(cache, name);
  const inside = join(directory, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
  // Written last: an environment without it is one that was not finished.
  const complete = join(directory, "complete");
  if (await exists(complete)) return inside;
  await mkdir(cache, { recursive: true });
  // The lock is the kernel's and goes with its process, however that ends.
  await using lock = await open(join(cache, `${name}.lock`), "a");
  await waitForLock(lock.fd);
  if (await exists(complete)) return inside;
  console.error(`installing Python packages into ${directory}; this is done once`);
  await rm(directory, { recursive: true, force: true });
  await execute(python, "-m", "venv", directory);
  await execute(inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...install);
  await writeFile(complete, "");
  return inside;
}

/** What a command printed. Throws an Error that says what it said. */
export async function execute(command: string, ...args: readonly string[]): Promise<string> {
  try {
    return (await run(command, args, { timeout: INSTALL_LIMIT_MS })).stdout;
  } catch (error) {
    const shown = [command, ...args.slice(0, args[0] === "-m" ? 2 : 1)].join(" ");
    throw new Error(`${shown} failed: ${reasonOf(error)}`, { cause: error });
  }
}

/** What a command said on its errors, or else at all (as venv does), or the error's message. */
export function reasonOf(error: unknown): string {
  const { stderr = "", stdout = "" } = error as { stderr?: string; stdout?: string };
  const said = stderr.trim().split("\n").at(-1) || stdout.trim().replace(/\s+/g, " ").slice(0, SAID_LENGTH);
  return said || (error instanceof Error ? error.message : String(error));
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
