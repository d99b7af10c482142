import { ObjectId } from "bson";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ExecutionStoreService } from "../../src/index.js";
import { leavesOut } from "../support/left-out.js";
import { until } from "../support/until.js";
import { type BothSides, FIELDS, openBothSides, type Place, SETUP_LIMIT_MS } from "./both-sides.js";

const STORE = "shared";
const WRITERS = 6;
/** How long both write at least; longer until this side has done ENOUGH of everything, but not over LIMIT_SECONDS. */
const SECONDS = 4;
const LIMIT_SECONDS = 40;
const ENOUGH = 20;
// As in load.py.
const COUNTERS = 12;
const CHURNED = 8;
const CLAIMS = 1000;

/** What one side did. */
interface Done {
  increments: number;
  claims: number;
  churns: number;
}

interface Value {
  readonly writer: string;
  readonly number: number;
  readonly text: string;
}

const PLACES: [string, Place][] = [
  ["no dataset", { datasetId: undefined }],
  ["a dataset", { datasetId: new ObjectId() }],
];

let sides: BothSides;

beforeAll(async () => {
  if (leavesOut("fiftyone") || leavesOut("mongodb")) return;
  sides = await openBothSides();
}, SETUP_LIMIT_MS);
afterAll(() => sides?.close());

/** Numbers that look random and are the same in every run. */
function numbersOf(seed: number): (below: number) => number {
  let state = seed + 1;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

/** The writers of this side: each does what load.py does, through the client, and adds to the same sums. */
async function writeAll(service: ExecutionStoreService): Promise<Done> {
  const done: Done = { increments: 0, claims: 0, churns: 0 };
  const started = performance.now();
  const goOn = (): boolean => {
    const seconds = (performance.now() - started) / 1000;
    const enough = Object.values(done).every((count: number) => count >= ENOUGH);
    return seconds < SECONDS || (!enough && seconds < LIMIT_SECONDS);
  };
  const write = async (writer: number): Promise<void> => {
    const random = numbersOf(writer);
    while (goOn()) {
      if (await increment(service, `counter-${random(COUNTERS)}`)) done.increments += 1;
      const claim = await service.setKeyIfAbsent(STORE, `claim-${random(CLAIMS)}`, "here");
      if (claim.set) done.claims += 1;
      await churn(service, random, `here-${writer}`);
      done.churns += 1;
    }
  };
  try {
    await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
  } finally {
    await service.setKey(STORE, "stop", true);
  }
  return done;
}

async function increment(service: ExecutionStoreService, key: string): Promise<boolean> {
  const count = (await service.getKey<number>(STORE, key))?.value;
  if (count === undefined) return (await service.setKeyIfAbsent(STORE, key, 1)).set;
  return (await service.compareAndSetKey(STORE, key, { expected: count }, count + 1)).set;
}

async function churn(
  service: ExecutionStoreService,
  random: (below: number) => number,
  writer: string,
): Promise<void> {
  const key = `churned-${random(CHURNED)}`;
  const number = random(1000);
  const value: Value = { writer, number, text: `${writer} ${number}` };
  switch (random(8)) {
    case 0:
      await service.deleteKey(STORE, key);
      break;
    case 1:
      await service.setKey(STORE, key, value, { ttl: 1 });
      break;
    case 2:
      await service.batchSetKeys(STORE, [
        { key, value },
        { key: `${key}-too`, value, ttl: 1 },
      ]);
      break;
    case 3:
      await service.setCacheKey(STORE, key, value);
      break;
    case 4:
      await service.setKeyIfAbsent(STORE, key, value, { policy: "evict" });
      break;
    case 5:
      await service.batchDeleteKeys(STORE, [key, `${key}-too`]);
      break;
    default:
      await service.setKey(STORE, key, value);
  }
  const read = (await service.getKey<Value>(STORE, key))?.value;
  if (read !== undefined && read.text !== `${read.writer} ${read.number}`) {
    throw new Error(`${key} holds a mixture of two values`);
  }
}

describe.skipIf(leavesOut("fiftyone") || leavesOut("mongodb"))("both sides on the same keys", () => {
  test.each(PLACES)(
    "nothing is lost or corrupted: %s",
    { timeout: 3000 * LIMIT_SECONDS },
    async (_title, place) => {
      const service = sides.serviceIn(place);
      const load = { store_name: STORE, seconds: 2 * LIMIT_SECONDS };
      const [theirs, ours] = await Promise.all([
        sides.command<Done & { faults: string[] }>(place, "run_load", load),
        writeAll(service),
      ]);
      expect(theirs.faults).toEqual([]);
      const sum = (name: keyof Done): number => theirs[name] + ours[name];
      // Both sides took part, or this showed nothing.
      for (const name of ["increments", "claims", "churns"] as const) {
        expect(theirs[name], name).toBeGreaterThanOrEqual(ENOUGH);
        expect(ours[name], name).toBeGreaterThanOrEqual(ENOUGH);
      }

      const counters = await service.batchGetKeys<number>(STORE, countersOf());
      expect([...counters.values()].reduce((total, { value }) => total + value, 0)).toBe(sum("increments"));
      await until(async () => (await expiring(place)).length === 0, "what expires is gone");
      const documents = await documentsOf(place);
      const names = documents.map(({ key }) => String(key));
      // Nobody was told that he had what another one has.
      const claims = names.filter((name) => name.startsWith("claim-"));
      expect(sum("claims")).toBe(claims.length);
      expect(new Set(names).size).toBe(names.length);
      for (const document of documents) {
        expect(Object.keys(document).toSorted()).toEqual(FIELDS);
        expect(document["dataset_id"]).toEqual(place.datasetId ?? null);
        expect(document["created_at"]).toBeInstanceOf(Date);
        expect(document["updated_at"]).toBeInstanceOf(Date);
        expect(["persist", "evict"]).toContain(document["policy"]);
      }
      expect(await service.listKeys(STORE).toArray()).toEqual(names.toSorted());
      expect((await sides.python<string[]>(place, "list_keys", STORE)).toSorted()).toEqual(names.toSorted());
      for (const name of names.filter((each) => !claims.includes(each))) {
        const here = await service.getKey(STORE, name);
        expect(await sides.python(place, "get_key", STORE, name)).toMatchObject({ value: here?.value });
      }
    },
  );
});

function countersOf(): string[] {
  return Array.from({ length: COUNTERS }, (_, index) => `counter-${index}`);
}

function documentsOf({ datasetId }: Place) {
  return sides.documents({ store_name: STORE, dataset_id: datasetId ?? null });
}

/** What will be gone within two seconds. */
async function expiring(place: Place) {
  const soon = Date.now() + 10_000;
  const documents = await documentsOf(place);
  return documents.filter(({ expires_at: at }) => at instanceof Date && at.getTime() < soon);
}
