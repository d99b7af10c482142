import { setTimeout as delay } from "node:timers/promises";
import { MongoClient } from "mongodb";
import { describe, expect, onTestFinished, test } from "vitest";
import { ExecutionStoreService } from "../../src/client/service.js";
import { buildBeforeTests, firstAddress, startServer } from "../cli/cli-process.js";
import { History, RandomClient } from "../race/clients.js";
import { problemsOf } from "../race/problems.js";
import { Choices, readSeed, seedText } from "../race/random.js";
import { leavesOut } from "../support/left-out.js";
import { startReplicaSet, type TestReplicaSet } from "../support/mongodb/replica-set.js";
import { until } from "../support/until.js";
import { Account, fightForLocks, raiseCounter, setOwnKeys } from "./failover-load.js";

/** How often each of the faults happens. */
const ROUNDS = Number(process.env["EXECUTION_STORE_TEST_FAILOVER_ROUNDS"] ?? 1);
const SERVERS = 2;
/** Sets in flight, so that they are joined. */
const SETTERS = 64;
const LOCKERS = 6;
const COUNTERS = 6;
/** Clients whose every call is checked. */
const RACERS = 6;
/** How long writes may fail, or wait, after a fault, in ms. */
const RECOVERY_MS = 30_000;

/** A secondary gives up a frozen member that it copies from after a second, not five: the majority waits for that. */
const MONGOD = ["--setParameter", "oplogNetworkTimeoutBufferSeconds=1"];

/** Takes the primary away; answers what mends it. */
type Fault = (set: TestReplicaSet) => Promise<() => Promise<void>>;

const FAULTS: Readonly<Record<string, Fault>> = {
  "is killed": async (set) => {
    const primary = await set.waitForPrimary();
    await primary.kill("SIGKILL");
    return () => primary.restart();
  },
  "is frozen": async (set) => {
    const primary = await set.waitForPrimary();
    await primary.freeze();
    return () => primary.thaw();
  },
  "steps down": async (set) => {
    await set.stepDown();
    return async () => undefined;
  },
};

/** Starts servers, each a process, and a client of each. */
async function startServers(uri: string): Promise<ExecutionStoreService[]> {
  return Promise.all(
    Array.from({ length: SERVERS }, async () => {
      const server = await startServer(["--store", uri, "--listen", "127.0.0.1:0"]);
      onTestFinished(async () => {
        // Nobody restarted it meanwhile, and it ends as it should.
        server.kill("SIGTERM");
        expect((await server.ended).code).toBe(0);
      });
      const service = new ExecutionStoreService({ address: firstAddress(server), retry: false });
      onTestFinished(() => service.close());
      return service;
    }),
  );
}

/** Waits until every member has what the primary has: one that lags could hold up the majority after the next fault. */
async function replicated(set: TestReplicaSet): Promise<void> {
  await set.waitForMembers();
  const client = await MongoClient.connect(set.uri);
  try {
    await client
      .db("test")
      .collection("replicated")
      .insertOne({}, { writeConcern: { w: set.members.length } });
  } finally {
    await client.close();
  }
}

/** Waits until every server acknowledges a write; answers how long that took, in ms. */
async function recovered(services: readonly ExecutionStoreService[]): Promise<number> {
  const start = performance.now();
  await Promise.all(
    services.map((service) =>
      until(
        () =>
          service.setKey("canary", "key", 1).then(
            () => true,
            () => false,
          ),
        "a write is acknowledged again",
        2 * RECOVERY_MS,
      ),
    ),
  );
  return performance.now() - start;
}

/** Errors other than those that are to be expected while there is no primary. */
function unexpected({ errors }: Pick<Account, "errors">): unknown[] {
  return errors
    .filter(
      ({ error: { kind, retryAfterMs, outcome }, ofWrite }) =>
        kind !== "UNAVAILABLE" || retryAfterMs === undefined || (ofWrite && outcome === undefined),
    )
    .map(({ error }) => error);
}

describe.skipIf(leavesOut("mongodb"))("while the primary changes", () => {
  buildBeforeTests();

  test(`nothing that was acknowledged is lost, and nothing happens twice: ${ROUNDS} times each way`, {
    timeout: 90_000 + 90_000 * ROUNDS,
  }, async () => {
    const set = await startReplicaSet({ args: MONGOD });
    onTestFinished(() => set.close());
    const services = await startServers(set.uri);
    const seed = readSeed();
    const account = new Account();
    const history = new History();
    const state = { running: true };
    const running = (): boolean => state.running;
    const work = { services, running, account };
    const workers = [
      ...Array.from({ length: SETTERS }, (_, index) => setOwnKeys(work, index)),
      ...Array.from({ length: LOCKERS }, (_, index) => fightForLocks(work, index)),
      ...Array.from({ length: COUNTERS }, (_, index) => raiseCounter(work, index)),
      ...services.flatMap((service, at) =>
        Array.from({ length: RACERS / SERVERS }, (_, index) =>
          new RandomClient({
            service,
            history,
            choices: new Choices(seed + at * RACERS + index),
            keys: Array.from({ length: 12 }, (__, key) => `key-${key}`),
            running,
            expiring: false,
          }).run(),
        ),
      ),
    ];
    const working = Promise.all(workers);
    working.catch(() => (state.running = false));
    const pauses: Record<string, number> = {};
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [name, fault] of Object.entries(FAULTS)) {
        await replicated(set);
        await recovered(services);
        const before = account.acknowledged;
        await until(() => account.acknowledged > before + SETTERS, "writes go on", RECOVERY_MS);
        const mend = await fault(set);
        pauses[`${name} ${round}`] = await recovered(services);
        await delay(500);
        await mend();
      }
    }
    await replicated(set);
    await recovered(services);
    state.running = false;
    await working;
    expect(unexpected(account)).toEqual([]);
    expect(history.errors.filter(({ kind }) => kind !== "UNAVAILABLE")).toEqual([]);
    for (const service of services) expect(await account.problems(service)).toEqual([]);
    expect(problemsOf(history, { guessedVersions: true }), seedText(seed)).toEqual([]);
    expect(Math.max(...Object.values(pauses)), JSON.stringify(pauses)).toBeLessThan(RECOVERY_MS);
    expect(account.size.locks).toBeGreaterThan(20 * ROUNDS);
    expect(account.size.counted).toBeGreaterThan(20 * ROUNDS);
  });
});
