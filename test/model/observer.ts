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

function writeOf<W extends { readonly value: ValueName }>(
  write: W,
): Omit<W, "value"> & { value: Uint8Array } {
  return { ...write, value: namedValue(write.value) };
}

/**
 * Runs commands on an engine and answers what another engine would answer, too: etags as numbers, in the order in
 * which they appear, and times as far as the engine's contract fixes them. What it leaves free is checked here.
 */
export class Observer {
  /** Replaced when the engine is opened again. */
  engine: Engine;
  readonly #now: () => number;
  /** By document and etag. */
  readonly #versions = new Map<string, Version>();
  /** Of each collection, in the order in which they appeared. */
  readonly #etags = new Map<string, string[]>();
  /** The last `updatedAt` seen of each document, and its `createdAt`. */
  readonly #last = new Map<string, Versioned>();

  constructor(engine: Engine, now: () => number) {
    this.engine = engine;
    this.#now = now;
  }

  /** Makes the call and answers what every engine must answer. */
  async run(call: Call): Promise<unknown> {
    const { engine } = this;
    const { scope, store, key } = call.at;
    const { collection } = scope;
    switch (call.name) {
      case "setKey":
        return this.#written(collection, await engine.setKey(scope, store, key, writeOf(call.write)));
      case "setKeyIfAbsent":
        return this.#written(collection, await engine.setKeyIfAbsent(scope, store, key, writeOf(call.write)));
      case "compareAndSetKey": {
        const expected =
          "value" in call.expected
            ? { value: namedValue(call.expected.value) }
            : { etag: this.#etag(collection, call.expected.seen) };
        return this.#written(
          collection,
          await engine.compareAndSetKey(scope, store, key, expected, writeOf(call.write)),
        );
      }
      case "swapCurrent": {
        const current = await engine.getKey(scope, store, key, true);
        if (current?.value === undefined) return undefined;
        const expected = call.byEtag ? { etag: current.etag } : { value: current.value };
        return this.#written(
          collection,
          await engine.compareAndSetKey(scope, store, key, expected, writeOf(call.write)),
        );
      }
      case "deleteKey": {
        const etag = call.seen === undefined ? undefined : this.#etag(collection, call.seen);
        return engine.deleteKey(scope, store, key, etag);
      }
      case "updateTtl":
        return this.#key(collection, await engine.updateTtl(scope, store, key, call.ttlMs), true);
      case "updatePolicy":
        return this.#key(collection, await engine.updatePolicy(scope, store, key, call.policy), true);
      case "batchSetKeys": {
        const results = await engine.batchSetKeys(scope, store, call.entries.map(writeOf));
        return results.map((result) => this.#written(collection, result));
      }
      case "batchDeleteKeys":
        return engine.batchDeleteKeys(scope, store, call.keys);
      case "createStore":
        return this.#create(call.at, call.policy, call.large);
      case "deleteStore":
        return engine.deleteStore(scope, store);
      case "clearStoreCache":
        return engine.clearCache(scope, store);
      case "clearCache":
        return engine.clearCache(scope, undefined);
      case "cleanup":
        return engine.cleanup(scope);
      case "deleteStoreGlobal":
        return engine.deleteStoreGlobal(collection, store);
      case "together":
        return Promise.all(call.calls.map((each) => this.run(each)));
      case "look":
        return this.#look(call.at, call.prefix, call.limit);
      default:
        return call satisfies never;
    }
  }

  async #create({ scope, store }: Place, policy: Policy, large: boolean): Promise<unknown> {
    const metadata = serialize({ text: "m".repeat(large ? 3000 : 3) });
    try {
      return this.#store(
        scope.collection,
        await this.engine.createStore(scope, store, metadata, policy),
        true,
      );
    } catch (error) {
      if (isStoreError(error, "STORE_ALREADY_EXISTS")) return error.reason;
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
    return { version: this.#versions.get(id)?.number, unchanged: createdAt === updatedAt, expiresAt, policy };
  }

  #checkTimes(place: string, { createdAt, updatedAt }: Versioned): void {
    const last = this.#last.get(place);
    if (last !== undefined && updatedAt <= last.updatedAt) throw new Error("updatedAt did not grow");
    if (createdAt > updatedAt) throw new Error("createdAt is later than updatedAt");
    if (last !== undefined && createdAt !== updatedAt && createdAt !== last.createdAt) {
      throw new Error("createdAt changed while the document lived");
    }
    // Changes within one millisecond may be dated ahead of the clock, each by one at most.
    const ahead = updatedAt - this.#now();
    if (ahead < 0 || ahead > this.#versions.size) throw new Error(`updatedAt is ${ahead} ms from the clock`);
  }
}
