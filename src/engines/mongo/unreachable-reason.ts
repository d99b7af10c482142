import {
  MongoError,
  MongoNetworkError,
  MongoNetworkTimeoutError,
  type MongoOptions,
  MongoServerError,
  type ServerDescription,
  type TopologyDescription,
} from "mongodb";
import { isRefused, serverCode } from "./errors.js";

/** Where the driver was told to look, without any secret. */
export function hostsOf(options: MongoOptions): string {
  return options.srvHost ?? options.hosts.join(", ");
}

/**
 * Why a topology has no primary, as the end of a sentence: what was found, and what to do if that is known. Undefined
 * while nothing is known.
 */
export function unreachableReason(
  description: TopologyDescription,
  options: MongoOptions,
): string | undefined {
  const servers = [...description.servers.values()];
  // The driver leaves out who belongs to another replica set than the one asked for.
  if (servers.length === 0 && description.type === "ReplicaSetNoPrimary") {
    const name = JSON.stringify(options.replicaSet ?? description.setName);
    return `no member of a replica set ${name} was found; check replicaSet in the URI`;
  }
  if (servers.some(({ type }) => type === "RSGhost")) {
    return "the replica set is not initiated; run rs.initiate() on it";
  }
  const failures = servers.filter(({ error }) => error !== null).map(failureOf);
  const answers = servers.some(({ type }) => type.startsWith("RS"));
  const what = answers ? ["the replica set has no primary", ...failures] : failures;
  return what.length > 0 ? [...new Set(what)].join("; ") : undefined;
}

/** Why an error keeps the driver from a server, by its type and its code, or the system's. */
export function failureReason(host: string, error: unknown): string {
  if (isRefused(error)) return refusal(host);
  const code = systemCode(error);
  switch (code) {
    case "ENOTFOUND":
    case "ENODATA":
    case "EAI_AGAIN":
    case "ESERVFAIL":
      return `the name of ${host} does not resolve; check its spelling`;
    case "ECONNREFUSED":
      return `${host} refuses connections`;
    case "ECONNRESET":
    case "EPIPE":
      return `${host} closes connections`;
    case "ENETUNREACH":
    case "EHOSTUNREACH":
      return `no route leads to ${host}`;
    case undefined:
      return withoutSystemCode(host, error);
    default:
      return /CERT|SIGNATURE|ISSUER|TLS|SSL|EPROTO/.test(code)
        ? `no TLS connection to ${host} can be made (${code}); check the tls settings in the URI and the certificates`
        : `the connection to ${host} fails (${code})`;
  }
}

/** What a server does that lets the user not in. */
export function refusal(host: string): string {
  return `${host} refuses the user or its password; check both, and authSource, in the URI`;
}

function withoutSystemCode(host: string, error: unknown): string {
  if (error instanceof MongoServerError) {
    const { codeName } = error;
    return `${host} answers with error ${serverCode(error) ?? "without a code"}${typeof codeName === "string" ? ` (${codeName})` : ""}`;
  }
  if (error instanceof MongoNetworkTimeoutError) return `${host} does not answer`;
  if (error instanceof MongoNetworkError) return `${host} closes connections`;
  return error instanceof MongoError
    ? `no connection to ${host} can be made (${error.name})`
    : `${host} does not answer`;
}

function failureOf({ address, error }: ServerDescription): string {
  return failureReason(address, error);
}

/** The system's code of an error, or of what caused it. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return "code" in error && typeof error.code === "string" ? error.code : systemCode(error.cause);
}
