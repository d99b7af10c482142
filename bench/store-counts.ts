import { type Document, MongoClient, ObjectId } from "mongodb";
import { CountStoresRequest, CountStoresResponse } from "../gen/ts/execution_store/v1/execution_store.js";
import type { BenchClient } from "./bench-client.js";
import type { Figure, FigureGroup } from "./report.js";
import { median } from "./rounds.js";

const STORES = 10_000;
/** No other part's, so that these are all that the context has. */
const COUNTED_DATASET_ID = "66f1c0ffee00000000000002";
const INSERTED_AT_ONCE = 10_000;
const LIMIT_MS = 1000;

/** A store with a document of its own and a key, as FiftyOne and the service write them. */
function documentsOf(index: number, datasetId: string): Document[] {
  const now = new Date();
  const shared = {
    store_name: `store-${index.toString().padStart(6, "0")}`,
    dataset_id: datasetId === "" ? null : new ObjectId(datasetId),
    created_at: now,
    updated_at: now,
    expires_at: null,
    policy: "persist",
  };
  return [
    { ...shared, key: "__store__", value: { index } },
    { ...shared, key: "progress", value: index },
  ];
}

async function makeStores(uri: string, datasetId: string): Promise<void> {
  await using client = new MongoClient(uri);
  const collection = client.db().collection("execution_store");
  const documents = Array.from({ length: STORES }, (_, index) => documentsOf(index, datasetId)).flat();
  for (let at = 0; at < documents.length; at += INSERTED_AT_ONCE) {
    await collection.insertMany(documents.slice(at, at + INSERTED_AT_ONCE), { ordered: false });
  }
}

/** The time that a count takes, in milliseconds. */
async function countMs(client: BenchClient, datasetId: string): Promise<number> {
  const message = CountStoresRequest.encode({ datasetId, collectionName: "" }).finish();
  const start = performance.now();
  const { count } = CountStoresResponse.decode(await client.call("CountStores", message));
  const ms = performance.now() - start;
  if (Number(count) !== STORES) throw new Error(`CountStores found ${count} stores where ${STORES} are`);
  return ms;
}

/** How long it takes to count many stores: of a data set, and of the context of none, which has an index less. */
export async function storeCounts(uri: string, client: BenchClient, times: number): Promise<FigureGroup> {
  const figures: Figure[] = [];
  for (const [context, datasetId] of [
    ["a data set's", COUNTED_DATASET_ID],
    ["the empty context's", ""],
  ] as const) {
    await makeStores(uri, datasetId);
    const taken: number[] = [];
    for (let turn = 0; turn < times; turn++) taken.push(await countMs(client, datasetId));
    figures.push(
      {
        name: `CountStores, ${context}, median`,
        value: median(taken),
        unit: "ms",
        target: { atMost: LIMIT_MS },
      },
      { name: "the same, longest", value: Math.max(...taken), unit: "ms" },
    );
  }
  return {
    name: "count-stores",
    title: `Counting ${STORES.toLocaleString("en-US")} stores (${times} times)`,
    figures,
  };
}
