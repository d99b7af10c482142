import { serialize } from "bson";
import type { KeyDocument, Policy, StoreDocument, Versioned } from "../../src/store/document.js";
import type { ConditionalSetResult, Engine, SetResult } from "../../src/store/engine.js";
import { isStoreError } from "../../src/store/errors.js";
import { MAX_PAGE_BYTES } from "../../src/store/limits.js";
import { documentsOf, globalStoresOf, keysOf, storesOf } from "../conformance/world.js";
import { type Call, KEYS, namedValue, type Place, STORES, type ValueName } from "./commands.js";

/** An etag as the order in which it was first seen: what two engines have in common. */
interface Version {
  readonly number: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

const VALUES = { withValue: true, maxBytes: MAX_PAGE_BYTES };

/** The calls that delete. */
type RemovalName =
  | "deleteKey"
  | "batchDeleteKeys"
  | "deleteStore"
  | "clearStoreCache"
  | "clearCache"
  | "cleanup"
  | "deleteStoreGlobal";

/** How an observer takes time. */
export interface ObserverTime {
  /** How long the unit of the commands is, in milliseconds. */
  readonly unitMs: number;
  /** What the clock showed when the history began. */
  readonly origin: number;
  /** By how much the clock was moved since then. */
  readonly moved: () => number;
  /** How much time passes by itself at most in a history, in milliseconds: less than a unit. */
  readonly passesMs: number;
}

/**
 * Runs commands on an engine and answers what another engine would answer, too: etags as numbers, in the order in
 * which they appear, and times as far as the engine's contract fixes them. What it leaves free is checked here.
 */
export class Observer {
  /** Replaced when the engine is opened again. */
  engine: Engine;
  readonly #time: ObserverTime;
  /** By document and etag. */
  readonly #versions = new Map<string, Version>();
  /** Of each collection, in the order in which they appeared. */
  readonly #etags = new Map<string, string[]>();
  /** The last `updatedAt` seen of each document, and its `createdAt`. */
  readonly #last = new Map<string, Versioned>();

  constructor(engine: Engine, time: ObserverTime) {
    this.engine = engine;
    this.#time = time;
  }

  /** Makes the call and answers what every engine must answer. */
  async run(call: Call): Promise<unknown> {
    return (await this.#perform(call))();
  }

  /**
   * Makes the call, and answers what yields its answer. Etags are numbered by that: after calls that were made together
   * in the order of the calls, whichever ended first.
   */
  async #perform(call: Call): Promise<() => unknown> {
    const { engine } = this;
    const { scope, store, key } = call.at;
    const { collection } = scope;
    const written = (result: ConditionalSetResult | SetResult) => () => this.#written(collection, result);
    switch (call.name) {
      case "setKey":
        return written(await engine.setKey(scope, store, key, this.#write(call.write)));
      case "setKeyIfAbsent":
        return written(await engine.setKeyIfAbsent(scope, store, key, this.#write(call.write)));
      case "compareAndSetKey": {
        const expected =
          "value" in call.expected
            ? { value: namedValue(call.expected.value) }
            : { etag: this.#etag(collection, call.expected.seen) };
        return written(await engine.compareAndSetKey(scope, store, key, expected, this.#write(call.write)));
      }
      case "swapCurrent": {
        const current = await engine.getKey(scope, store, key, true);
        if (current?.value === undefined) return () => undefined;
        const expected = call.byEtag ? { etag: current.etag } : { value: current.value };
        return written(await engine.compareAndSetKey(scope, store, key, expected, this.#write(call.write)));
      }
      case "updateTtl": {
        const document = await engine.updateTtl(scope, store, key, call.ttlMs * this.#time.unitMs);
        return () => this.#key(collection, document, true);
      }
      case "updatePolicy": {
        const document = await engine.updatePolicy(scope, store, key, call.policy);
        return () => this.#key(collection, document, true);
      }
      case "batchSetKeys": {
        const entries = call.entries.map((entry) => this.#write(entry));
        const results = await engine.batchSetKeys(scope, store, entries);
        return () => results.map((result) => this.#written(collection, result));
      }
      case "together": {
        const answers = await Promise.all(call.calls.map((each) => this.#perform(each)));
        return () => answers.map((answer) => answer());
      }
      case "createStore":
        return this.#create(call.at, call.policy, call.large);
      case "look": {
        const seen = await this.#look(call.at, call.prefix, call.limit);
        return () => seen;
      }
      case "deleteKey":
      case "batchDeleteKeys":
      case "deleteStore":
      case "clearStoreCache":
      case "clearCache":
      case "cleanup":
      case "deleteStoreGlobal": {
        const count = await this.#remove(call);
        return () => count;
      }
      default:
        return call satisfies never;
    }
  }

  /** Makes a call that deletes. */
  #remove(call: Extract<Call, { name: RemovalName }>): Promise<unknown> {
    const { engine } = this;
    const { scope, store, key } = call.at;
    switch (call.name) {
      case "deleteKey": {
        const etag = call.seen === undefined ? undefined : this.#etag(scope.collection, call.seen);
        return engine.deleteKey(scope, store, key, etag);
      }
      case "batchDeleteKeys":
        return engine.batchDeleteKeys(scope, store, call.keys);
      case "deleteStore":
        return engine.deleteStore(scope, store);
      case "clearStoreCache":
        return engine.clearCache(scope, store);
      case "clearCache":
        return engine.clearCache(scope, undefined);
      case "cleanup":
        return engine.cleanup(scope);
      case "deleteStoreGlobal":
        return engine.deleteStoreGlobal(scope.collection, store);
      default:
        return call satisfies never;
    }
  }

  #write<W extends { readonly value: ValueName; readonly ttlMs: number | undefined }>(
    write: W,
  ): Omit<W, "value" | "ttlMs"> & { value: Uint8Array; ttlMs: number | undefined } {
    const ttlMs = write.ttlMs === undefined ? undefined : write.ttlMs * this.#time.unitMs;
    return { ...write, ttlMs, value: namedValue(write.value) };
  }

  async #create({ scope, store }: Place, policy: Policy, large: boolean): Promise<() => unknown> {
    const metadata = serialize({ text: "m".repeat(large ? 3000 : 3) });
    try {
      const created = await this.engine.createStore(scope, store, metadata, policy);
      return () => this.#store(scope.collection, created, true);
    } catch (error) {
      if (isStoreError(error, "STORE_ALREADY_EXISTS")) return () => error.reason;
      throw error;
    }
  }

  async #look({ scope, store, key }: Place, prefix: string, limit: number): Promise<unknown> {
    const { engine } = this;
    const { collection } = scope;
    const options = { prefix, limit };
    const batch = await engine.batchGetKeys(scope, store, KEYS, VALUES);
    const found = await engine.getStore(scope, store);
    return {
      key: this.#key(collection, await engine.getKey(scope, store, key, true)),
      bare: this.#key(collection, await engine.getKey(scope, store, key, false)),
      hasKey: await engine.hasKey(scope, store, key),
      batch: batch.documents.map((document) => this.#key(collection, document)),
      keys: await keysOf(engine, scope, store, options),
      documents: (await documentsOf(engine, scope, store, options)).map((document) =>
        this.#key(collection, document),
      ),
      countKeys: await engine.countKeys(scope, store, prefix),
      countAll: await engine.countKeys(scope, store, ""),
      store: found && this.#store(collection, found),
      hasStore: await Promise.all(STORES.map((name) => engine.hasStore(scope, name))),
      stores: await storesOf(engine, scope, { limit }),
      prefixed: await storesOf(engine, scope, { prefix: "a", limit }),
      countStores: await engine.countStores(scope),
      hasStoreGlobal: await engine.hasStoreGlobal(collection, store),
      storesGlobal: await globalStoresOf(engine, collection, { limit }),
      prefixedGlobal: await globalStoresOf(engine, collection, { prefix: "a", limit }),
      countStoresGlobal: await engine.countStoresGlobal(collection),
    };
  }

  #etagsOf(collection: string): string[] {
    const etags = this.#etags.get(collection) ?? [];
    this.#etags.set(collection, etags);
    return etags;
  }

  /** One of the etags seen so far; both engines choose the same. */
  #etag(collection: string, seen: number): string {
    const etags = this.#etagsOf(collection);
    return etags[seen % Math.max(etags.length, 1)] ?? "none yet";
  }

  #written(collection: string, result: ConditionalSetResult | SetResult): unknown {
    const { document, ...flags } = result;
    const wrote = !("set" in flags) || flags.set;
    return { ...flags, document: this.#key(collection, document, wrote) };
  }

  #key(collection: string, document: KeyDocument | undefined, written = false): unknown {
    if (document === undefined) return undefined;
    const { datasetId, storeName, key, value } = document;
    const place = JSON.stringify([collection, datasetId, storeName, key]);
    return {
      datasetId,
      storeName,
      key,
      value: value && Buffer.from(value).toString("base64"),
      ...this.#version(collection, place, document, written),
    };
  }

  #store(collection: string, { datasetId, storeName, own }: StoreDocument, written = false): unknown {
    if (own === undefined) return { datasetId, storeName };
    const place = JSON.stringify([collection, datasetId, storeName]);
    const metadata = own.metadata && Buffer.from(own.metadata).toString("base64");
    return { datasetId, storeName, metadata, ...this.#version(collection, place, own, written) };
  }

  /** What is the same in every engine; throws if the rest breaks the contract. */
  #version(collection: string, place: string, version: Versioned, written: boolean): object {
    const { etag, createdAt, updatedAt, expiresAt, policy } = version;
    const id = `${place} ${etag}`;
    const known = this.#versions.get(id);
    if ((known === undefined) !== written) {
      throw new Error(
        written ? "a write answered an old etag" : "a read answered an etag that no write gave",
      );
    }
    if (known === undefined) {
      const etags = this.#etagsOf(collection);
      this.#checkTimes(place, version);
      this.#last.set(place, version);
      this.#versions.set(id, { number: etags.length, createdAt, updatedAt });
      etags.push(etag);
    } else if (known.createdAt !== createdAt || known.updatedAt !== updatedAt) {
      throw new Error("one version has two times");
    }
    return {
      version: this.#versions.get(id)?.number,
      unchanged: createdAt === updatedAt,
      expires: expiresAt === undefined ? undefined : this.#units(expiresAt),
      policy,
    };
  }

  /** Whole units since the history began, so that time that passes by itself makes no difference. */
  #units(time: number): number {
    const { origin, unitMs } = this.#time;
    return Math.floor((time - origin) / unitMs);
  }

  #checkTimes(place: string, { createdAt, updatedAt }: Versioned): void {
    const last = this.#last.get(place);
    if (last !== undefined && updatedAt <= last.updatedAt) throw new Error("updatedAt did not grow");
    if (createdAt > updatedAt) throw new Error("createdAt is later than updatedAt");
    if (last !== undefined && createdAt !== updatedAt && createdAt !== last.createdAt) {
      throw new Error("createdAt changed while the document lived");
    }
    // Changes within one millisecond may be dated ahead of the clock, each by one at most.
    const { origin, moved, passesMs } = this.#time;
    const ahead = updatedAt - origin - moved();
    if (ahead < 0 || ahead > this.#versions.size + passesMs)
      throw new Error(`updatedAt is ${ahead} ms from the clock`);
  }
}
