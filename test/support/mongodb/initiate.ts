import { MongoClient } from "mongodb";
import { until } from "../until.js";

const START_LIMIT_MS = 60_000;

/** One member of a replica set to be, as its own configuration has it. */
export interface MemberConfig {
  readonly _id: number;
  readonly host: string;
}

/** How a new replica set is configured. */
export interface SetConfig {
  readonly _id: string;
  readonly members: readonly MemberConfig[];
  readonly settings?: { readonly electionTimeoutMillis: number; readonly heartbeatIntervalMillis: number };
}

/** Makes a replica set of running processes, through the member at `uri`. */
export async function initiate(uri: string, config: SetConfig): Promise<void> {
  await using client = new MongoClient(uri, { serverSelectionTimeoutMS: START_LIMIT_MS });
  await client.db("admin").command({ replSetInitiate: config });
}

/** As `initiate` does for a set of one, and waits until it can be written to. */
export async function initiateSingle(uri: string, host: string): Promise<void> {
  await initiate(uri, { _id: "rs0", members: [{ _id: 0, host }] });
  await using client = new MongoClient(uri, { serverSelectionTimeoutMS: START_LIMIT_MS });
  await until(
    async () => (await client.db("admin").command({ hello: 1 }))["isWritablePrimary"] === true,
    "the new replica set has its primary",
    START_LIMIT_MS,
  );
}
