import { execFile } from "node:child_process";
import { access, mkdir, open, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { waitForLock } from "fs-native-extensions";

const run = promisify(execFile);

/** The release that the tests hold the service against. */
export const FIFTYONE_VERSION = "1.22.1";
/** The path of a Python that has this release already. */
export const PYTHON = "EXECUTION_STORE_TEST_PYTHON";
const NAME = `fiftyone-${FIFTYONE_VERSION}`;
const INSTALL_LIMIT_MS = 900_000;
const SAID_LENGTH = 300;

const INSTRUCTIONS = `These tests need FiftyOne ${FIFTYONE_VERSION}. Provide one of:
  1. python3 (3.10 or newer) with venv and pip, and a package index: it is installed once, for you (Debian: apt install python3-venv)
  2. ${PYTHON}=/path/to/python   of an environment with fiftyone==${FIFTYONE_VERSION}
or leave them out: EXECUTION_STORE_TEST_WITHOUT=fiftyone`;

/**
 * The path of a Python that has FiftyOne: the one that the environment names, else that of a virtual environment in
 * the user's cache, which the first who asks makes. Several processes may ask at once. Throws with instructions.
 */
export async function findPython(environment: NodeJS.ProcessEnv = process.env): Promise<string> {
  const named = environment[PYTHON];
  try {
    if (named === undefined || named === "") return await makeEnvironment(cacheOf(environment));
    await checkVersion(named);
    return named;
  } catch (error) {
    throw new Error(`${INSTRUCTIONS}\nTried in vain: ${reasonOf(error)}`, { cause: error });
  }
}

function cacheOf(environment: NodeJS.ProcessEnv): string {
  return join(environment["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "execution-store");
}

async function makeEnvironment(cache: string): Promise<string> {
  const directory = join(cache, NAME);
  const python = join(directory, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
  // Written last: an environment without it is one that was not finished.
  const complete = join(directory, "complete");
  if (await exists(complete)) return python;
  await mkdir(cache, { recursive: true });
  // The lock is the kernel's and goes with its process, however that ends.
  await using lock = await open(join(cache, `${NAME}.lock`), "a");
  await waitForLock(lock.fd);
  if (await exists(complete)) return python;
  console.log(`installing fiftyone==${FIFTYONE_VERSION} into ${directory}; this is done once`);
  await rm(directory, { recursive: true, force: true });
  await execute("python3", "-m", "venv", directory);
  await execute(python, "-m", "pip", "install", "--quiet", `fiftyone==${FIFTYONE_VERSION}`);
  await checkVersion(python);
  await writeFile(complete, "");
  return python;
}

async function checkVersion(python: string): Promise<void> {
  const script = "import importlib.metadata; print(importlib.metadata.version('fiftyone'))";
  const version = (await execute(python, "-c", script)).trim();
  if (version !== FIFTYONE_VERSION) {
    throw new Error(`${python} has FiftyOne ${version}; expected ${FIFTYONE_VERSION}`);
  }
}

async function execute(command: string, ...args: string[]): Promise<string> {
  try {
    return (await run(command, args, { timeout: INSTALL_LIMIT_MS })).stdout;
  } catch (error) {
    const shown = [command, ...args.slice(0, args[0] === "-m" ? 2 : 1)].join(" ");
    throw new Error(`${shown} failed: ${reasonOf(error)}`, { cause: error });
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** What a command said on its errors, or else at all (as venv does), or the error's message. */
function reasonOf(error: unknown): string {
  const { stderr = "", stdout = "" } = error as { stderr?: string; stdout?: string };
  const said = stderr.trim().split("\n").at(-1) || stdout.trim().replace(/\s+/g, " ").slice(0, SAID_LENGTH);
  return said || (error instanceof Error ? error.message : String(error));
}
