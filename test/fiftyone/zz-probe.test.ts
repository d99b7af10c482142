import { MongoClient } from "mongodb";
import { test } from "vitest";
import { openMongoEngine } from "../../src/engines/mongo/engine.js";
import { ExecutionStoreService } from "../../src/index.js";
import { testDatabase } from "../support/mongodb/test-database.js";
import { startTestServer } from "../support/test-server.js";

test("probe", async () => {
  const { uri, name } = await testDatabase();
  const engine = await openMongoEngine({ uri, collections: ["execution_store"] });
  const server = await startTestServer({ engine });
  const model = await startTestServer({});
  const s = new ExecutionStoreService({ address: server.address });
  const m = new ExecutionStoreService({ address: model.address });
  const c = await new MongoClient(uri).connect();
  const d = c.db(name).collection("execution_store");
  await s.setKey("s", "k", 1);
  await m.setKey("s", "k", 1);
  const scope = { collection: "execution_store", datasetId: "" };
  const measure = async (label: string, f: () => Promise<unknown>) => {
    const l: number[] = [];
    const end = Date.now() + 1500;
    const cpu = process.cpuUsage();
    const t0 = Date.now();
    while (Date.now() < end) {
      const t = performance.now();
      await f();
      l.push(performance.now() - t);
    }
    const used = process.cpuUsage(cpu);
    l.sort((a, b) => a - b);
    console.log(
      label,
      l.length,
      "median",
      l[l.length >> 1]!.toFixed(1),
      "p90",
      l[Math.floor(l.length * 0.9)]!.toFixed(1),
      "cpu%",
      Math.round((used.user + used.system) / 10 / (Date.now() - t0)),
    );
  };
  await measure("driver findOne", () => d.findOne({ store_name: "s", key: "k" }));
  await measure("engine get", () => engine.getKey(scope, "s", "k", true));
  await measure("wire+model get", () => m.getKey("s", "k"));
  await measure("engine get signal", () =>
    engine.getKey(scope, "s", "k", true, { signal: new AbortController().signal }),
  );
  await measure("model then engine", async () => {
    await m.getKey("s", "k");
    await engine.getKey(scope, "s", "k", true);
  });
  await measure("wire+mongo get", () => s.getKey("s", "k"));
  await measure("driver update", () =>
    d.findOneAndUpdate(
      { store_name: "s", key: "x" },
      { $set: { value: 1 } },
      { upsert: true, writeConcern: { w: "majority", j: true } },
    ),
  );
  await measure("engine set", () =>
    engine.setKey(scope, "s", "k", {
      value: Buffer.from("0c0000000a76616c75650000", "hex"),
      ttlMs: undefined,
      policy: "persist",
    }),
  );
  await measure("wire+mongo set", () => s.setKey("s", "k", 1));
  await s.close();
  await m.close();
  await server.close();
  await model.close();
  await c.close();
}, 60000);
