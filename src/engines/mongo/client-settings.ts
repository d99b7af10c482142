import { MongoClient, type MongoClientOptions } from "mongodb";
import { StoreError } from "../../store/errors.js";

/** Calls that the engine makes at once, unless the URI's maxPoolSize says otherwise. */
const POOL_SIZE = 64;
/**
 * How long a replica set may take to elect a primary before calls are refused at once, in milliseconds. The driver
 * itself waits that long to repeat a call that the old primary did not answer.
 */
const ELECTION_MS = 20_000;
/** How long the server may work on one command, in milliseconds. */
export const MAX_TIME_MS = 30_000;

/** What holds unless the URI says otherwise. */
const DEFAULTS: MongoClientOptions = {
  appName: "execution-store",
  maxPoolSize: POOL_SIZE,
  // Together they bound how long a frozen server goes unnoticed: its monitor hears from it every second, and gives
  // it up, with all calls that wait for it, after four.
  heartbeatFrequencyMS: 1_000,
  connectTimeoutMS: 3_000,
  serverSelectionTimeoutMS: ELECTION_MS,
  waitQueueTimeoutMS: 10_000,
  // A connection that a firewall forgot is silent for ever: nothing else bounds the wait for an answer.
  socketTimeoutMS: MAX_TIME_MS + 10_000,
};

/** A client, not connected, and what its URI says besides. */
export interface ClientSettings {
  readonly client: MongoClient;
  readonly database: string;
  readonly poolSize: number;
}

/**
 * Reads a URI and makes a client of it.
 *
 * @param overrides options that win over the URI's
 * @throws StoreError DATABASE_URI_INVALID, whose message repeats neither user nor password
 */
export function clientOf(
  uri: string,
  defaultDatabase: string,
  overrides: MongoClientOptions = {},
): ClientSettings {
  const given = new Set(Array.from(parametersOf(uri).keys(), (name) => name.toLowerCase()));
  const options = Object.fromEntries(
    Object.entries(DEFAULTS).filter(([name]) => !given.has(name.toLowerCase())),
  );
  // The engine makes reads again itself, once a new primary has shown that it is one.
  options["retryReads"] = false;
  const client = parse(uri, { ...options, ...overrides });
  checkConsistency(client);
  checkServiceability(client);
  const { dbName, maxPoolSize } = client.options;
  return {
    client,
    // The driver's own default is "test".
    database: namesDatabase(uri) ? dbName : defaultDatabase,
    poolSize: maxPoolSize === 0 ? POOL_SIZE : maxPoolSize,
  };
}

function parametersOf(uri: string): URLSearchParams {
  return new URLSearchParams(/\?(.*)$/s.exec(uri)?.[1] ?? "");
}

function namesDatabase(uri: string): boolean {
  return /^[^/]*\/\/[^/?]*\/[^?]/.test(uri);
}

function parse(uri: string, options: MongoClientOptions): MongoClient {
  try {
    return mendTopologyVersions(new MongoClient(uri, options));
  } catch (error) {
    throw invalid(detailOf(error, uri));
  }
}

/**
 * When a command with a raw reply is refused, as at an election, driver 7.9.0 keeps bytes where the topology version of
 * the server should be, and its next comparison of versions throws a TypeError.
 */
function mendTopologyVersions(client: MongoClient): MongoClient {
  return client.on("serverDescriptionChanged", ({ newDescription }) => {
    if (Buffer.isBuffer(newDescription.topologyVersion)) newDescription.topologyVersion = null;
  });
}

function invalid(problem: string): StoreError {
  return new StoreError("DATABASE_URI_INVALID", problem);
}

/** The driver's words, which name an option; unless they repeat what may be secret. */
function detailOf(error: unknown, uri: string): string {
  const text = error instanceof Error ? error.message : "";
  const authority = /^[^/]*\/\/(.*)@/s.exec(uri)?.[1];
  // What stands between "//" and "@" is masked where this is shown, so the hint has none of that.
  const hint =
    "expected mongodb://HOST:PORT/DATABASE?OPTION=VALUE, with USER:PASSWORD@ before HOST if it wants a user, and special characters percent-encoded";
  if (text === "" || (authority !== undefined && repeats(text, authority))) return `is malformed; ${hint}`;
  return `is malformed: ${text.replaceAll(/\s+/g, " ").replace(/[.;]$/, "")}; ${hint}`;
}

function repeats(text: string, authority: string): boolean {
  const parts = [authority, ...authority.split(/[:@/]/)].filter((part) => part.length > 0);
  return parts.some((part) => text.includes(part) || text.includes(decoded(part)));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Refuses what would make acknowledged writes be lost, or reads be stale. */
function checkConsistency({ options }: MongoClient): void {
  const { readPreference, readConcern, writeConcern, retryWrites } = options;
  if (readPreference.mode !== "primary") {
    throw weakening(`readPreference=${readPreference.mode}`, "reads from other members may be stale");
  }
  if (readConcern?.level !== undefined && readConcern.level !== "majority") {
    throw weakening(`readConcernLevel=${readConcern.level}`, "reads are made with majority");
  }
  if (writeConcern?.w !== undefined && writeConcern.w !== "majority") {
    throw weakening(
      `w=${writeConcern.w}`,
      "every write is acknowledged by a majority, lest a failover lose it",
    );
  }
  if (writeConcern?.journal === false) {
    throw weakening("journal=false", "every write is on disk before it is acknowledged");
  }
  if (!retryWrites) {
    throw weakening("retryWrites=false", "it would leave the outcome of writes unknown at every failover");
  }
}

/** Refuses what the driver would refuse later, or what this service cannot work with. */
function checkServiceability({ options }: MongoClient): void {
  const { loadBalanced, maxPoolSize, minPoolSize } = options;
  if (loadBalanced) {
    throw invalid(
      "has loadBalanced=true, but a load balancer hides which server is the primary; remove it, and name the servers themselves",
    );
  }
  if (maxPoolSize !== 0 && minPoolSize > maxPoolSize) {
    throw invalid(
      `has minPoolSize=${minPoolSize}, but at most ${maxPoolSize} connections are made; lower it, or raise maxPoolSize`,
    );
  }
}

function weakening(setting: string, why: string): StoreError {
  return invalid(`has ${setting}, but ${why}; remove it from the URI`);
}
