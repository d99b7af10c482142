import { invalidField, type StoreError } from "../store/errors.js";
import { DEFAULT_ADDRESS } from "../store/limits.js";

/** Where a server is, as gRPC takes it. */
export interface Address {
  /** What the user wrote, for messages. */
  readonly label: string;
  /** The target of a gRPC channel. */
  readonly target: string;
  /** Whether it is this machine, which no HTTP proxy leads to. */
  readonly local: boolean;
}

const HOST_PORT = /^(?<host>\[[0-9a-fA-F:.%]+\]|[^:/\s[\]@]+):(?<port>[0-9]{1,5})$/;
const GRPC_TARGET = /^(?:dns|ipv4|ipv6):\S+$/;
const LOOPBACK = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])$/i;

function addressError(problem: string): StoreError {
  return invalidField(
    "CLIENT_OPTION_INVALID",
    "address",
    `${problem}; expected HOST:PORT such as ${DEFAULT_ADDRESS}, or unix:/PATH`,
  );
}

/** Takes an address apart. Throws StoreError CLIENT_OPTION_INVALID. */
export function parseAddress(text: string): Address {
  if (typeof text !== "string" || text === "") throw addressError("is empty");
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length).replace(/^\/{2}(?=\/)/, "");
    if (path.startsWith("//"))
      throw addressError("has two slashes after unix:, which would make a host of the path");
    if (path === "") throw addressError("has no path after unix:");
    return { label: text, target: `unix:${path}`, local: true };
  }
  if (GRPC_TARGET.test(text)) return { label: text, target: text, local: false };
  if (/^[a-z]+:\/\//i.test(text))
    throw addressError("is a URL; leave the part up to :// out (TLS is the option tls)");
  const { host, port } = HOST_PORT.exec(text)?.groups ?? {};
  if (host === undefined || port === undefined) throw addressError("has no host or no port");
  if (Number(port) < 1 || Number(port) > 65_535) throw addressError("has a port outside 1 to 65535");
  // The scheme is said, so that no host name is taken for one.
  return { label: text, target: `dns:${text}`, local: LOOPBACK.test(host) };
}
