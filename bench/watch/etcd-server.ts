import { execFile } from "node:child_process";
import { access, constants, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { type Child, startChild } from "../children.js";

const run = promisify(execFile);
const PACKAGE = "etcd-server";
const DOWNLOAD_LIMIT_MS = 120_000;
const SERVING = "serving client traffic insecurely";

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** Debian's package, unpacked beside nothing else: only the program is kept. */
async function fetchTo(cache: string, path: string): Promise<void> {
  await mkdir(cache, { recursive: true });
  const directory = await mkdtemp(join(cache, "fetch-"));
  const limit = { cwd: directory, timeout: DOWNLOAD_LIMIT_MS };
  try {
    await run("apt-get", ["download", PACKAGE], limit);
    const archive = (await readdir(directory)).find((name) => name.endsWith(".deb"));
    if (archive === undefined) throw new Error(`apt-get fetched no ${PACKAGE}`);
    await run("dpkg-deb", ["--extract", archive, directory], limit);
    // In one step, so that another process sees all of it or nothing.
    await rename(join(directory, "usr/bin/etcd"), path);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The path of an etcd: the one on the PATH, else Debian's, which is fetched once into the user's cache. */
async function findEtcd(): Promise<string> {
  for (const directory of (process.env["PATH"] ?? "").split(delimiter).filter(Boolean)) {
    const path = join(directory, "etcd");
    if (await isExecutable(path)) return path;
  }
  const cache = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "execution-store");
  const path = join(cache, "etcd");
  if (!(await isExecutable(path))) await fetchTo(cache, path);
  return path;
}

function portIn(line: string): number | undefined {
  if (!line.includes(SERVING)) return undefined;
  const port = /"address":"127\.0\.0\.1:(\d+)"/.exec(line)?.[1];
  return port === undefined ? undefined : Number(port);
}

/** An etcd that serves, and what it is, for people. */
export interface EtcdServer {
  readonly child: Child;
  readonly description: string;
}

/** Starts an etcd of one member. Throws where there is none. */
export async function startEtcd(directory: string): Promise<EtcdServer> {
  const path = await findEtcd();
  const version = /etcd Version: (\S+)/.exec((await run(path, ["--version"])).stdout)?.[1] ?? "unknown";
  const client = "http://127.0.0.1:0";
  // Nobody ever calls the one member as a peer.
  const peer = "http://127.0.0.1:1";
  const args = [
    ["--data-dir", directory],
    ["--logger", "zap"],
    ["--listen-client-urls", client],
    ["--advertise-client-urls", client],
    ["--enable-grpc-gateway=false"],
    ["--listen-peer-urls", "http://127.0.0.1:0"],
    ["--initial-advertise-peer-urls", peer],
    ["--initial-cluster", `default=${peer}`],
  ];
  const child = await startChild("etcd", args.flat(), path, portIn);
  return { child, description: `etcd ${version}, ${path}` };
}
