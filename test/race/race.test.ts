import { describe, expect, onTestFinished, test } from "vitest";
import { ExecutionStoreService } from "../../src/client/service.js";
import { openLmdbEngine } from "../../src/engines/lmdb/engine.js";
import { openMongoEngine } from "../../src/engines/mongo/engine.js";
import type { WatchableEngine } from "../../src/store/engine.js";
import { leavesOut } from "../support/left-out.js";
import { testDatabase } from "../support/mongodb/test-database.js";
import { tempDir } from "../support/temp-dir.js";
import { startTestServer } from "../support/test-server.js";
import { History, RandomClient } from "./clients.js";
import { type Allowed, problemsOf } from "./problems.js";
import { Choices, readSeed, seedText } from "./random.js";

/** How many rounds each engine goes through, each with keys of its own. */
const ROUNDS = Number(process.env["EXECUTION_STORE_TEST_RACE_ROUNDS"] ?? 3);
const CLIENTS = 16;
/** All calls of a round. */
const CALLS = 800;
const COLLECTION = "execution_store";
const KINDS = [
  "get",
  "has",
  "set",
  "set-if-absent",
  "swap",
  "swap-version",
  "delete",
  "delete-version",
] as const;

/** Starts a server per engine; answers the clients, which share them. */
async function startClients(engines: readonly WatchableEngine[]): Promise<ExecutionStoreService[]> {
  const services: ExecutionStoreService[] = [];
  for (const engine of engines) {
    const server = await startTestServer({ engine });
    onTestFinished(() => server.close());
    for (let index = 0; index < CLIENTS / engines.length; index += 1) {
      const service = new ExecutionStoreService({ address: server.address, retry: false });
      onTestFinished(() => service.close());
      services.push(service);
    }
  }
  return services;
}

/** Lets clients race over servers, one per engine, and checks what they were told. */
async function race(engines: readonly WatchableEngine[], allowed: Allowed = {}): Promise<void> {
  const seed = readSeed();
  const services = await startClients(engines);
  const counts = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round += 1) {
    const history = new History();
    await Promise.all(
      services.map((service, index) =>
        new RandomClient({
          service,
          history,
          choices: new Choices(seed + 1000 * round + index),
          keys: Array.from({ length: 5 }, (_, key) => `round-${round}-key-${key}`),
          running: () => history.size < CALLS,
          // What expires lets the checker tell less, so it has rounds of its own.
          expiring: round % 3 === 2,
        }).run(),
      ),
    );
    expect(history.errors, seedText(seed)).toEqual([]);
    expect(problemsOf(history, allowed), seedText(seed)).toEqual([]);
    for (const kind of KINDS) {
      for (const yes of [true, false]) {
        const name = `${kind}: ${yes}`;
        counts.set(name, (counts.get(name) ?? 0) + history.count(kind, yes));
      }
    }
  }
  // Every kind of call came to either end.
  expect([...counts].filter(([, count]) => count === 0)).toEqual([]);
}

const LIMIT = { timeout: 30_000 + ROUNDS * 10_000 };

test(`${CLIENTS} clients of one server over LMDB see every key change in one order`, LIMIT, async () => {
  await race([await openLmdbEngine({ path: tempDir(), collections: [COLLECTION] })]);
});

describe.skipIf(leavesOut("mongodb"))("over MongoDB", () => {
  test(`${CLIENTS} clients of two servers see every key change in one order`, LIMIT, async () => {
    const { uri } = await testDatabase();
    const engines = [
      await openMongoEngine({ uri, collections: [COLLECTION] }),
      await openMongoEngine({ uri, collections: [COLLECTION] }),
    ];
    await race(engines, { guessedVersions: true });
  });
});
