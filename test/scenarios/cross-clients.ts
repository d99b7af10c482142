import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { ExecutionStoreService } from "execution-store";
import { preparePythonTools } from "../../scripts/python-tools.js";
import { type Part, readLeftOut } from "../support/left-out.js";
import { type Read, readNatives, type Written, writeNatives } from "./cross-values.js";

const run = promisify(execFile);

/** A client in one encoding. */
export interface CrossClient {
  /** As values.json names it. */
  readonly id: string;
  /** As the table names it. */
  readonly title: string;
  /** Writes what it has for the values into a store. */
  write(address: string, storeName: string): Promise<Written>;
  /** Reads stores, by name. */
  read(address: string, storeNames: readonly string[]): Promise<Readonly<Record<string, Read>>>;
}

/** What a part of the tests needs, once prepared; to be taken down after them. */
export interface CrossClients {
  readonly clients: readonly CrossClient[];
  close(): Promise<void>;
}

/** Every client whose language is not left out. Builds and installs what they need. */
export async function prepareClients(environment: NodeJS.ProcessEnv): Promise<CrossClients> {
  const leftOut: ReadonlySet<Part> = readLeftOut(environment);
  const directory = await mkdtemp(join(tmpdir(), "execution-store-"));
  const clients: CrossClient[] = [typescript];
  if (!leftOut.has("python")) {
    const program = [await preparePythonTools(), "clients/python/tests/cross_language.py"];
    const env = { ...environment, PYTHONPATH: resolve("clients/python/src") };
    clients.push(programClient("python", "Python", [...program, "bson"], env));
    clients.push(programClient("python-json", "Python without pymongo", [...program, "json"], env));
  }
  if (!leftOut.has("go")) {
    const program = join(directory, "crosslanguage");
    await run("go", ["build", "-o", program, "./internal/crosslanguage"], { cwd: "clients/go" });
    clients.push(programClient("go", "Go", [program, "bson"], environment));
    clients.push(programClient("go-json", "Go, as JSON", [program, "json"], environment));
  }
  return { clients, close: () => rm(directory, { recursive: true, force: true }) };
}

const typescript: CrossClient = {
  id: "typescript",
  title: "TypeScript",
  async write(address, storeName) {
    await using service = new ExecutionStoreService({ address });
    return await writeNatives(service, storeName);
  },
  async read(address, storeNames) {
    await using service = new ExecutionStoreService({ address });
    const read: Record<string, Read> = {};
    for (const name of storeNames) read[name] = await readNatives(service, name);
    return read;
  },
};

/** A program that takes an encoding, "write" or "read", the server's address and stores, and prints a report. */
function programClient(
  id: string,
  title: string,
  [command = "", ...args]: readonly string[],
  env: NodeJS.ProcessEnv,
): CrossClient {
  async function report(...rest: readonly string[]): Promise<unknown> {
    const { stdout } = await run(command, [...args, ...rest], { env, timeout: 60_000, maxBuffer: 2 ** 26 });
    return JSON.parse(stdout);
  }
  return {
    id,
    title,
    write: (address, storeName) => report("write", address, storeName) as Promise<Written>,
    read: (address, names) => report("read", address, ...names) as Promise<Record<string, Read>>,
  };
}
