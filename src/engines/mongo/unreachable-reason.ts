import type { MongoOptions, ServerDescription, TopologyDescription } from "mongodb";

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

/** Why an error keeps the driver from a server, by the system's code. */
export function failureReason(host: string, error: unknown): string {
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
      return `${host} does not answer`;
    default:
      return /CERT|SIGNATURE|ISSUER|TLS|SSL|EPROTO/.test(code)
        ? `no TLS connection to ${host} can be made (${code}); check the tls settings in the URI and the certificates`
        : `the connection to ${host} fails (${code})`;
  }
}

function failureOf({ address, error }: ServerDescription): string {
  return failureReason(address, error);
}

/** The system's code of an error, or of what caused it. */
function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return "code" in error && typeof error.code === "string" ? error.code : systemCode(error.cause);
}
