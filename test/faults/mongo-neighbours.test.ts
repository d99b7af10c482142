import { setTimeout as delay } from "node:timers/promises";
import { MongoClient } from "mongodb";
import { describe, expect, onTestFinished, test } from "vitest";
import { ExecutionStoreService } from "../../src/client/service.js";
import { isStoreError } from "../../src/store/errors.js";
import { buildBeforeTests, firstAddress, startServer } from "../cli/cli-process.js";
import { leavesOut } from "../support/left-out.js";
import { startReplicaSet } from "../support/mongodb/replica-set.js";
import { until } from "../support/until.js";

/** How many servers are ended or stopped. */
const ROUNDS = Number(process.env["EXECUTION_STORE_TEST_NEIGHBOUR_ROUNDS"] ?? 4);
/** The longest that another program's write may wait, in ms. */
const LONGEST_WAIT_MS = 2000;
/** The pause between two writes of a key by it, in ms. */
const PAUSE_MS = 40;
/** How long it goes on after the server's end, in ms. */
const AFTER_MS = 2500;
const STORE = "shared";
const KEYS = Array.from({ length: 16 }, (_, index) => `key-${index}`);
/** Sets in flight. */
const CALLERS = 64;

/** Sets of the same keys, many at once, that are joined, and some calls of other kinds; until they fail or end. */
async function load(service: ExecutionStoreService, running: () => boolean): Promise<void> {
  const caller = async (index: number): Promise<void> => {
    for (let count = index; running(); count += 1) {
      const key = KEYS[count % KEYS.length] ?? "";
      if (count % 40 === 0) {
        await service.batchSetKeys(
          STORE,
          KEYS.map((each) => ({ key: each, value: { batch: count } })),
        );
      } else if (count % 40 === 1) {
        await service.deleteKey(STORE, key);
      } else if (count % 40 === 2) {
        await service.setKeyIfAbsent(STORE, key, { count });
      } else {
        await service.setKey(STORE, key, { count, index }, count % 3 === 0 ? { ttl: 60 } : {});
      }
    }
  };
  await Promise.all(
    Array.from({ length: CALLERS }, (_, index) =>
      caller(index).catch((error: unknown) => {
        if (!isStoreError(error, "UNAVAILABLE")) throw error;
      }),
    ),
  );
}

/** Another program that writes the same keys; answers how long each write took, in ms. */
async function writePlainly(client: MongoClient, running: () => boolean): Promise<number[]> {
  const documents = client.db("execution_store").collection("execution_store");
  const waits: number[] = [];
  await Promise.all(
    KEYS.map(async (key) => {
      for (let count = 0; running(); count += 1) {
        const start = performance.now();
        await documents.updateOne(
          { store_name: STORE, key, dataset_id: null },
          { $set: { value: `by another program ${count}` } },
          { writeConcern: { w: "majority" } },
        );
        waits.push(performance.now() - start);
        await delay(PAUSE_MS);
      }
    }),
  );
  return waits;
}

describe.skipIf(leavesOut("mongodb"))("beside a server that ends amid joined writes", () => {
  buildBeforeTests();

  test(`another program's writes never wait, whenever it ends: ${ROUNDS} times`, {
    timeout: 60_000 + 15_000 * ROUNDS,
  }, async () => {
    const set = await startReplicaSet({ members: 1 });
    onTestFinished(() => set.close());
    const client = await MongoClient.connect(set.uri);
    onTestFinished(() => client.close());
    for (let round = 0; round < ROUNDS; round += 1) {
      const signal = round % 2 === 0 ? "SIGSTOP" : "SIGKILL";
      const server = await startServer(["--store", set.uri, "--listen", "127.0.0.1:0"]);
      onTestFinished(() => server.kill("SIGKILL"));
      const service = new ExecutionStoreService({ address: firstAddress(server), retry: false });
      const state = { loading: true, writing: true, asked: 0 };
      const loading = load(service, () => {
        state.asked += 1;
        return state.loading;
      });
      const writing = writePlainly(client, () => state.writing);
      await until(() => state.asked > 4 * CALLERS, "the server is under load");
      await delay(Math.random() * 500);
      server.kill(signal);
      state.loading = false;
      await delay(AFTER_MS);
      state.writing = false;
      const waits = await writing;
      server.kill("SIGKILL");
      await server.ended;
      await loading;
      await service.close();
      expect(waits.length).toBeGreaterThan(100);
      expect(Math.max(...waits), `round ${round}, ${signal}`).toBeLessThan(LONGEST_WAIT_MS);
    }
  });
});
