import { lookup } from "node:dns/promises";
import { lstat, unlink } from "node:fs/promises";
import { connect, createServer, type ListenOptions } from "node:net";

/** Where a server listens: the target that gRPC takes, and how people write the address. */
export interface ListenAddress {
  readonly target: string;
  /** The address with the port that was bound in place of 0. */
  name(port: number): string;
}

const HOST_AND_PORT = /^(?<host>\[[0-9A-Fa-f:.%]+\]|[^:[\]/\s]+):(?<port>\d{1,5})$/;
/** Bytes of a socket's path that Linux and macOS both take. */
const MAX_SOCKET_PATH_BYTES = 103;

function systemCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

function inUse(address: string, cause?: unknown): Error {
  const problem = `cannot listen on ${address}, since another process does; stop it, or choose another address`;
  return new Error(problem, { cause });
}

function cannotListen(address: string, cause: unknown): Error {
  const problem = `cannot listen on ${address} (${systemCode(cause) ?? "unknown cause"}); choose another address`;
  return new Error(problem, { cause });
}

/** Listens for a moment, so that what is wrong with an address is known by its code and not by a text. */
function tryListening(options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen({ ...options, exclusive: true }, () => probe.close(() => resolve()));
  });
}

/** Throws if no address of a host can be listened on, or if any of them is in use. */
async function checkTcp(address: string, host: string, port: number): Promise<void> {
  const failures: unknown[] = [];
  let addresses: readonly { readonly address: string }[];
  try {
    addresses = await lookup(host, { all: true });
  } catch (error) {
    throw new Error(
      `cannot listen on ${address}, since its host is unknown; expected a name or address of this machine`,
      {
        cause: error,
      },
    );
  }
  for (const { address: ip } of addresses) {
    try {
      await tryListening({ host: ip, port });
    } catch (error) {
      if (systemCode(error) === "EADDRINUSE") throw inUse(address, error);
      failures.push(error);
    }
  }
  // A name such as localhost may stand for an address of a family that this machine does not have.
  if (failures.length < addresses.length) return;
  const [cause] = failures;
  throw new Error(
    `cannot listen on ${address} (${systemCode(cause) ?? "unknown cause"}); choose another address`,
    { cause },
  );
}

/** Whether a process answers on a socket. */
function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (alive: boolean): void => {
      socket.destroy();
      resolve(alive);
    };
    socket.once("connect", () => end(true));
    // Anything but a refusal (such as a missing permission, or a full queue) may have a process behind it.
    socket.once("error", (error) =>
      end(systemCode(error) !== "ECONNREFUSED" && systemCode(error) !== "ENOENT"),
    );
  });
}

/** Makes room for a socket: removes the file that a dead server left. Throws if a process listens there. */
async function clearSocket(address: string, path: string): Promise<void> {
  const stats = await lstat(path).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return undefined;
    throw new Error(`cannot listen on ${address}, since its path cannot be read; choose another path`, {
      cause: error,
    });
  });
  if (stats === undefined) return;
  if (!stats.isSocket()) {
    throw new Error(
      `cannot listen on ${address}, since the path is no socket; remove it, or choose another path`,
    );
  }
  if (await isAlive(path)) throw inUse(address);
  await unlink(path);
}

/**
 * Reads `HOST:PORT` (port 0: a free one), `unix:/absolute/path` or `unix:///absolute/path`, and sees that it is free.
 * A socket left by a dead server is removed.
 *
 * Throws an Error with one sentence for people; its `cause` is the system's error where there is one.
 */
export async function prepareListenAddress(address: string): Promise<ListenAddress> {
  if (address.startsWith("unix:")) {
    const path = address.slice("unix:".length).replace(/^\/\/(?=\/)/, "");
    if (!path.startsWith("/") || path.startsWith("//") || path.includes("\0")) {
      throw new Error(
        `${address} is no address to listen on; expected an absolute path, such as unix:/run/store.sock`,
      );
    }
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
      throw new Error(
        `${address} is no address to listen on; expected a path of at most ${MAX_SOCKET_PATH_BYTES} bytes`,
      );
    }
    await clearSocket(address, path);
    await tryListening({ path }).catch((error: unknown) => {
      throw cannotListen(address, error);
    });
    return { target: `unix://${path}`, name: () => address };
  }
  const { host, port } = HOST_AND_PORT.exec(address)?.groups ?? {};
  if (host === undefined || port === undefined || Number(port) > 65_535) {
    throw new Error(
      `${address} is no address to listen on; expected HOST:PORT, [IPV6]:PORT or unix:/absolute/path`,
    );
  }
  await checkTcp(address, host.replace(/^\[|\]$/g, ""), Number(port));
  return { target: address, name: (bound) => `${host}:${bound}` };
}
