import { ObjectId } from "bson";
import { describe, expect, onTestFinished, test } from "vitest";
import { leavesOut } from "../support/left-out.js";
import { databaseUri } from "../support/mongodb/database-uri.js";
import { startStandalone } from "../support/mongodb/replica-set.js";
import { until } from "../support/until.js";
import {
  type BothSides,
  type BothSidesOptions,
  openBothSides,
  type Place,
  SETUP_LIMIT_MS,
} from "./both-sides.js";

/** What FiftyOne told a subscriber. */
interface Told {
  readonly store_name: string;
  readonly key: string;
  readonly value: unknown;
  readonly operation: string;
  readonly dataset_id: string | null;
}

const NONE: Place = { datasetId: undefined };
const STORE = "watched";

/** Opens both sides with FiftyOne's notification service running. */
async function openWatched(options: BothSidesOptions = {}): Promise<BothSides> {
  const sides = await openBothSides(options);
  onTestFinished(() => sides.close());
  await sides.fiftyOne.call("notifications_start");
  await until(() => sides.fiftyOne.call<boolean>("notifications_ready"), "the notification service runs");
  return sides;
}

async function subscribe(sides: BothSides, place: Place, store = STORE): Promise<string> {
  return sides.fiftyOne.call("subscribe", { store_name: store, dataset_id: place.datasetId ?? null });
}

function toldOf(sides: BothSides): Promise<Told[]> {
  return sides.fiftyOne.call("told");
}

/** Writes until FiftyOne tells of it: only then does it watch. */
async function untilWatching(sides: BothSides): Promise<void> {
  await subscribe(sides, NONE, "probe");
  let probes = 0;
  await until(async () => {
    probes += 1;
    await sides.serviceIn(NONE).setKey("probe", `probe-${probes}`, 1);
    const told = await toldOf(sides);
    return told.some(({ store_name, operation }) => store_name === "probe" && operation !== "initial");
  }, "FiftyOne watches");
}

/** Waits for the news of this key in this context. */
async function untilTold(sides: BothSides, key: string): Promise<void> {
  await until(async () => (await toldOf(sides)).some((told) => told.key === key), `FiftyOne tells of ${key}`);
}

async function newsOf(sides: BothSides): Promise<unknown[]> {
  const told = await toldOf(sides);
  return told
    .filter(({ store_name }) => store_name === STORE)
    .map(({ operation, key, value, dataset_id }) => [operation, key, value, dataset_id]);
}

describe.skipIf(leavesOut("fiftyone") || leavesOut("mongodb"))("FiftyOne's notifications", () => {
  test(
    "on a replica set: of every write of the service, but of no deletion",
    async () => {
      const sides = await openWatched();
      const place: Place = { datasetId: new ObjectId() };
      const id = String(place.datasetId);
      const service = sides.serviceIn(place);
      await service.setKey(STORE, "before", 0);
      await untilWatching(sides);
      await subscribe(sides, place);
      await untilTold(sides, "before");

      await service.setKey(STORE, "k", { n: 1 });
      await untilTold(sides, "k");
      await service.setKey(STORE, "k", { n: 2 }, { ttl: 3600 });
      await service.updateTtl(STORE, "k", 1800);
      await service.compareAndSetKey(STORE, "k", { expected: { n: 2 } }, { n: 3 });
      await service.setKeyIfAbsent(STORE, "absent", 1);
      await service.batchSetKeys(STORE, [
        { key: "batch-1", value: 1 },
        { key: "batch-2", value: 2 },
      ]);
      await sides.serviceIn(NONE).setKey(STORE, "in another context", 1);
      await service.setKey(STORE, "short", 1, { ttl: 0.5 });
      await service.deleteKey(STORE, "absent");
      await until(async () => !(await service.hasKey(STORE, "short")), "the short one is gone");
      await service.setKey(STORE, "last", 1);
      await untilTold(sides, "last");

      const news = await newsOf(sides);
      expect(news.slice(0, 2)).toEqual([
        ["initial", "before", 0, id],
        ["insert", "k", { n: 1 }, id],
      ]);
      const operations = (key: string): unknown[] =>
        news.flatMap((each) => (Array.isArray(each) && each[1] === key ? [each[0]] : []));
      expect(operations("k")).toEqual(["insert", "update", "update", "update"]);
      for (const key of ["absent", "batch-1", "batch-2", "short"])
        expect(operations(key)).toEqual(["insert"]);
      // A subscriber of a dataset hears of stores of none, too: FiftyOne's filter lets those through.
      expect(operations("in another context")).toEqual(["insert"]);
      expect(news.at(-1)).toEqual(["insert", "last", 1, id]);
    },
    SETUP_LIMIT_MS,
  );

  test(
    "on a standalone, as FiftyOne's own MongoDB is one: by polling, of deletions, too",
    async () => {
      await using mongod = await startStandalone();
      const sides = await openWatched({
        database: { uri: databaseUri(mongod.uri, "fiftyone"), name: "fiftyone" },
        variables: { FIFTYONE_EXECUTION_STORE_POLL_INTERVAL_SECONDS: "1" },
      });
      const service = sides.serviceIn(NONE);
      await untilWatching(sides);
      await subscribe(sides, NONE);
      await service.setKey(STORE, "k", 1);
      await untilTold(sides, "k");
      await service.batchSetKeys(STORE, [{ key: "batch", value: 2 }]);
      await untilTold(sides, "batch");
      await service.setKey(STORE, "k", 3);
      await until(async () => (await newsOf(sides)).length >= 3, "FiftyOne tells of the update");
      await service.deleteKey(STORE, "k");
      await until(async () => (await newsOf(sides)).length >= 4, "FiftyOne tells of the deletion");
      expect(await newsOf(sides)).toEqual([
        ["insert", "k", 1, null],
        ["insert", "batch", 2, null],
        ["update", "k", 3, null],
        ["delete", "k", null, null],
      ]);
    },
    SETUP_LIMIT_MS,
  );
});
