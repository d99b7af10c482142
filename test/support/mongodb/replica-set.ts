import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Document, MongoClient, type ObjectId } from "mongodb";
import { Guardian } from "../guardian.js";
import { until } from "../until.js";
import { initiate } from "./initiate.js";
import { type Mongod, startMongod } from "./mongod.js";
import { findMongod } from "./mongod-binary.js";

const SET = "rs0";
const READY_LIMIT_MS = 60_000;
/** How long a member that is frozen is waited for. */
const ANSWER_LIMIT_MS = 1000;
/** Who administers a deployment with authentication. */
const ROOT = { name: "root", password: "root-secret" };

/** A user to make, in the database `admin`. */
export interface TestUser {
  readonly name: string;
  readonly password: string;
  /** As createUser takes them. */
  readonly roles: readonly { readonly role: string; readonly db: string }[];
}

/** How a deployment is started. */
export interface DeploymentOptions {
  /** With it, connections need a user: one of these, or the root that `uri` has. @default no authentication */
  readonly users?: readonly TestUser[];
  /** More arguments for every mongod. @default none */
  readonly args?: readonly string[];
}

/** How a replica set is started. */
export interface ReplicaSetOptions extends DeploymentOptions {
  /** @default 3 */
  readonly members?: number;
  /** How long members miss their primary before they elect another. @default 1000 */
  readonly electionTimeoutMs?: number;
}

/** One mongod, which can be killed, frozen and started again on its port with its data. */
export interface Member {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  readonly port: number;
  /** Of this member alone, with directConnection. */
  readonly uri: string;
  /** Ends it, by default with no chance to tidy up, and waits until it has ended. */
  kill(signal?: "SIGKILL" | "SIGTERM"): Promise<void>;
  /** Stops it where it is: connections stay open, and nothing answers. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Starts it again after its end. */
  restart(): Promise<void>;
}

/** A mongod that belongs to no replica set, as FiftyOne's own. */
export interface TestStandalone extends Member, AsyncDisposable {
  /** The URI for one of `users`. */
  uriFor(user: Pick<TestUser, "name" | "password">): string;
  close(): Promise<void>;
}

/** A replica set of real processes on this machine. Goes with the process that started it, however that ends. */
export interface TestReplicaSet extends AsyncDisposable {
  /** Of all members; as root where there is authentication. */
  readonly uri: string;
  readonly members: readonly Member[];
  /** The URI for one of `users`. */
  uriFor(user: Pick<TestUser, "name" | "password">): string;
  /** The primary of the latest election; undefined while there is none. */
  primary(): Promise<Member | undefined>;
  /** Waits for a primary; with `other`, for another one than that. */
  waitForPrimary(other?: Member): Promise<Member>;
  /** Waits until every member is primary or secondary. */
  waitForMembers(): Promise<void>;
  /** Has the primary step down in an orderly way, and answers it. It does not become primary again for 10 s. */
  stepDown(): Promise<Member>;
  /** Ends all members and removes their data. Idempotent. */
  close(): Promise<void>;
}

/** Starts a mongod outside of any replica set. */
export async function startStandalone(options: DeploymentOptions = {}): Promise<TestStandalone> {
  const deployment = await openDeployment(options, undefined);
  try {
    const member = await deployment.start(0);
    const uriFor = (user: Pick<TestUser, "name" | "password">): string => uriOf([member], user, "");
    await makeUsers(member, options);
    const close = (): Promise<void> => deployment.guardian.close();
    return Object.assign(member, { uriFor, close, [Symbol.asyncDispose]: close });
  } catch (error) {
    await deployment.guardian.close();
    throw error;
  }
}

/** Starts a replica set and waits until every member takes part. */
export async function startReplicaSet(options: ReplicaSetOptions = {}): Promise<TestReplicaSet> {
  const { members: count = 3, electionTimeoutMs = 1000 } = options;
  const deployment = await openDeployment(options, SET);
  try {
    const indexes = Array.from({ length: count }, (_, index) => index);
    const members = await Promise.all(indexes.map((index) => deployment.start(index)));
    const set = replicaSetOf(members, options, deployment.guardian);
    const [first] = members;
    if (first === undefined) throw new Error("a replica set has at least one member");
    await initiate(uriOf([first], undefined, "directConnection=true"), {
      _id: SET,
      members: members.map(({ host }, index) => ({ _id: index, host })),
      settings: {
        electionTimeoutMillis: electionTimeoutMs,
        heartbeatIntervalMillis: Math.ceil(electionTimeoutMs / 5),
      },
    });
    await makeUsers(await set.waitForPrimary(), options);
    await set.waitForMembers();
    return set;
  } catch (error) {
    await deployment.guardian.close();
    throw error;
  }
}

function replicaSetOf(
  members: readonly Member[],
  options: DeploymentOptions,
  guardian: Guardian,
): TestReplicaSet {
  const set: TestReplicaSet = {
    uri: uriOf(members, rootOf(options), `replicaSet=${SET}`),
    members,
    uriFor: (user) => uriOf(members, user, `replicaSet=${SET}`),
    primary: () => latestPrimary(members),
    waitForPrimary: (other) => waitForPrimary(members, other),
    waitForMembers: () =>
      until(
        async () => (await Promise.all(members.map(stateOf))).every(({ ready }) => ready),
        "every member of the replica set is primary or secondary",
        READY_LIMIT_MS,
      ),
    stepDown: async () => {
      const primary = await waitForPrimary(members);
      await command(primary, { replSetStepDown: 10, secondaryCatchUpPeriodSecs: 5 });
      return primary;
    },
    close: () => guardian.close(),
    [Symbol.asyncDispose]: () => guardian.close(),
  };
  return set;
}

interface Deployment {
  readonly guardian: Guardian;
  start(index: number): Promise<Member>;
}

async function openDeployment(
  options: DeploymentOptions,
  replicaSet: string | undefined,
): Promise<Deployment> {
  const { path: binary } = await findMongod();
  const guardian = new Guardian();
  const directory = await mkdtemp(join(tmpdir(), "execution-store-mongod-"));
  guardian.ownDirectory(directory);
  const args = [...(options.args ?? [])];
  if (options.users !== undefined && replicaSet === undefined) args.push("--auth");
  if (options.users !== undefined && replicaSet !== undefined) {
    const keyFile = join(directory, "key");
    await writeFile(keyFile, "c2VjcmV0IG9mIHRoZSB0ZXN0cw==", { mode: 0o600 });
    args.push("--keyFile", keyFile);
  }
  return {
    guardian,
    start: async (index) => {
      const mongod = { binary, dataPath: join(directory, String(index)), args, guardian };
      const start = (port?: number): Promise<Mongod> =>
        startMongod({
          ...mongod,
          ...(port !== undefined && { port }),
          ...(replicaSet !== undefined && { replicaSet }),
        });
      return memberOf(await start(), start, options);
    },
  };
}

function memberOf(
  first: Mongod,
  start: (port: number) => Promise<Mongod>,
  options: DeploymentOptions,
): Member {
  let mongod = first;
  const { port } = first;
  const host = `127.0.0.1:${port}`;
  return {
    host,
    port,
    uri: uriOf([{ host }], rootOf(options), "directConnection=true"),
    kill: (signal = "SIGKILL") => mongod.signal(signal),
    freeze: () => mongod.signal("SIGSTOP"),
    thaw: () => mongod.signal("SIGCONT"),
    restart: async () => {
      if (mongod.running) throw new Error(`${host} is running; kill it before its restart`);
      mongod = await start(port);
    },
  };
}

function rootOf({ users }: DeploymentOptions): typeof ROOT | undefined {
  return users === undefined ? undefined : ROOT;
}

function uriOf(
  members: readonly Pick<Member, "host">[],
  user: Pick<TestUser, "name" | "password"> | undefined,
  query: string,
): string {
  const hosts = members.map(({ host }) => host).join(",");
  if (user === undefined) return `mongodb://${hosts}/?${query}`;
  const credentials = [user.name, user.password].map(encodeURIComponent).join(":");
  return `mongodb://${credentials}@${hosts}/?authSource=admin${query === "" ? "" : `&${query}`}`;
}

/** A mongod without users lets a connection from its own machine make the first one. */
async function makeUsers(member: Member, { users }: DeploymentOptions): Promise<void> {
  if (users === undefined) return;
  const { host } = member;
  const root = { createUser: ROOT.name, pwd: ROOT.password, roles: ["root"] };
  await using anybody = new MongoClient(uriOf([{ host }], undefined, "directConnection=true"));
  await anybody.db("admin").command(root);
  for (const { name, password, roles } of users) {
    await command(member, { createUser: name, pwd: password, roles });
  }
}

async function waitForPrimary(members: readonly Member[], other?: Member): Promise<Member> {
  let primary: Member | undefined;
  await until(
    async () => {
      primary = await latestPrimary(members);
      return primary !== undefined && primary !== other;
    },
    other === undefined ? "there is a primary" : `another member than ${other.host} is primary`,
    READY_LIMIT_MS,
  );
  if (primary === undefined) throw new Error("there is no primary");
  return primary;
}

/** A member that was frozen takes itself for the primary for a moment: the election id tells. */
async function latestPrimary(members: readonly Member[]): Promise<Member | undefined> {
  const states = await Promise.all(members.map(stateOf));
  const primaries = states.filter(({ electionId }) => electionId !== "");
  return primaries.toSorted((a, b) => (a.electionId < b.electionId ? 1 : -1))[0]?.member;
}

interface State {
  readonly member: Member;
  /** Primary or secondary. */
  readonly ready: boolean;
  /** Grows with every election; empty where the member is not primary. */
  readonly electionId: string;
}

async function stateOf(member: Member): Promise<State> {
  try {
    const answer = await hello(member);
    const isPrimary = answer["isWritablePrimary"] === true;
    return {
      member,
      ready: isPrimary || answer["secondary"] === true,
      electionId: isPrimary ? (answer["electionId"] as ObjectId).toHexString() : "",
    };
  } catch {
    return { member, ready: false, electionId: "" };
  }
}

async function command(member: Member, what: Document): Promise<Document> {
  await using client = new MongoClient(member.uri, { serverSelectionTimeoutMS: READY_LIMIT_MS });
  return await client.db("admin").command(what);
}

/** Needs no user. A member that is frozen takes connections and never answers. */
async function hello({ host }: Member): Promise<Document> {
  await using client = new MongoClient(uriOf([{ host }], undefined, "directConnection=true"), {
    serverSelectionTimeoutMS: ANSWER_LIMIT_MS,
    socketTimeoutMS: ANSWER_LIMIT_MS,
  });
  return await client.db("admin").command({ hello: 1 });
}
