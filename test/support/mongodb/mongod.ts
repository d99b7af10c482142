import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { createInterface } from "node:readline";
import { freePort } from "../free-port.js";
import type { Guardian } from "../guardian.js";
import { until } from "../until.js";

/** The log's id of "Waiting for connections". */
const LISTENING = 23016;
const START_LIMIT_MS = 60_000;
const KEPT_LINES = 40;

/** Arguments for many short-lived processes on one machine, which remove what has expired every second. */
export const FRUGAL = [
  // With less, a value of 15 MiB over another one, with both images, does not fit beside other tests' writes.
  "--wiredTigerCacheSizeGB=0.5",
  "--setParameter=ttlMonitorSleepSecs=1",
  "--setParameter=diagnosticDataCollectionEnabled=false",
];

/** How a mongod is started. */
export interface MongodOptions {
  /** The path of the program. */
  readonly binary: string;
  /** Made if it is missing; keeps the data between two starts. */
  readonly dataPath: string;
  /** @default one that is free, and stays so between an end and a new start */
  readonly port?: number;
  /** The name of the replica set. @default a standalone */
  readonly replicaSet?: string;
  /** More arguments. @default none */
  readonly args?: readonly string[];
  /** Ends the process when the tests end. */
  readonly guardian: Guardian;
}

/** A mongod that takes connections. */
export interface Mongod {
  readonly port: number;
  /** Sends the signal; SIGKILL and SIGTERM: waits for the end; SIGSTOP: until it stands still. */
  signal(name: NodeJS.Signals): Promise<void>;
  /** Whether the process is there, be it stopped. */
  readonly running: boolean;
}

/** Starts a mongod and waits until it listens. Throws with the end of its log if it does not. */
export async function startMongod(options: MongodOptions): Promise<Mongod> {
  const { binary, dataPath, port = await freePort(), replicaSet, args = [], guardian } = options;
  await mkdir(dataPath, { recursive: true });
  const child = spawn(
    binary,
    [
      `--dbpath=${dataPath}`,
      `--port=${port}`,
      "--bind_ip=127.0.0.1",
      "--nounixsocket",
      ...FRUGAL,
      ...(replicaSet === undefined ? [] : [`--replSet=${replicaSet}`, ...defaultOplog(args)]),
      ...args,
    ],
    // A session of its own: Ctrl-C in the terminal must leave it to the guardian, after the tests.
    { detached: true, stdio: ["ignore", "pipe", "pipe"] },
  );
  guardian.ownProcess(child);
  child.unref();
  const boundPort = await listening(child);
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return {
    port: boundPort,
    get running() {
      return !ended();
    },
    signal: async (name) => {
      if (ended()) return;
      const exit = name === "SIGKILL" || name === "SIGTERM" ? once(child, "exit") : undefined;
      child.kill(name);
      await exit;
      if (name === "SIGSTOP") await until(() => isStopped(child.pid), "it stands still");
    },
  };
}

/** Whether all threads have stopped: they do one after another, and one that runs still may answer a command. */
function isStopped(pid: number | undefined): boolean {
  const tasks = `/proc/${pid}/task`;
  // Other systems do not tell.
  if (!existsSync(tasks)) return true;
  return readdirSync(tasks).every((task) => /\) T /.test(readFileSync(`${tasks}/${task}/stat`, "utf8")));
}

/** The vendor's own default would be a part of the disk. */
function defaultOplog(args: readonly string[]): readonly string[] {
  return args.some((arg) => arg.startsWith("--oplogSize")) ? [] : ["--oplogSize=1024"];
}

/** Reads the log, all the time since a full pipe would stop the process, until it says the port. */
function listening(child: ChildProcess): Promise<number> {
  const last: string[] = [];
  return new Promise((resolve, reject) => {
    const fail = (what: string): void => reject(new Error(`mongod ${what}:\n${last.join("\n")}`));
    const limit = setTimeout(() => {
      child.kill("SIGKILL");
      fail(`did not listen within ${START_LIMIT_MS} ms`);
    }, START_LIMIT_MS);
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      clearTimeout(limit);
      fail(`ended with ${signal ?? code} before it listened`);
    });
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on("line", (line) => {
        last.push(line);
        if (last.length > KEPT_LINES) last.shift();
        const port = portIn(line);
        if (port === undefined) return;
        clearTimeout(limit);
        resolve(port);
      });
    }
  });
}

function portIn(line: string): number | undefined {
  if (!line.includes(`"id":${LISTENING}`)) return undefined;
  const { attr } = JSON.parse(line) as { attr: { port: number } };
  return attr.port;
}
