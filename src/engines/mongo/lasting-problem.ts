import {
  MongoError,
  MongoInvalidArgumentError,
  MongoMissingDependencyError,
  type MongoOptions,
} from "mongodb";
import { CODES, isRefused, serverCode } from "./errors.js";
import { hostsOf, refusal, systemCode } from "./unreachable-reason.js";

/** What the system says of a file that cannot be read. */
const FILE_CODES: ReadonlySet<unknown> = new Set(["ENOENT", "EACCES", "EPERM", "EISDIR", "ENOTDIR", "ELOOP"]);
const FILE_OPTIONS = ["tlsCAFile", "tlsCertificateKeyFile", "tlsCRLFile"] as const;

/**
 * What no wait mends about an attempt to connect that failed, as a sentence for the operator; undefined if waiting
 * may help.
 */
export function lastingProblem(error: unknown, options: MongoOptions): string | undefined {
  const hosts = hostsOf(options);
  if (isRefused(error)) {
    return serverCode(error) === CODES.mechanismUnavailable
      ? `MongoDB at ${hosts} does not allow authMechanism=${options.credentials?.mechanism}; name another in the URI`
      : `MongoDB at ${refusal(hosts)}`;
  }
  const missing = missingPackage(error);
  if (missing !== undefined) {
    return `the URI of MongoDB at ${hosts} asks for ${missing}, which is not installed; install it, or remove the option that asks for it (authMechanism, compressors or proxyHost)`;
  }
  if (error instanceof MongoInvalidArgumentError) {
    return `the URI of MongoDB at ${hosts} has options that do not go together${inWords(error, options)}; correct them`;
  }
  return fileProblem(error, options);
}

function missingPackage(error: unknown): string | undefined {
  if (error instanceof MongoMissingDependencyError) return error.dependencyName;
  return error instanceof Error ? missingPackage(error.cause) : undefined;
}

/** The driver's words, which name an option; unless they repeat a secret. */
function inWords({ message }: Error, { credentials }: MongoOptions): string {
  const secrets = [credentials?.password, credentials?.username].filter((text) => text !== undefined);
  return secrets.some((text) => text !== "" && message.includes(text)) ? "" : ` (${message})`;
}

function fileProblem(error: unknown, options: MongoOptions): string | undefined {
  const code = systemCode(error);
  const named = FILE_OPTIONS.filter((name) => options[name] !== undefined);
  // The driver wraps what it meets at a server, such as a socket's file that is not there yet.
  if (!FILE_CODES.has(code) || error instanceof MongoError || named.length === 0) return undefined;
  const path = error instanceof Error && "path" in error ? error.path : undefined;
  const culprit = named.filter((name) => options[name] === path);
  const names = culprit.length > 0 ? culprit : named;
  const what = names.map((name) => `${name}=${options[name]}`).join(" or ");
  return `the file of ${what} in the URI cannot be read (${code}); correct its name, or let this server read it`;
}
