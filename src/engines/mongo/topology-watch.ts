import { setTimeout as delay } from "node:timers/promises";
import type {
  MongoClient,
  ServerDescription,
  TopologyDescription,
  TopologyDescriptionChangedEvent,
} from "mongodb";
import { isRefused } from "./errors.js";
import { refusal, unreachableReason } from "./unreachable-reason.js";
import { untilAborted } from "./until-aborted.js";

/** How long the primary may be away before it counts as lost: shorter gaps are broken connections. In milliseconds. */
const LOSS_MS = 500;
/** How long a primary may take to let the user in, and the pauses before it is asked again. In milliseconds. */
const ADMIT_WITHIN_MS = 5_000;
const ADMIT_PAUSE_MS = 100;
const REFUSED_PAUSE_MS = 1_000;

/** What a topology looks like to this service. */
export interface PrimaryState {
  /** The server that takes writes; undefined while there is none, or while it lets the user not in. */
  readonly primary: ServerDescription | undefined;
  /** Why there is none, as part of a sentence; undefined while there is one, or nothing is known. */
  readonly reason: string | undefined;
  /** Whether the user was refused, so that there is no use in waiting. */
  readonly refused: boolean;
}

/** Follows which server takes writes, as the driver's monitors see it. */
export class TopologyWatch {
  readonly #client: MongoClient;
  readonly #listeners = new Set<() => void>();
  #state: PrimaryState = { primary: undefined, reason: undefined, refused: false };
  /** The primary as the driver's monitors see it, which need no user. */
  #found: ServerDescription | undefined;
  #description: TopologyDescription | undefined;
  /** Why new connections fail, since the primary refused one and until it takes one. */
  #refusal: string | undefined;
  #admitting = false;
  #servers: readonly ServerDescription[] = [];
  /** When the primary was lost, by performance.now(). */
  #lostAt = 0;
  #lossTimer: NodeJS.Timeout | undefined;
  #loss: { readonly onLost: () => void; readonly onFound: () => void } | undefined;
  #reported: "found" | "lost" | "refused" = "found";
  #closed = false;

  constructor(client: MongoClient) {
    this.#client = client;
    client.on("topologyDescriptionChanged", this.#onChange);
  }

  get state(): PrimaryState {
    return this.#state;
  }

  /** The servers that the driver knows of. */
  get servers(): readonly ServerDescription[] {
    return this.#servers;
  }

  /** For how long there has been no primary, in milliseconds. */
  get lostForMs(): number {
    return this.#state.primary === undefined ? performance.now() - this.#lostAt : 0;
  }

  /**
   * Calls back when the primary has been away for a moment, again if it then refuses the user, and when it is back
   * after that. From now on.
   */
  report(onLost: () => void, onFound: () => void): void {
    this.#loss = { onLost, onFound };
    this.#report();
  }

  /** Calls a listener at every change of the state, until the returned function is called. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Resolves to true as soon as there is a primary, and to false if there is none after so many milliseconds (or
   * Infinity), if it refuses the user, or when nobody follows any more.
   * Rejects with the signal's reason.
   */
  primaryWithin(ms: number, signal: AbortSignal | undefined): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        unlisten();
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
      };
      const finish = (found: boolean): void => {
        end();
        resolve(found);
      };
      const abort = (): void => {
        end();
        reject(signal?.reason);
      };
      const check = (): void => {
        if (this.#state.primary !== undefined) finish(true);
        else if (this.#state.refused || this.#closed) finish(false);
      };
      const timer = ms === Infinity ? undefined : setTimeout(() => finish(false), ms);
      const unlisten = this.listen(check);
      signal?.addEventListener("abort", abort);
      if (signal?.aborted === true) abort();
      else check();
    });
  }

  /** Stops following, and waiting. */
  close(): void {
    this.#closed = true;
    for (const listener of this.#listeners) listener();
    clearTimeout(this.#lossTimer);
    this.#loss = undefined;
    this.#client.off("topologyDescriptionChanged", this.#onChange);
  }

  readonly #onChange = ({ newDescription }: TopologyDescriptionChangedEvent): void => {
    const servers = [...newDescription.servers.values()];
    const last = servers.find(({ address }) => address === this.#found?.address);
    if (last !== undefined && isRefused(last.error)) this.#refusal = refusal(last.address);
    this.#servers = servers;
    this.#found = servers.find(takesWrites);
    this.#description = newDescription;
    this.#update();
  };

  #update(): void {
    const before = this.#state.primary;
    const refused = this.#refusal !== undefined;
    const primary = refused ? undefined : this.#found;
    if (before !== undefined && primary === undefined) this.#lostAt = performance.now();
    this.#state = { primary, reason: primary === undefined ? this.#reason() : undefined, refused };
    this.#report();
    for (const listener of this.#listeners) listener();
  }

  #reason(): string | undefined {
    if (this.#refusal !== undefined || this.#description === undefined) return this.#refusal;
    return unreachableReason(this.#description, this.#client.options);
  }

  #report(): void {
    if (this.#loss === undefined) return;
    if (this.#state.refused || (this.#reported !== "found" && this.#state.primary !== undefined)) {
      void this.#admit();
    }
    if (this.#state.primary !== undefined) {
      clearTimeout(this.#lossTimer);
      this.#lossTimer = undefined;
    } else if (this.#reported === "found") {
      this.#lossTimer ??= setTimeout(() => this.#tellLost(), LOSS_MS);
    } else if (this.#reported === "lost" && this.#state.refused) {
      this.#tellLost();
    }
  }

  #tellLost(): void {
    this.#lossTimer = undefined;
    this.#reported = this.#state.refused ? "refused" : "lost";
    this.#loss?.onLost();
  }

  /**
   * Asks the primary for something until it answers: monitors find it even where it lets the user not in, and only a
   * command tells. What a refusal changes comes as a change of the topology.
   */
  async #admit(): Promise<void> {
    if (this.#admitting) return;
    this.#admitting = true;
    while (this.#loss !== undefined && (this.#refusal !== undefined || this.#reported !== "found")) {
      if (this.#found !== undefined && (await this.#answers())) this.#welcome();
      else
        await delay(this.#refusal === undefined ? ADMIT_PAUSE_MS : REFUSED_PAUSE_MS, undefined, {
          ref: false,
        });
    }
    this.#admitting = false;
  }

  async #answers(): Promise<boolean> {
    const ping = this.#client.db("admin").command({ ping: 1 });
    return await untilAborted(ping, AbortSignal.timeout(ADMIT_WITHIN_MS)).then(
      () => true,
      () => false,
    );
  }

  #welcome(): void {
    this.#refusal = undefined;
    const isBack = this.#found !== undefined && this.#reported !== "found";
    if (isBack) this.#reported = "found";
    this.#update();
    if (isBack) this.#loss?.onFound();
  }
}

/** Where the type says so: with directConnection the driver would take a secondary, too. */
function takesWrites({ type }: ServerDescription): boolean {
  return type === "RSPrimary" || type === "Mongos" || type === "Standalone";
}
