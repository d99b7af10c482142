import { onTestFinished } from "vitest";
import { DEFAULT_COLLECTION } from "../../src/store/limits.js";
import { batches } from "./batches.js";
import { clocks } from "./clocks.js";
import { concurrency } from "./concurrency.js";
import { conditional } from "./conditional.js";
import { contexts } from "./contexts.js";
import { deletions } from "./deletions.js";
import { describeTopics } from "./describe-topics.js";
import { expiry } from "./expiry.js";
import { global } from "./global.js";
import { keys } from "./keys.js";
import { lifecycle } from "./lifecycle.js";
import { lists } from "./lists.js";
import { names } from "./names.js";
import { policies } from "./policies.js";
import { stores } from "./stores.js";
import { values } from "./values.js";
import {
  type Capability,
  type Check,
  createTestClock,
  type EngineTestOptions,
  type EngineUnderTest,
  OTHER_COLLECTION,
  type World,
} from "./world.js";

const TOPICS = {
  stores,
  keys,
  policies,
  expiry,
  clocks,
  conditional,
  lists,
  names,
  batches,
  deletions,
  contexts,
  global,
  values,
  concurrency,
  lifecycle,
} satisfies Record<string, (check: Check) => void>;

async function openWorld(open: (options: EngineTestOptions) => Promise<EngineUnderTest>): Promise<World> {
  const standing = createTestClock();
  let current = await open({ now: standing.now, collections: [DEFAULT_COLLECTION, OTHER_COLLECTION] });
  onTestFinished(() => current.close());
  return {
    clock: current.clock ?? standing,
    get engine() {
      return current.engine;
    },
    reopen: async () => {
      if (current.reopen === undefined) throw new Error("this engine cannot reopen; skip durability");
      current = await current.reopen();
    },
  };
}

/**
 * The one suite that every engine passes, in process or through the wire: what src/store/engine.ts promises.
 *
 * @param open makes an engine over empty data; called once per test
 * @param skips what the engine lacks by design, each with the reason
 */
export function describeEngine(
  name: string,
  open: (options: EngineTestOptions) => Promise<EngineUnderTest>,
  skips: Partial<Record<Capability, string>> = {},
): void {
  describeTopics({ name, open: () => openWorld(open), skips, timeout: 240_000, topics: TOPICS });
}
