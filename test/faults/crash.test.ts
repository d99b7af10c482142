import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { ExecutionStoreService } from "../../src/client/service.js";
import { buildBeforeTests, firstAddress, type ServerProcess, startServer } from "../cli/cli-process.js";
import { checkLmdb } from "../support/check-lmdb.js";
import { tempDir } from "../support/temp-dir.js";
import { Ledger } from "./ledger.js";
import { COUNTER_STORE, type CounterAccount, type Load, writeUntilStopped } from "./write-load.js";

const CRASHES = 22;
/** The longest that a server lives under load, in ms. */
const LONGEST_LIFE_MS = 900;

buildBeforeTests();

/** Starts the server over a directory, with little history, so that its pruning is interrupted, too. */
function start(path: string): Promise<ServerProcess> {
  return startServer(["--store", `lmdb:${path}`, "--listen", "127.0.0.1:0", "--history-size", "4MB"]);
}

/** Whether stores, counts and lists tell the same. */
async function listingProblems(service: ExecutionStoreService): Promise<string[]> {
  const problems: string[] = [];
  const names = await service.listStores().toArray();
  if ((await service.countStores()) !== names.length) problems.push("countStores and listStores differ");
  const everywhere = await service.listStoresGlobal().toArray();
  if (everywhere.map(({ storeName }) => storeName).join() !== names.join()) {
    problems.push("listStoresGlobal and listStores differ");
  }
  for (const name of names) {
    // Nothing of what expires soon is left by the time that the server is up again.
    const keys = await service.listKeys(name).toArray();
    if (keys.length === 0) problems.push(`${name} is listed without a key`);
    if ((await service.countKeys(name)) !== keys.length)
      problems.push(`countKeys and listKeys of ${name} differ`);
    const read = await service.batchGetKeys(name, keys);
    if (read.size !== keys.length) problems.push(`keys of ${name} are listed that cannot be read`);
  }
  return problems;
}

async function counterProblems(service: ExecutionStoreService, counter: CounterAccount): Promise<string[]> {
  const value = (await service.getKey<number>(COUNTER_STORE, "counter"))?.value ?? 0;
  const least = counter.base + counter.acknowledged;
  const most = least + counter.unanswered;
  Object.assign(counter, { base: value, acknowledged: 0, unanswered: 0 });
  return value < least || value > most ? [`the counter is ${value}, not ${least} to ${most}`] : [];
}

/** Writes until the server is killed in the midst of it. */
async function writeAndKill(
  server: ServerProcess,
  load: Omit<Load, "running">,
  lifeMs: number,
): Promise<void> {
  const state = { killed: false };
  const writing = writeUntilStopped({ ...load, running: () => !state.killed });
  await delay(lifeMs);
  state.killed = true;
  server.kill("SIGKILL");
  expect((await server.ended).signal).toBe("SIGKILL");
  expect(await writing).toEqual([]);
}

test(`keeps every acknowledged write, whole, through ${CRASHES} kills under load`, {
  timeout: 300_000,
}, async () => {
  const path = tempDir();
  const ledger = new Ledger();
  const counter: CounterAccount = { base: 0, acknowledged: 0, unanswered: 0 };
  let written = 0;
  let counted = 0;
  let unanswered = 0;
  for (let crash = 0; crash <= CRASHES; crash += 1) {
    const server = await start(path);
    const service = new ExecutionStoreService({ address: firstAddress(server), retry: false });
    try {
      const findings = await ledger.compare(service);
      const problems = [...findings.problems, ...(await listingProblems(service))];
      counted += counter.acknowledged;
      problems.push(...(await counterProblems(service, counter)));
      expect(problems, `after crash ${crash}`).toEqual([]);
      unanswered += findings.unanswered;
      if (crash === CRASHES) break;
      const next = (): number => (written += 1);
      await writeAndKill(server, { service, ledger, counter, next }, Math.random() * LONGEST_LIFE_MS);
    } finally {
      server.kill("SIGKILL");
      await server.ended;
      await service.close();
    }
    await checkLmdb(path);
  }
  // The crashes came amid writes of every kind.
  expect(unanswered).toBeGreaterThan(CRASHES);
  expect(counted).toBeGreaterThan(CRASHES);
  for (const kind of ["new keys", "overwritten", "large", "lasting ttl", "brief ttl", "deleted", "batches"]) {
    expect(ledger.acknowledged.get(kind), kind).toBeGreaterThan(CRASHES);
  }
  expect(ledger.acknowledged.get("batches deleted")).toBeGreaterThan(0);
});
