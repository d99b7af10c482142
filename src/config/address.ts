import { BlockList, isIP } from "node:net";
import { resolve } from "node:path";
import { DEFAULT_ADDRESS } from "../store/limits.js";
import { InvalidValue } from "./invalid-value.js";
import { quote } from "./quote.js";

/** Where a server listens. */
export interface Address {
  /** `HOST:PORT` (IPv6 in brackets) or `unix:/absolute/path`. */
  readonly text: string;
  /** Whether only this machine can reach it. */
  readonly local: boolean;
}

const HINT = `expected HOST:PORT, such as ${DEFAULT_ADDRESS} or [::1]:50051, or unix:PATH`;
/** What sockaddr_un holds on the systems with the smallest one (104 bytes with the closing NUL). */
const MAX_SOCKET_PATH_BYTES = 103;

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Reads `HOST:PORT` or `unix:PATH`; a relative socket path is taken from the working directory. Throws InvalidValue. */
export function parseAddress(text: string): Address {
  if (text.startsWith("unix:")) return parseSocketPath(text);
  const { host, bare, portText } = split(text);
  const port = Number(portText);
  if (port > 65_535) {
    throw new InvalidValue(`${quote(text)} has the port ${portText}; expected 0 to 65535`);
  }
  return { text: `${host}:${port}`, local: isLoopback(bare) };
}

function parseSocketPath(text: string): Address {
  const given = text.slice("unix:".length);
  if (given === "" || (given.startsWith("//") && !given.startsWith("///")) || given.includes("\0")) {
    throw new InvalidValue(
      `${quote(text)} names no socket file; expected unix:PATH, such as unix:/run/execution-store.sock`,
    );
  }
  const path = resolve(given);
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    throw new InvalidValue(
      `${quote(text)} has a path of ${Buffer.byteLength(path)} bytes; expected at most ${MAX_SOCKET_PATH_BYTES}, so choose a shorter one`,
    );
  }
  return { text: `unix:${path}`, local: true };
}

function split(text: string): { host: string; bare: string; portText: string } {
  const [, host, portText] = /^(\[[^\]]*\]|[^\s:[\]/@]+):(\d{1,5})$/.exec(text) ?? [];
  if (host === undefined || portText === undefined) {
    // What stands before an "@" may be a password.
    const shown = text.replace(/^.*@/s, "***@");
    throw new InvalidValue(`${JSON.stringify(shown)} is not an address; ${HINT}`);
  }
  const bracketed = host.startsWith("[");
  const bare = bracketed ? host.slice(1, -1) : host;
  if (bracketed && isIP(bare) !== 6) {
    throw new InvalidValue(`${quote(text)} has no IPv6 address in its brackets; ${HINT}`);
  }
  return { host, bare, portText };
}

function isLoopback(host: string): boolean {
  const family = isIP(host);
  // Only the reserved name counts besides addresses: any other name may lead elsewhere tomorrow.
  if (family === 0) return host.toLowerCase() === "localhost";
  return loopback.check(host, family === 4 ? "ipv4" : "ipv6");
}
