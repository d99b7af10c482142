import { setTimeout as delay } from "node:timers/promises";
import type { ExecutionStoreService } from "../../../src/client/service.js";
import type { Choices } from "../../race/random.js";
import type { Version } from "../checkers/history.js";
import { placeName } from "../checkers/reference.js";
import type { PutAnswer, Recorder } from "./recorder.js";
import { now, valueText, versionOf } from "./seen.js";
import { CONTEXTS, KEYS, STORES } from "./world.js";

/** Seconds that keys live, if not for good. */
const TTLS = [0.05, 0.1, 0.3, 1, 2, 3600] as const;
/** How long a writer waits after an error, in ms. */
const PAUSE_MS = 50;

interface Value {
  readonly number: number;
  readonly text: string;
}

/** What was last heard of a key, for conditions that may well hold. */
interface Heard {
  readonly etag: string;
  readonly value: Value | undefined;
}

/** How a writer goes about. */
export interface WriterOptions {
  /** One per server, each with the first context. */
  readonly services: readonly ExecutionStoreService[];
  readonly recorder: Recorder;
  readonly choices: Choices;
  /** What any writer heard last of a key. */
  readonly heard: Map<string, Heard>;
  /** The longest that a writer waits between two calls, in ms. */
  readonly restMs: number;
  /** Bytes of the largest value. */
  readonly valueBytes: number;
  readonly running: () => boolean;
}

/** One writer that makes one call after the other, of every kind. */
export class RandomWriter {
  readonly #options: WriterOptions;
  #service: ExecutionStoreService;
  #datasetId: string = "";
  #storeName: string = "";

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#service = options.choices.of(options.services);
  }

  async run(): Promise<void> {
    const { choices, services, recorder, restMs, running } = this.#options;
    while (running()) {
      this.#datasetId = choices.of(CONTEXTS);
      this.#storeName = choices.of(STORES);
      this.#service = choices
        .of(services)
        .withContext(this.#datasetId === "" ? {} : { datasetId: this.#datasetId });
      const errors = recorder.errors.length;
      await this.#call();
      await delay(recorder.errors.length > errors ? PAUSE_MS : choices.below(restMs));
    }
  }

  async #call(): Promise<void> {
    const kind = this.#options.choices.below(100);
    if (kind < 30) return this.#set();
    if (kind < 45) return this.#setIfAbsent();
    if (kind < 58) return this.#compareAndSet();
    if (kind < 68) return this.#update();
    if (kind < 80) return this.#delete();
    if (kind < 86) return this.#batchSet();
    if (kind < 90) return this.#batchDelete();
    if (kind < 95) return this.#read();
    return this.#many();
  }

  #key(): string {
    return this.#options.choices.of(KEYS);
  }

  #value(): Value {
    const { choices, recorder, valueBytes } = this.#options;
    const number = recorder.nextValue();
    return { number, text: "x".repeat(choices.below(4) === 0 ? choices.below(valueBytes) : 10) };
  }

  #ttl(): { ttl?: number; policy?: "evict" } {
    const { choices } = this.#options;
    if (choices.below(3) > 0) return choices.below(4) === 0 ? { policy: "evict" } : {};
    return { ttl: choices.of(TTLS) };
  }

  /** Notes a put of one key, or of several. */
  async #put(
    asked: readonly (readonly [key: string, value: Value | undefined])[],
    call: () => Promise<readonly PutAnswer[]>,
  ): Promise<void> {
    const { recorder, heard } = this.#options;
    const place = { datasetId: this.#datasetId, storeName: this.#storeName };
    const puts = asked.map(([key, value]) => ({ ...place, key, value: value && valueText(value) }));
    const answers = await recorder.put(puts, call);
    for (const [index, put] of puts.entries()) {
      const etag = answers?.[index]?.version?.etag;
      const name = placeName(put);
      if (etag !== undefined) heard.set(name, { etag, value: asked[index]?.[1] ?? heard.get(name)?.value });
    }
  }

  #set(): Promise<void> {
    const [key, value, options, service] = [this.#key(), this.#value(), this.#ttl(), this.#service];
    const cached = this.#options.choices.below(4) === 0;
    return this.#put([[key, value]], async () => {
      const { document, created } = cached
        ? await service.setCacheKey(
            this.#storeName,
            key,
            value,
            options.ttl === undefined ? {} : { ttl: options.ttl },
          )
        : await service.setKey(this.#storeName, key, value, options);
      return [{ version: versionOf(document), created }];
    });
  }

  #setIfAbsent(): Promise<void> {
    const [key, value, options] = [this.#key(), this.#value(), this.#ttl()];
    return this.#put([[key, value]], async () => {
      const { set, document } = await this.#service.setKeyIfAbsent(this.#storeName, key, value, options);
      return [set ? { version: versionOf(document), created: true } : NOTHING];
    });
  }

  #compareAndSet(): Promise<void> {
    const { choices, heard } = this.#options;
    const [key, value, options] = [this.#key(), this.#value(), this.#ttl()];
    const last = heard.get(placeName({ datasetId: this.#datasetId, storeName: this.#storeName, key }));
    const expectation =
      last !== undefined && choices.below(2) === 0
        ? { etag: last.etag }
        : { expected: last?.value ?? { number: 0, text: "never" } };
    return this.#put([[key, value]], async () => {
      const answer = await this.#service.compareAndSetKey(this.#storeName, key, expectation, value, options);
      if (!answer.set || answer.document === undefined) return [NOTHING];
      return [{ version: versionOf(answer.document), created: false }];
    });
  }

  #update(): Promise<void> {
    const { choices } = this.#options;
    const key = this.#key();
    const [byTtl, ttl, policy] = [
      choices.below(2) === 0,
      choices.of(TTLS),
      choices.of(["persist", "evict"] as const),
    ];
    return this.#put([[key, undefined]], async () => {
      const document = byTtl
        ? await this.#service.updateTtl(this.#storeName, key, ttl)
        : await this.#service.updatePolicy(this.#storeName, key, policy);
      return [{ version: versionOf(document), created: false }];
    });
  }

  #batchSet(): Promise<void> {
    const { choices } = this.#options;
    const entries = KEYS.filter(() => choices.below(2) === 0).map((key) => ({
      key,
      value: this.#value(),
      ...this.#ttl(),
    }));
    return this.#put(
      entries.map(({ key, value }) => [key, value] as const),
      async () => {
        const results = await this.#service.batchSetKeys(this.#storeName, entries);
        return results.map(({ document, created }) => ({ version: versionOf(document), created }));
      },
    );
  }

  #remove(keys: readonly string[], call: () => Promise<number>): Promise<void> {
    const [datasetId, storeName] = [this.#datasetId, this.#storeName];
    return this.#options.recorder.remove({ datasetId, storeName, keys, storeDocuments: 0 }, call);
  }

  #delete(): Promise<void> {
    const { choices, heard } = this.#options;
    const key = this.#key();
    const last = heard.get(placeName({ datasetId: this.#datasetId, storeName: this.#storeName, key }));
    const condition = last !== undefined && choices.below(3) === 0 ? { etag: last.etag } : {};
    return this.#remove([key], async () =>
      Number(await this.#service.deleteKey(this.#storeName, key, condition)),
    );
  }

  #batchDelete(): Promise<void> {
    const keys = KEYS.filter(() => this.#options.choices.below(3) === 0);
    return this.#remove(keys, () => this.#service.batchDeleteKeys(this.#storeName, keys));
  }

  async #read(): Promise<void> {
    const { recorder } = this.#options;
    const key = this.#key();
    const calledAt = now();
    const document = await recorder.other(() => this.#service.getKey<Value>(this.#storeName, key));
    if (document === undefined) return;
    const version: Version = versionOf(document);
    const place = { datasetId: this.#datasetId, storeName: this.#storeName, key };
    recorder.reads.push({ document: { ...place, version, value: valueText(document.value) }, calledAt });
  }

  /** What is about whole stores. */
  async #many(): Promise<void> {
    const { choices, recorder } = this.#options;
    const [datasetId, storeName, service] = [this.#datasetId, this.#storeName, this.#service];
    const all = { datasetId, storeName: undefined, keys: undefined, storeDocuments: STORES.length };
    const one = { datasetId, storeName, keys: undefined, storeDocuments: 1 };
    switch (choices.below(12)) {
      case 0:
      case 1:
      case 2:
        return recorder.remove(one, () => service.deleteStore(storeName));
      case 3:
      case 4:
      case 5:
        return recorder.remove(one, () => service.clearCache(storeName));
      case 6:
        return recorder.remove(all, () => service.clearCache());
      case 7:
        return recorder.remove(all, () => service.cleanup());
      case 8:
        return recorder.remove(
          { ...one, datasetId: undefined, storeDocuments: CONTEXTS.length },
          async () => (await service.deleteStoreGlobal(storeName)).documents,
        );
      default:
        await recorder.other(() =>
          service.createStore(storeName, { policy: choices.of(["persist", "evict"]) }),
        );
        return undefined;
    }
  }
}

const NOTHING: PutAnswer = { version: undefined, created: undefined };
