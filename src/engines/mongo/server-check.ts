import type { MongoClient, ServerDescription } from "mongodb";
import { StoreError } from "../../store/errors.js";
import type { MongoEvent } from "./connection.js";
import { hostsOf } from "./unreachable-reason.js";

/** The wire version of MongoDB 6.0, and the versions before it by theirs. */
const WIRE_VERSION_6_0 = 17;
const OLDER: Readonly<Record<number, string>> = { 9: "4.4", 13: "5.0", 14: "5.1", 15: "5.2", 16: "5.3" };

/**
 * Checks a server that was found, and tells of what it cannot do.
 *
 * @returns whether it is part of a replica set or of a sharded cluster, and whether of the latter
 * @throws StoreError DATABASE_UNUSABLE
 */
export function checkServer(
  client: MongoClient,
  server: ServerDescription,
  onEvent: (event: MongoEvent) => void,
): { readonly replicated: boolean; readonly sharded: boolean } {
  const hosts = hostsOf(client.options);
  if (server.maxWireVersion < WIRE_VERSION_6_0) throw tooOld(hosts, OLDER[server.maxWireVersion]);
  if (client.options.directConnection && isOneOfSeveral(server)) throw oneOfSeveral(hosts);
  const replicated = server.type !== "Standalone";
  if (!replicated) {
    onEvent({
      level: "warn",
      message:
        `MongoDB at ${hosts} is a standalone: calls fail while it is away, writes cut off by that have an unknown ` +
        `outcome, and keys cannot be watched; convert it to a replica set (of one member, too) to mend that`,
    });
  }
  return { replicated, sharded: server.type === "Mongos" };
}

/** A server that lacks what the service relies on. */
export function tooOld(hosts: string, found: string | undefined): StoreError {
  const what = found === undefined ? "older" : `version ${found}`;
  return new StoreError(
    "DATABASE_UNUSABLE",
    `MongoDB at ${hosts} is ${what}; expected 6.0 or newer, so upgrade it or name another`,
  );
}

function isOneOfSeveral({ hosts, passives }: ServerDescription): boolean {
  return hosts.length + passives.length > 1;
}

function oneOfSeveral(hosts: string): StoreError {
  return new StoreError(
    "DATABASE_UNUSABLE",
    `the URI of MongoDB at ${hosts} has directConnection=true, but the replica set has other members, and reads from ` +
      `this one would be stale once another is primary; remove it from the URI`,
  );
}
