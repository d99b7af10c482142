import type {
  MongoClient,
  ServerDescription,
  TopologyDescription,
  TopologyDescriptionChangedEvent,
} from "mongodb";
import { unreachableReason } from "./unreachable-reason.js";

/** How long the primary may be away before it counts as lost: shorter gaps are broken connections. In milliseconds. */
const LOSS_MS = 500;

/** What a topology looks like to this service. */
export interface PrimaryState {
  /** The server that takes writes; undefined while there is none. */
  readonly primary: ServerDescription | undefined;
  /** Why there is none, as part of a sentence; undefined while there is one, or nothing is known. */
  readonly reason: string | undefined;
}

/** Follows which server takes writes, as the driver's monitors see it. */
export class TopologyWatch {
  readonly #client: MongoClient;
  readonly #listeners = new Set<() => void>();
  #state: PrimaryState = { primary: undefined, reason: undefined };
  #servers: readonly ServerDescription[] = [];
  /** When the primary was lost, by performance.now(). */
  #lostAt = 0;
  #lossTimer: NodeJS.Timeout | undefined;
  #loss: { readonly onLost: () => void; readonly onFound: () => void } | undefined;
  #reported: "found" | "lost" = "found";

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

  /** Calls back when the primary has been away for a moment, and when it is back after that. From now on. */
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
   * Infinity).
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
      };
      const timer = ms === Infinity ? undefined : setTimeout(() => finish(false), ms);
      const unlisten = this.listen(check);
      signal?.addEventListener("abort", abort);
      if (signal?.aborted === true) abort();
      else check();
    });
  }

  /** Stops following. */
  close(): void {
    clearTimeout(this.#lossTimer);
    this.#loss = undefined;
    this.#client.off("topologyDescriptionChanged", this.#onChange);
  }

  readonly #onChange = ({ newDescription }: TopologyDescriptionChangedEvent): void =>
    this.#update(newDescription);

  #update(description: TopologyDescription): void {
    const before = this.#state.primary;
    this.#servers = [...description.servers.values()];
    const primary = this.#servers.find(takesWrites);
    if (before !== undefined && primary === undefined) this.#lostAt = performance.now();
    this.#state = {
      primary,
      reason: primary === undefined ? unreachableReason(description, this.#client.options) : undefined,
    };
    this.#report();
    for (const listener of this.#listeners) listener();
  }

  #report(): void {
    if (this.#loss === undefined) return;
    if (this.#state.primary !== undefined) {
      clearTimeout(this.#lossTimer);
      this.#lossTimer = undefined;
      if (this.#reported === "lost") {
        this.#reported = "found";
        this.#loss.onFound();
      }
    } else if (this.#reported === "found") {
      this.#lossTimer ??= setTimeout(() => {
        this.#lossTimer = undefined;
        this.#reported = "lost";
        this.#loss?.onLost();
      }, LOSS_MS);
    }
  }
}

/** Where the type says so: with directConnection the driver would take a secondary, too. */
function takesWrites({ type }: ServerDescription): boolean {
  return type === "RSPrimary" || type === "Mongos" || type === "Standalone" || type === "LoadBalancer";
}
