import { onTestFinished } from "vitest";
import { DEFAULT_COLLECTION } from "../../../src/store/limits.js";
import { describeTopics } from "../describe-topics.js";
import { OTHER_COLLECTION } from "../world.js";
import {
  type ChangeCapability,
  type ChangeCheck,
  type ChangeWorld,
  sourceOf,
  type WatchableUnderTest,
} from "./change-world.js";
import { documents } from "./documents.js";
import { ends } from "./ends.js";
import { expiries } from "./expiries.js";
import { histories } from "./histories.js";
import { places } from "./places.js";
import { snapshots } from "./snapshots.js";
import { types } from "./types.js";

const TOPICS = {
  types,
  documents,
  expiries,
  places,
  histories,
  snapshots,
  ends,
} satisfies Record<string, (check: ChangeCheck) => void>;

type Open = (collections: readonly string[]) => Promise<WatchableUnderTest>;

async function openWorld(open: Open): Promise<ChangeWorld> {
  let current = await open([DEFAULT_COLLECTION, OTHER_COLLECTION]);
  onTestFinished(() => current.close());
  return {
    get engine() {
      return current.engine;
    },
    get source() {
      return sourceOf(current.engine);
    },
    ahead: (point) => current.ahead(point),
    reopen: async () => {
      if (current.reopen === undefined) throw new Error("this engine cannot reopen; skip durability");
      current = await current.reopen();
    },
  };
}

/**
 * The one suite that every source of changes passes: what src/store/changes.ts promises.
 *
 * @param open makes an engine over empty data; called once per test
 * @param skips what the engine lacks by design, each with the reason
 */
export function describeChangeSource(
  name: string,
  open: Open,
  skips: Partial<Record<ChangeCapability, string>> = {},
): void {
  describeTopics({ name, open: () => openWorld(open), skips, timeout: 120_000, topics: TOPICS });
}
