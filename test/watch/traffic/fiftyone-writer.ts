import { setTimeout as delay } from "node:timers/promises";
import { ObjectId } from "bson";
import type { FiftyOne } from "../../fiftyone/fiftyone.js";
import type { Choices } from "../../race/random.js";
import { FIFTYONE } from "./coverage.js";
import type { Recorder } from "./recorder.js";
import { CONTEXTS, KEYS, STORES } from "./world.js";

/** The longest that the writer waits between two calls, in ms. */
const REST_MS = 10;
/** Seconds that keys live, if not for good. */
const TTLS = [1, 2, 3600] as const;

/** FiftyOne at the same keys: what it writes is not recorded. */
export class FiftyOneWriter {
  readonly #fiftyOne: FiftyOne;
  readonly #choices: Choices;

  constructor(fiftyOne: FiftyOne, choices: Choices) {
    this.#fiftyOne = fiftyOne;
    this.#choices = choices;
  }

  /** Calls FiftyOne's execution store again and again. */
  async run(recorder: Recorder, running: () => boolean): Promise<void> {
    while (running()) {
      const value = { number: recorder.nextValue(), text: FIFTYONE };
      const datasetId = this.#choices.of(CONTEXTS);
      await this.#fiftyOne.call("service", {
        ...this.#any(this.#choices.of(STORES), this.#choices.of(KEYS), value),
        dataset_id: datasetId === "" ? null : new ObjectId(datasetId),
      });
      await delay(this.#choices.below(REST_MS));
    }
  }

  /** Any method with its arguments. */
  #any(
    store: string,
    key: string,
    value: object,
  ): { readonly method: string; readonly args: readonly unknown[]; readonly kwargs?: object } {
    const ttl = this.#choices.of(TTLS);
    switch (this.#choices.below(20)) {
      case 0:
      case 1:
      case 2:
        return { method: "set_key", args: [store, key, value], kwargs: { ttl } };
      case 3:
        return { method: "set_cache_key", args: [store, key, value] };
      case 4:
      case 5:
        return { method: "set_key_if_absent", args: [store, key, value] };
      case 6:
      case 7:
      case 8:
        return { method: "delete_key", args: [store, key] };
      case 9:
      case 10:
        return { method: "update_ttl", args: [store, key, ttl] };
      case 11:
        return { method: "clear_cache", args: [store] };
      case 12:
        return { method: "delete_store", args: [store] };
      default:
        return { method: "set_key", args: [store, key, value] };
    }
  }
}
