import { setMaxListeners } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { MongoNetworkError } from "mongodb";
import type { PrimaryState, TopologyWatch } from "./topology-watch.js";
import { untilAborted } from "./until-aborted.js";

/** How long calls to a lost primary have to end by themselves, in ms. */
const GRACE_MS = 1_000;
/** How long to ask a new primary whether it is one, and the pause before it is asked again, in ms. */
const CONFIRM_WITHIN_MS = 10_000;
const PAUSE_MS = 50;

/** The time of one primary. */
interface Reign {
  readonly name: string | undefined;
  readonly over: AbortController;
  confirmation: Promise<void> | undefined;
  confirmed: boolean;
}

/** Follows one primary after the other. */
export class Reigns {
  readonly #watch: TopologyWatch;
  readonly #confirm: (signal: AbortSignal) => Promise<void>;
  #current: Reign;
  readonly #closed = new AbortController();

  /** @param confirm asks the primary for a read that nobody but a primary can answer */
  constructor(watch: TopologyWatch, confirm: (signal: AbortSignal) => Promise<void>) {
    this.#watch = watch;
    this.#confirm = confirm;
    this.#current = reignOf(watch.state);
    watch.listen(() => this.#follow());
  }

  /**
   * Aborts soon after the primary of now is lost. The driver may wait for ever for the answer to a command that it
   * wrote to a connection that was closed already, so no call may wait for the driver alone.
   */
  get lost(): AbortSignal {
    return this.#current.over.signal;
  }

  /**
   * Resolves when reads from the primary of now see all that former ones acknowledged; undefined if they do. Right
   * after an election a primary may not know yet how far its predecessor was:
   * https://www.mongodb.com/docs/manual/reference/read-concern-linearizable/
   */
  confirmation(): Promise<void> | undefined {
    const reign = this.#current;
    if (reign.confirmed) return undefined;
    reign.confirmation ??= this.#confirmReign(reign).finally(() => {
      reign.confirmation = undefined;
    });
    return reign.confirmation;
  }

  /** Primaries are not asked any more. */
  close(): void {
    this.#closed.abort(new MongoNetworkError("the connection was closed"));
  }

  async #confirmReign(reign: Reign): Promise<void> {
    const giveUp = performance.now() + CONFIRM_WITHIN_MS;
    const { signal } = reign.over;
    const closed = this.#closed.signal;
    for (;;) {
      try {
        await untilAborted(this.#confirm(signal), signal);
        reign.confirmed = true;
        return;
      } catch (error) {
        if (signal.aborted || closed.aborted || performance.now() > giveUp) throw error;
      }
      await delay(PAUSE_MS, undefined, { ref: false, signal: closed });
    }
  }

  #follow(): void {
    const next = reignOf(this.#watch.state);
    const last = this.#current;
    if (next.name === last.name) return;
    this.#current = next;
    if (last.name === undefined) return;
    const end = (): void =>
      last.over.abort(new MongoNetworkError("the primary was lost, and the call with it"));
    setTimeout(end, GRACE_MS).unref();
  }
}

function reignOf({ primary }: PrimaryState): Reign {
  const over = new AbortController();
  // Every call listens.
  setMaxListeners(0, over.signal);
  return {
    // A member that is elected again reigns anew.
    name: primary && `${primary.address} ${primary.electionId?.toHexString() ?? ""}`,
    over,
    confirmation: undefined,
    // Only a member of a replica set, as the driver sees it, is elected.
    confirmed: primary?.type !== "RSPrimary",
  };
}
