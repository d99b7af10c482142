/** Calls MongoDB by the bare driver, as a program without the service would, for as long as it is asked to. */
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { MongoClient, ObjectId } from "mongodb";
import type { DirectAnswer, DirectCall, DirectPlan, DirectRequest } from "./direct-load.js";
import { announce } from "./echo-plan.js";

const POOL_SIZE = 64;

type Entry = DirectPlan["entries"][number];

const plan = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as DirectPlan;
const client = new MongoClient(plan.uri, { maxPoolSize: POOL_SIZE });
const collection = client.db(plan.database).collection("execution_store");
const datasetId = new ObjectId(plan.datasetId);
let next = 0;

function filterOf(call: DirectCall, { key }: Entry) {
  return { store_name: plan.stores[call], key, dataset_id: datasetId };
}

async function get(entry: Entry): Promise<void> {
  if ((await collection.findOne(filterOf("get", entry))) === null) throw new Error(`${entry.key} is missing`);
}

/** What the service promises, as far as one command of the driver can: an upsert by the database's clock. */
async function set(call: "set" | "set-ttl", entry: Entry): Promise<void> {
  const evict = call === "set-ttl";
  const version = {
    value: { $literal: entry.value },
    policy: evict ? "evict" : "persist",
    created_at: { $ifNull: ["$created_at", "$$NOW"] },
    updated_at: { $max: ["$$NOW", { $add: ["$updated_at", 1] }] },
    expires_at: evict ? { $add: ["$$NOW", 1000 * plan.ttlSeconds] } : null,
  };
  const written = await collection.findOneAndUpdate(filterOf(call, entry), [{ $set: version }], {
    upsert: true,
    returnDocument: "after",
    projection: { value: 0 },
    writeConcern: { w: "majority" },
  });
  if (written === null) throw new Error(`${entry.key} was not written`);
}

const calls: Readonly<Record<DirectCall, (entry: Entry) => Promise<void>>> = {
  get,
  set: (entry) => set("set", entry),
  "set-ttl": (entry) => set("set-ttl", entry),
};

async function load({ call, atOnce, ms }: DirectRequest): Promise<DirectAnswer> {
  const run = calls[call];
  const start = performance.now();
  let done = 0;
  const caller = async (): Promise<void> => {
    do {
      const entry = plan.entries[next++ % plan.entries.length];
      if (entry === undefined) throw new RangeError("there is nothing to choose from");
      await run(entry);
      done++;
    } while (performance.now() - start < ms);
  };
  await Promise.all(Array.from({ length: atOnce }, caller));
  return { calls: done, ms: performance.now() - start };
}

async function answer(request: IncomingMessage): Promise<DirectAnswer> {
  try {
    return await load(JSON.parse(await text(request)) as DirectRequest);
  } catch (error) {
    return { error: `the bare driver failed: ${error instanceof Error ? error.message : String(error)}` };
  }
}

const server = createServer((request, response) => {
  void answer(request).then((result) => response.end(JSON.stringify(result)));
});
await client.connect();
server.listen(0, "127.0.0.1", () => announce((server.address() as AddressInfo).port));
