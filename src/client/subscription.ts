import type { KeyDocument } from "./documents.js";
import { warn } from "./warn.js";
import type { Watch } from "./watch.js";
import type { KeyExistingEvent, WatchEvent } from "./watch-events.js";

/** What happened to a key. */
export type OperationType = "initial" | "insert" | "update" | "delete" | "expire";

/** What a subscriber is told, in the shape that FiftyOne gives it. */
export interface StoreMessage<T = unknown> {
  readonly key: string;
  /** Undefined for "delete" and "expire". */
  readonly value: T | undefined;
  readonly metadata: {
    /**
     * "initial": it was there when the subscription began. "expire" is not told apart by FiftyOne, and neither
     * "delete" nor "expire" told on a replica set.
     */
    readonly operationType: OperationType;
    /** 24 lower-case hex digits; undefined for a store tied to no dataset. */
    readonly datasetId: string | undefined;
    /** The store's clock at the change, of "initial" at the last one; undefined where nobody knows. */
    readonly timestamp: Date | undefined;
  };
}

/** Hears what a subscription tells; what it returns is awaited before the next message. */
export type StoreCallback<T = unknown> = (message: StoreMessage<T>) => void | Promise<void>;

/** Hears of the errors of a subscription. A promise it returns is awaited; its own errors are warnings of the process. */
export type SubscriptionErrorHandler = (error: unknown) => unknown;

/** What a subscription tells, and whom. */
export interface SubscriptionOptions<T> {
  /** With a snapshot, of one store, that takes a new one where history is lost. */
  readonly watch: Watch<T>;
  /** The context of that store. */
  readonly datasetId: string | undefined;
  readonly callback: StoreCallback<T>;
  /** @default a warning of the process */
  readonly onError?: SubscriptionErrorHandler | undefined;
}

/** Tells one callback what a watch brings: every message is awaited before the next. */
export class Subscription<T> {
  readonly #options: SubscriptionOptions<T>;
  /** The version of each key that the callback knows: what a new snapshot is compared with. */
  readonly #known = new Map<string, string>();
  /** Keys of the snapshot that is coming in. */
  #found = new Set<string>();
  #begun = false;
  #closed = false;

  constructor(options: SubscriptionOptions<T>) {
    this.#options = options;
  }

  /** Tells until the watch ends; never rejects. */
  async run(): Promise<void> {
    try {
      for await (const event of this.#options.watch) await this.#tellOf(event);
    } catch (error) {
      await this.#report(error);
    }
  }

  /** Ends it: the callback is not called any more. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#options.watch.close();
  }

  async #tellOf(event: WatchEvent<T>): Promise<void> {
    switch (event.type) {
      case "started":
      case "progress":
        return;
      case "reset":
        this.#found = new Set();
        return;
      case "existing":
        return this.#tellOfExisting(event);
      case "snapshotComplete":
        return this.#tellOfMissing();
      case "created":
      case "updated": {
        this.#known.set(event.key, versionOf(event.document));
        const { key, document, datasetId, commitTime: timestamp } = event;
        const operationType = event.type === "created" ? "insert" : "update";
        return this.#tell({ key, value: document.value, metadata: { operationType, datasetId, timestamp } });
      }
      case "deleted":
      case "expired": {
        // A key that had expired when the snapshot was read is not known.
        if (!this.#known.delete(event.key)) return;
        const { key, datasetId, commitTime: timestamp } = event;
        const operationType = event.type === "deleted" ? "delete" : "expire";
        return this.#tell({ key, value: undefined, metadata: { operationType, datasetId, timestamp } });
      }
    }
  }

  async #tellOfExisting({ key, document }: KeyExistingEvent<T, "plain">): Promise<void> {
    const version = versionOf(document);
    const known = this.#known.get(key);
    this.#found.add(key);
    if (known === version) return;
    this.#known.set(key, version);
    const news = this.#begun ? "insert" : "initial";
    const operationType = known === undefined ? news : "update";
    const { value, datasetId, updatedAt: timestamp } = document;
    await this.#tell({ key, value, metadata: { operationType, datasetId, timestamp } });
  }

  async #tellOfMissing(): Promise<void> {
    this.#begun = true;
    const found = this.#found;
    this.#found = new Set();
    for (const key of [...this.#known.keys()].filter((known) => !found.has(known))) {
      this.#known.delete(key);
      const metadata = {
        operationType: "delete",
        datasetId: this.#options.datasetId,
        timestamp: undefined,
      } as const;
      await this.#tell({ key, value: undefined, metadata });
    }
  }

  async #tell(message: StoreMessage<T>): Promise<void> {
    if (this.#closed) return;
    try {
      await this.#options.callback(message);
    } catch (error) {
      await this.#report(error);
    }
  }

  async #report(error: unknown): Promise<void> {
    const { onError } = this.#options;
    if (onError === undefined) {
      warn("a subscription failed", error);
      return;
    }
    try {
      await onError(error);
    } catch (failure) {
      warn("the onError of a subscription failed", failure);
    }
  }
}

/** Which version of a key a document is; of writers other than the service the etag alone does not say it. */
function versionOf({ etag, updatedAt }: KeyDocument): string {
  return `${etag} ${updatedAt.getTime()}`;
}
