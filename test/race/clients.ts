import { setTimeout as delay } from "node:timers/promises";
import type { KeyMetadata } from "../../src/client/documents.js";
import type { ExecutionStoreService } from "../../src/client/service.js";
import { isStoreError, type StoreError } from "../../src/store/errors.js";
import type { Answer, KeyCall, Request, Version } from "./key-model.js";
import type { Choices } from "./random.js";

/** The store that all clients use. */
const STORE = "race";
/** How long a client waits after an error, in ms. */
const PAUSE_MS = 20;
/** Seconds that a brief key lives. */
const BRIEF_TTL = 0.04;
/** Seconds that another key lives that has a ttl: longer than any run. */
const LONG_TTL = 3600;

/** What was last heard of a key, for conditions that may well hold. */
interface Seen {
  readonly value: number | undefined;
  readonly version: Version | undefined;
}

/** What clients did to each key. */
export class History {
  readonly #calls = new Map<string, KeyCall[]>();
  /** Errors that calls ended with. */
  readonly errors: StoreError[] = [];
  /** What any client heard last of a key. */
  readonly seen = new Map<string, Seen>();
  #values = 0;

  /** What was asked of each key. */
  get byKey(): ReadonlyMap<string, readonly KeyCall[]> {
    return this.#calls;
  }

  /** All calls, of all keys. */
  get size(): number {
    return [...this.#calls.values()].reduce((sum, calls) => sum + calls.length, 0);
  }

  /** How many calls of a kind said yes, or no. */
  count(kind: Request["kind"], yes: boolean): number {
    const all = [...this.#calls.values()].flat();
    return all.filter(({ request, answer }) => request.kind === kind && answer?.yes === yes).length;
  }

  /** A value that no call has written. */
  nextValue(): number {
    this.#values += 1;
    return this.#values;
  }

  /** Makes one call about some keys, and notes what it asked and what became of it; answers nothing if it failed. */
  async note(
    asked: readonly (readonly [key: string, request: Request])[],
    call: () => Promise<readonly Answer[]>,
  ): Promise<readonly Answer[] | undefined> {
    const called = performance.now();
    const calledAt = Date.now();
    const outcome = await this.#outcome(call);
    const returned = performance.now();
    const returnedAt = Date.now();
    if (outcome === "nothing happened") return undefined;
    const answered = outcome !== "unknown";
    for (const [index, [key, request]] of asked.entries()) {
      const calls = this.#calls.get(key) ?? [];
      this.#calls.set(key, calls);
      calls.push({
        request,
        answer: answered ? outcome[index] : undefined,
        called,
        calledAt,
        returned: answered ? returned : Number.POSITIVE_INFINITY,
        returnedAt: answered ? returnedAt : Number.POSITIVE_INFINITY,
      });
    }
    return answered ? outcome : undefined;
  }

  async #outcome(
    call: () => Promise<readonly Answer[]>,
  ): Promise<readonly Answer[] | "unknown" | "nothing happened"> {
    try {
      return await call();
    } catch (error) {
      if (!isStoreError(error)) throw error;
      this.errors.push(error);
      await delay(PAUSE_MS);
      // A read that failed has no outcome, and changed nothing.
      return error.outcome === "UNKNOWN" ? "unknown" : "nothing happened";
    }
  }
}

/** How a client goes about. */
export interface ClientOptions {
  readonly service: ExecutionStoreService;
  readonly history: History;
  readonly choices: Choices;
  readonly keys: readonly string[];
  /** Whether to go on. */
  readonly running: () => boolean;
  /** Whether keys may have a ttl that ends meanwhile: the database's clock must then be this machine's. */
  readonly expiring: boolean;
}

function versionOf(document: KeyMetadata | undefined): Version | undefined {
  if (document === undefined) return undefined;
  const { etag, createdAt, updatedAt, expiresAt } = document;
  return {
    etag,
    createdAt: createdAt.getTime(),
    updatedAt: updatedAt.getTime(),
    expiresAt: expiresAt?.getTime(),
  };
}

/** One client that makes one call after the other. */
export class RandomClient {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    const { choices, running } = this.#options;
    while (running()) {
      if (choices.below(12) === 0) await this.#many();
      else await this.#one();
    }
  }

  async #one(): Promise<void> {
    const { choices, keys, history } = this.#options;
    const key = choices.of(keys);
    const request = this.#choose(history.seen.get(key));
    const [answer] =
      (await history.note([[key, request]], async () => [await this.#ask(key, request)])) ?? [];
    if (answer === undefined) return;
    const written = "value" in request && answer.yes === true ? request.value : answer.value;
    history.seen.set(key, { value: written ?? history.seen.get(key)?.value, version: answer.version });
  }

  #choose(seen: Seen | undefined): Request {
    const { choices, history, expiring } = this.#options;
    const ttl = expiring && choices.below(4) === 0;
    const etag = seen?.version?.etag;
    switch (choices.below(11)) {
      case 0:
      case 1:
        return { kind: "set", value: history.nextValue(), ttl };
      case 2:
      case 3:
        return { kind: "set-if-absent", value: history.nextValue(), ttl };
      case 4:
        return { kind: "swap", expected: seen?.value ?? 0, value: history.nextValue() };
      case 5:
        return etag === undefined
          ? { kind: "get" }
          : { kind: "swap-version", etag, value: history.nextValue() };
      case 6:
        return { kind: "delete" };
      case 7:
        return etag === undefined ? { kind: "has" } : { kind: "delete-version", etag };
      case 8:
        return expiring ? { kind: "update-ttl" } : { kind: "has" };
      default:
        return { kind: "get" };
    }
  }

  async #ask(key: string, request: Request): Promise<Answer> {
    const { service } = this.#options;
    switch (request.kind) {
      case "get": {
        const document = await service.getKey<number>(STORE, key);
        return { yes: document !== undefined, version: versionOf(document), value: document?.value };
      }
      case "has":
        return { yes: await service.hasKey(STORE, key) };
      case "set": {
        const { created, document } = await service.setKey(STORE, key, request.value, this.#ttlOf(request));
        return { yes: created, version: versionOf(document) };
      }
      case "set-if-absent": {
        const answer = await service.setKeyIfAbsent(STORE, key, request.value, this.#ttlOf(request));
        return { yes: answer.set, version: versionOf(answer.document) };
      }
      case "swap":
      case "swap-version": {
        const expectation = request.kind === "swap" ? { expected: request.expected } : { etag: request.etag };
        const answer = await service.compareAndSetKey(STORE, key, expectation, request.value);
        return { yes: answer.set, version: versionOf(answer.document) };
      }
      case "delete":
        return { yes: await service.deleteKey(STORE, key) };
      case "delete-version":
        return { yes: await service.deleteKey(STORE, key, { etag: request.etag }) };
      case "update-ttl":
        return this.#updateTtl(key);
      default:
        return request;
    }
  }

  #ttlOf({ ttl }: { readonly ttl: boolean }): { ttl?: number } {
    if (!ttl) return {};
    return { ttl: this.#options.choices.below(4) === 0 ? LONG_TTL : BRIEF_TTL };
  }

  async #updateTtl(key: string): Promise<Answer> {
    const { service, choices } = this.#options;
    try {
      const document = await service.updateTtl(STORE, key, choices.below(2) === 0 ? LONG_TTL : BRIEF_TTL);
      return { yes: true, version: versionOf(document) };
    } catch (error) {
      if (isStoreError(error, "KEY_NOT_FOUND")) return { yes: false };
      throw error;
    }
  }

  /** A batch: every key of it is a call of its own, since batches are not atomic. */
  async #many(): Promise<void> {
    const { service, history, choices, keys } = this.#options;
    const some = keys.filter(() => choices.below(2) === 0);
    if (some.length === 0) return;
    const kind = choices.below(3);
    if (kind === 0) {
      const asked = some.map((key): [string, Request] => [key, { kind: "get" }]);
      await history.note(asked, async () => {
        const found = await service.batchGetKeys<number>(STORE, some);
        return some.map((key) => {
          const document = found.get(key);
          return { yes: document !== undefined, version: versionOf(document), value: document?.value };
        });
      });
    } else if (kind === 1) {
      const entries = some.map((key) => ({ key, value: history.nextValue() }));
      const asked = entries.map(({ key, value }): [string, Request] => [
        key,
        { kind: "set", value, ttl: false },
      ]);
      await history.note(asked, async () => {
        const results = await service.batchSetKeys(STORE, entries);
        return results.map(({ created, document }) => ({ yes: created, version: versionOf(document) }));
      });
    } else {
      const asked = some.map((key): [string, Request] => [key, { kind: "delete" }]);
      await history.note(asked, async () => {
        const deleted = await service.batchDeleteKeys(STORE, some);
        const each = deleted === some.length ? true : deleted === 0 ? false : undefined;
        return some.map(() => ({ yes: each }));
      });
    }
  }
}
