import { randomBytes } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import { databaseUri } from "../../test/support/mongodb/database-uri.js";
import { findMongodb } from "../../test/support/mongodb/find-mongodb.js";
import type { Child } from "../children.js";
import type { EngineName } from "../options.js";
import { type ProbedServer, startProbedServer } from "./probed-server.js";
import type { WatchBenchOptions } from "./watch-options.js";

/** Where the measured servers of one engine keep documents. */
export interface Deployment {
  readonly engine: EngineName;
  /** What it is, for people; undefined for the embedded engine. */
  readonly description: string | undefined;
  /** For whatever the measurements leave. */
  readonly directory: string;
  /** The database on MongoDB. */
  readonly database: { readonly uri: string; readonly name: string } | undefined;
  /** Holds watches of any server. */
  readonly watchProcesses: readonly Child[];
  /** Starts a server, by default on the one database of MongoDB, or on a new one of LMDB. */
  start(): Promise<ProbedServer>;
  /** Where to write the profile of a measurement; undefined if there is to be none. */
  profileFile(measurement: string): string | undefined;
  close(): Promise<void>;
}

async function drop(uri: string): Promise<void> {
  await using client = new MongoClient(uri);
  await client.db().dropDatabase();
}

function print(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function findDatabase(directory: string): Promise<{
  readonly database: { readonly uri: string; readonly name: string };
  readonly description: string;
  close(): Promise<void>;
}> {
  const found = await findMongodb(process.env, print, directory);
  const name = `execution_store_bench_${randomBytes(4).toString("hex")}`;
  const uri = databaseUri(found.uri, name);
  if (!found.temporary) print(`the database is ${name}; it is left if this is interrupted`);
  return {
    database: { uri, name },
    description: found.description,
    close: async () => {
      if (!found.temporary) await drop(uri);
      await found.close();
    },
  };
}

/** Makes ready what the measurements of one engine need. */
export async function openDeployment(
  engine: EngineName,
  options: WatchBenchOptions,
  directory: string,
  watchProcesses: readonly Child[],
): Promise<Deployment> {
  const found = engine === "mongodb" ? await findDatabase(options.directory) : undefined;
  return {
    engine,
    description: found?.description,
    directory,
    database: found?.database,
    watchProcesses,
    start: () => {
      const place = mkdtempSync(join(directory, "server-"));
      const uri = found === undefined ? `lmdb:${join(place, "lmdb")}` : found.database.uri;
      return startProbedServer(options.server, uri, place);
    },
    profileFile: (measurement) =>
      options.profiles && join(options.profiles, `${engine}-${measurement}.cpuprofile`),
    close: async () => found?.close(),
  };
}
